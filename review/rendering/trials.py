"""The trials of a sweep as a table and as a picture; test images are not for choosing among recipes."""

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classifier.files.pictures import plain_style, save
from classifier.files.table import as_markdown
from classifier.files.whole_file import whole_file
from review.rendering.tables import Table
from review.results.trials import Changes, Judged
from review.wording.escaping import markdown, quote

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
    table = as_markdown([[markdown(cell) for cell in row] for row in table_of_trials(judged)])
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
