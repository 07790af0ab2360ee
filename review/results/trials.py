"""The trials of a sweep by recipe, each judged against the recipe of this folder by validation."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from pygit2 import Repository

from classifier.files.paths import METRICS
from review.results.difference import Comparison, compare, measured
from review.results.lock import check
from review.results.record import Record, Run, unlike
from review.results.revision import MALFORMED, Results, load, open_repo
from review.results.trained import parse_metrics, recipe_of
from review.statistics.recipes import ALPHA
from review.statistics.verdict import judge

SPLIT = "validation"

Changes = tuple[str, ...]  # of parameters, as `dvc exp run -S` takes them


@dataclass(frozen=True)
class Tried:
    """A recipe of a sweep: its changes, the validation accuracy of each seed, and the verdict on it.

    The verdict is that of `judge`, "base" for the recipe of this folder, or "" if the two cannot be compared.
    `machines` says whether its seeds were trained on machines whose weights may differ.
    """

    changes: Changes
    accuracies: list[float]
    verdict: str
    machines: bool

    @property
    def accuracy(self) -> float:
        return mean(self.accuracies)

    @property
    def spread(self) -> str:
        """The mean accuracy, and of several seeds the sample standard deviation."""
        count = len(self.accuracies)
        return f"{self.accuracy:.4f}" + (f" ± {stdev(self.accuracies):.4f} over {count} seeds" if count > 1 else "")


@dataclass(frozen=True)
class Judged:
    """The recipes of a sweep, the best first, and base's accuracy; "better" takes p < `level` / `comparisons`."""

    tried: list[Tried]
    base: float | None
    level: float
    comparisons: int


def accuracy_of(revision: str) -> float | None:
    """The validation accuracy in metrics.json of a commit."""
    try:
        blob: Any = Repository(".").revparse_single(f"{revision}:{METRICS}")
        return parse_metrics(blob.data.decode()).get(f"{SPLIT}.accuracy")
    except (KeyError, *MALFORMED):
        return None


def mean_accuracy(revisions: Sequence[str]) -> float | None:
    """The mean validation accuracy of commits; None if no one has any."""
    found = [accuracy for accuracy in map(accuracy_of, revisions) if accuracy is not None]
    return mean(found) if found else None


def judge_trials(trials: Mapping[Changes, Sequence[str]]) -> Judged:
    """Judge each recipe by the commits of its seeds; those without a validation accuracy are left out."""
    read = {changes: list(map(accuracy_of, revisions)) for changes, revisions in trials.items()}
    known = {changes: found for changes, each in read.items() if (found := [one for one in each if one is not None])}
    base = _base()
    compared: dict[Changes, Comparison] = {}
    machines: set[Changes] = set()
    for changes in known:
        if base is None:
            break
        with suppress(OSError, *MALFORMED):
            heads = [load(revision) for revision in trials[changes]]
            if any(unlike(heads[0].environment, head.environment) for head in heads):
                machines.add(changes)
            records = (measured(base, base)[0], _record(heads))
            comparison = compare(base, heads[0], records=records)
            if comparison.decided_by == SPLIT:
                compared[changes] = comparison
    # Other recipes that were judged against base on these images before count as well.
    others = [found.recipes for found in compared.values() if not found.one_recipe]
    comparisons = len(others) + max(others, default=1) - 1
    tried = [
        Tried(changes, found, _verdict(compared.get(changes), comparisons), changes in machines)
        for changes, found in known.items()
    ]
    tried.sort(key=lambda each: -each.accuracy)
    return Judged(tried, base.metrics.get(f"{SPLIT}.accuracy") if base else None, ALPHA, max(1, comparisons))


def _verdict(comparison: Comparison | None, comparisons: int) -> str:
    if comparison is None:
        return ""
    if comparison.one_recipe:
        return "base"
    found = comparison.splits[SPLIT].estimate
    return judge(found, comparisons=comparisons) if found else "undecided"


def _base() -> Results | None:
    """The results of this folder, if dvc.lock matches them."""
    try:
        with open_repo(None) as repo:
            matches = not any(reasons for _, reasons in check(repo))
        return load(None) if matches else None
    except (OSError, *MALFORMED):
        return None


def _record(heads: Sequence[Results]) -> Record:
    """The seeds of a recipe as a measurement."""
    first = heads[0]
    images = {split: len(found.image) for split, found in first.predictions.items()}
    runs = tuple(
        Run(
            head.parameters.get("train.seed", 0),
            head.model or "",
            {split: head.metrics.get(f"{split}.loss", 0.0) for split in images},
            {split: head.predictions[split].misread() for split in images},
        )
        for head in heads
    )
    parameters = recipe_of(first.parameters)
    return Record(first.dataset, parameters, first.environment, first.training, images, (len(runs),), runs)
