"""The trials of a sweep by recipe, each judged against the recipe of this folder by validation."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classifier.files import markdown_table, whole_file
from classifier.paths import METRICS
from classifier.pictures import plain_style, save
from review.comparison import Comparison, compare_results
from review.escaping import markdown, quote
from review.lock import stage_findings
from review.results import Results, parse_metrics
from review.revision import read_file, read_results
from review.seeds import differing_keys
from review.statistics import ALPHA, Readings, estimate, judge
from review.text import Table

SPLIT = "validation"
MOST_PANELS = 8  # parameters in the picture, one panel each
BASE, TRIED = "#0072B2", "#D55E00"  # blue and vermilion of Okabe and Ito (2008), as in the report

Changes = tuple[str, ...]  # of parameters, as `dvc exp run -S` takes them


@dataclass(frozen=True)
class Tried:
    """A recipe of a sweep: its parameters as texts, the validation accuracy of each seed, and the verdict on it."""

    parameters: dict[str, str]
    accuracies: list[float]
    verdict: str

    @property
    def spread(self) -> str:
        """The mean accuracy, and of several seeds the sample standard deviation."""
        count, average = len(self.accuracies), f"{mean(self.accuracies):.4f}"
        return f"{average} ± {stdev(self.accuracies):.4f} over {count} seeds" if count > 1 else average


@dataclass(frozen=True)
class Judged:
    """The recipes of a sweep, the best first, and base's accuracy; "better" takes p < ALPHA / `comparisons`."""

    tried: list[Tried]
    base: float | None
    comparisons: int


def accuracy_of(commit: str) -> float | None:
    """The validation accuracy in metrics.json of a commit."""
    try:
        return parse_metrics(read_file(commit, METRICS).decode()).get(f"{SPLIT}.accuracy")
    except (OSError, ValueError):
        return None


def judge_trials(trials: Mapping[Changes, Sequence[str]]) -> Judged:
    """Judge each recipe by the commits of its seeds; those without a validation accuracy are left out."""
    base = _base()
    compared = {changes: _compare(base, commits) for changes, commits in trials.items() if base and commits}
    # Other recipes that were judged against base on these images before count as well.
    others = [judged[0].recipes for judged in compared.values() if judged and not judged[0].one_recipe]
    comparisons = max(1, len(others) + max(others, default=1) - 1)
    tried = []
    for changes, commits in trials.items():
        if accuracies := [accuracy for commit in commits if (accuracy := accuracy_of(commit)) is not None]:
            parameters = {key: value for key, _, value in (change.partition("=") for change in changes)}
            tried.append(Tried(parameters, accuracies, _verdict(compared.get(changes), comparisons)))
    tried.sort(key=lambda recipe: -mean(recipe.accuracies))
    return Judged(tried, base.metrics.get(f"{SPLIT}.accuracy") if base else None, comparisons)


def _base() -> Results | None:
    """The results of this folder, if dvc.lock matches them."""
    try:
        return None if any(stage_findings(None).values()) else read_results(None)
    except (OSError, ValueError):
        return None


def _compare(base: Results, commits: Sequence[str]) -> tuple[Comparison, list[Results]] | None:
    """Compare the first seed of a recipe with base, and return the results of all; None if they do not compare."""
    try:
        results = [read_results(commit) for commit in commits]
        comparison = compare_results(base, results[0])
    except (OSError, ValueError):
        return None
    return (comparison, results) if comparison.decided_by == SPLIT else None


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
    """A row for each recipe: its parameters, its validation accuracy, and the verdict against base."""
    header = [*map(quote, judged.tried[0].parameters), "validation accuracy", "against base"]
    return [header, *([*map(quote, row.parameters.values()), row.spread, row.verdict] for row in judged.tried)]


def about_trials(judged: Judged) -> str:
    """Say what the verdicts rest on."""
    if judged.base is None:
        return "base: none, because dvc.lock of this folder does not match its results; `dvc repro` writes them"
    level = f"p < {ALPHA:g} / {judged.comparisons} = {ALPHA / judged.comparisons:.2g} (Bonferroni)"
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
    keys = list(judged.tried[0].parameters)[:MOST_PANELS]
    with plain_style():
        figure = Figure(figsize=(max(4, 3 * len(keys)), 4), layout="constrained")
        for axes, key in zip(figure.subplots(1, len(keys), sharey=True, squeeze=False).flat, keys, strict=True):
            _draw_panel(axes, judged, key)
        figure.axes[0].set_ylabel("validation accuracy")
        file = io.BytesIO()
        save(figure, file, dpi=110)
        return file.getvalue()


def _draw_panel(axes: Axes, judged: Judged, key: str) -> None:
    texts = [recipe.parameters[key] for recipe in judged.tried]
    try:
        values = [float(text) for text in texts]
        if min(values) > 0 and max(values) >= 10 * min(values):
            axes.set_xscale("log")
    except ValueError:  # names or lists, in the order of the alphabet
        names = sorted(set(texts))
        values = [float(names.index(text)) for text in texts]
        axes.set_xticks(range(len(names)), names)
    for value, recipe in zip(values, judged.tried, strict=True):
        axes.plot([value] * len(recipe.accuracies), recipe.accuracies, "o", color=TRIED, alpha=0.5, markersize=4)
        axes.plot(value, mean(recipe.accuracies), "_", color=TRIED, markersize=16, markeredgewidth=2)
    if judged.base is not None:
        axes.axhline(judged.base, color=BASE, linewidth=1, label="base")
        axes.legend(frameon=False)
    axes.set(xlabel=key)
    axes.grid(alpha=0.3)
