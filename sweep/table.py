"""The trials of a sweep by recipe, each judged against the recipe of this folder by validation."""

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classifier.files import markdown_table, whole_file
from classifier.paths import METRICS
from classifier.pictures import plain_style, save
from review.comparison import Comparison, compare_results, holding_records
from review.escaping import markdown, quote
from review.lock import stage_findings
from review.results import parse_metrics, recipe_of
from review.revision import Results, read_file, read_results
from review.seeds import Record, Run, differing_keys
from review.statistics import ALPHA, judge
from review.text import Table

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
        return parse_metrics(read_file(revision, METRICS).decode()).get(f"{SPLIT}.accuracy")
    except (OSError, ValueError):
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
        with suppress(OSError, ValueError):
            heads = [read_results(revision) for revision in trials[changes]]
            if any(differing_keys(heads[0].environment, head.environment) for head in heads):
                machines.add(changes)
            records = (holding_records(base, base)[0], _record(heads))
            comparison = compare_results(base, heads[0], records=records)
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
        return None if any(stage_findings(None).values()) else read_results(None)
    except (OSError, ValueError):
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


MOST_PANELS = 8  # parameters in the picture, one panel each
BASE, TRIED = "#0072B2", "#D55E00"  # blue and vermilion of Okabe and Ito (2008), as in the report


def table_of_trials(judged: Judged) -> Table:
    """A row for each recipe: its parameters, its validation accuracy, and the verdict against base."""
    keys = [key for key, _ in _parameters(judged.tried[0].changes)] if judged.tried else []
    rows = []
    for each in judged.tried:
        verdict = (each.verdict or "not compared") + ", different machines" * each.machines
        rows.append([*(quote(value) for _, value in _parameters(each.changes)), each.spread, verdict])
    return [[*map(quote, keys), "validation accuracy", "against base"], *rows]


def about_trials(judged: Judged) -> str:
    """Say what the verdicts rest on."""
    if judged.base is None:
        return "base: none, because dvc.lock of this folder does not match its results; `dvc repro` writes them"
    level = f"p < {judged.level:g} / {judged.comparisons} = {judged.level / judged.comparisons:.2g} (Bonferroni)"
    return f"base: this folder, validation accuracy {judged.base:.4f}; better than base takes {level}"


def save_trials(judged: Judged, folder: Path) -> None:
    """Write table.md and validation.png into the folder."""
    table = markdown_table([[markdown(cell) for cell in row] for row in table_of_trials(judged)])
    text = f"{table}\n\n{markdown(about_trials(judged))}\n\n![Validation accuracy by parameter](validation.png)\n"
    for name, content in {"table.md": text.encode(), "validation.png": draw_trials(judged)}.items():
        with whole_file(folder / name) as path:
            path.write_bytes(content)


def draw_trials(judged: Judged) -> bytes:
    """Draw the validation accuracy by each parameter, as a PNG: a dot for each seed, a bar for the mean of a recipe."""
    keys = [key for key, _ in _parameters(judged.tried[0].changes)][:MOST_PANELS]
    with plain_style():
        figure = Figure(figsize=(max(4, 3 * len(keys)), 4), layout="constrained")
        panels = figure.subplots(1, len(keys), sharey=True, squeeze=False).flat
        for place, key in enumerate(keys):
            _draw_panel(panels[place], judged, place, key)
        figure.axes[0].set_ylabel("validation accuracy")
        file = io.BytesIO()
        save(figure, file, dpi=110)
        return file.getvalue()


def _draw_panel(axes: Axes, judged: Judged, place: int, key: str) -> None:
    texts = [_parameters(each.changes)[place][1] for each in judged.tried]
    try:
        values = [float(text) for text in texts]
        if min(values) > 0 and max(values) >= 10 * min(values):
            axes.set_xscale("log")
    except ValueError:  # names or lists, in the order of the sweep
        names = sorted(set(texts))
        values = [float(names.index(text)) for text in texts]
        axes.set_xticks(range(len(names)), names)
    for value, each in zip(values, judged.tried, strict=True):
        axes.plot([value] * len(each.accuracies), each.accuracies, "o", color=TRIED, alpha=0.5, markersize=4)
        axes.plot(value, each.accuracy, "_", color=TRIED, markersize=16, markeredgewidth=2)
    if judged.base is not None:
        axes.axhline(judged.base, color=BASE, linewidth=1, label="base")
        axes.legend(frameon=False)
    axes.set_xlabel(key)
    axes.grid(alpha=0.3)


def _parameters(changes: Changes) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (change.partition("=") for change in changes)]
