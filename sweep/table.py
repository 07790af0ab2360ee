"""The trials of a sweep by recipe, each judged against the recipe of this folder by validation."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import mean, stdev

from classifier.paths import METRICS
from review.comparison import Comparison, compare_results
from review.escaping import quote
from review.lock import stage_findings
from review.results import Results, parse_metrics
from review.revision import read_file, read_results
from review.seeds import differing_keys
from review.statistics import ALPHA, Readings, estimate, judge
from review.text import Table

SPLIT = "validation"

Changes = tuple[str, ...]  # of parameters, as `dvc exp run -S` takes them


@dataclass(frozen=True)
class Tried:
    """A recipe of a sweep: its parameters as texts, the validation accuracy of each seed, and the verdict on it."""

    parameters: dict[str, str]
    accuracies: list[float]
    verdict: str


@dataclass(frozen=True)
class Judged:
    """The recipes of a sweep, the best first, and base's accuracy; "better" takes p < ALPHA / `comparisons`."""

    tried: list[Tried]
    base: float | None
    comparisons: int


def accuracies_of(commits: Sequence[str]) -> list[float]:
    """The validation accuracies in metrics.json of the commits that have one."""
    accuracies = []
    for commit in commits:
        with suppress(OSError, ValueError, KeyError):
            accuracies.append(parse_metrics(read_file(commit, METRICS).decode())[f"{SPLIT}.accuracy"])
    return accuracies


def judge_trials(trials: Mapping[Changes, Sequence[str]]) -> Judged:
    """Judge each recipe by the commits of its seeds; those without a validation accuracy are left out."""
    base = _base()
    compared = {changes: _compare(base, commits) for changes, commits in trials.items() if base and commits}
    # Other recipes that were judged against base on these images before count as well.
    others = [judged[0].recipes for judged in compared.values() if judged and not judged[0].one_recipe]
    comparisons = max(1, len(others) + max(others, default=1) - 1)
    tried = []
    for changes, commits in trials.items():
        if accuracies := accuracies_of(commits):
            parameters = {key: value for key, _, value in (change.partition("=") for change in changes)}
            tried.append(Tried(parameters, accuracies, _verdict(compared.get(changes), comparisons)))
    tried.sort(key=lambda recipe: -mean(recipe.accuracies))
    return Judged(tried, base.metrics.get(f"{SPLIT}.accuracy") if base else None, comparisons)


def _base() -> Results | None:
    """The results of this folder, if dvc.lock matches them."""
    with suppress(OSError, ValueError):
        if not any(stage_findings(None).values()):
            return read_results(None)
    return None


def _compare(base: Results, commits: Sequence[str]) -> tuple[Comparison, list[Results]] | None:
    """Compare the first seed of a recipe with base, and return the results of all; None if they do not compare."""
    with suppress(OSError, ValueError):
        results = [read_results(commit) for commit in commits]
        comparison = compare_results(base, results[0])
        if comparison.decided_by == SPLIT:
            return comparison, results
    return None


def _verdict(compared: tuple[Comparison, list[Results]] | None, comparisons: int) -> str:
    if compared is None:
        return "not compared"
    comparison, results = compared
    base, first = comparison.splits[SPLIT].base, results[0]
    readings = Readings.of([seed.predictions[SPLIT].misread() for seed in results], base.images)
    if comparison.one_recipe:
        verdict = "base"
    elif base.seeds == readings.seeds == 1:
        verdict = "undecided"
    else:
        verdict = judge(estimate(base, readings), comparisons=comparisons)
    machines = any(differing_keys(first.environment, seed.environment) for seed in results)
    return f"{verdict}, different machines" if machines else verdict


def table_of_trials(judged: Judged) -> Table:
    """A row for each recipe: its parameters, its mean validation accuracy, and the verdict against base."""
    keys = dict.fromkeys(key for recipe in judged.tried for key in recipe.parameters)
    table = [[*map(quote, keys), "validation accuracy", "against base"]]
    for recipe in judged.tried:
        accuracies, accuracy = recipe.accuracies, f"{mean(recipe.accuracies):.4f}"
        if len(accuracies) > 1:
            accuracy += f" ± {stdev(accuracies):.4f} over {len(accuracies)} seeds"
        table.append([*(quote(recipe.parameters.get(key, "unchanged")) for key in keys), accuracy, recipe.verdict])
    return table


def about_trials(judged: Judged) -> str:
    """Say what the verdicts rest on."""
    if judged.base is None:
        return "base: none, because dvc.lock of this folder does not match its results; `dvc repro` writes them"
    level = f"p < {ALPHA:g} / {judged.comparisons} = {ALPHA / judged.comparisons:.2g} (Bonferroni)"
    return f"base: this folder, validation accuracy {judged.base:.4f}; better than base takes {level}"
