"""Draw learning curves and confusion matrices of two revisions, as PNGs with the same bytes for the same numbers."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from classifier.pictures import draw_counts, errors_of, matrix_inches, plain_style, save

# Blue and vermilion of Okabe and Ito (2008), which colour-blind readers can distinguish. Base is drawn above head, with
# smaller marks, so both are visible where they coincide; a single epoch is only a mark.
SIDES: dict[str, dict[str, Any]] = {
    "base": {"color": "#0072B2", "marker": "o", "markersize": 4, "zorder": 3},
    "head": {"color": "#D55E00", "marker": "D", "markersize": 8, "zorder": 2},
}
SIZE = (4.0, 4.0)  # inches; two pictures stand side by side on a wide page and stack on a phone
PARTS: dict[str, dict[str, Any]] = {
    "": {"linestyle": "--", "markerfacecolor": "white"},
    "validation_": {"linestyle": "-"},
}


def draw_learning_curve(metric: str, base: Mapping[str, Sequence[float]], head: Mapping[str, Sequence[float]]) -> bytes:
    """Draw "loss" or "accuracy" by epoch; each side maps names to values by epoch, and may lack a name."""
    with style.context("default"):  # not the user's matplotlibrc
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        drawn: list[float] = []
        for side, history in (("base", base), ("head", head)):
            for part, look in PARTS.items():
                if values := history.get(part + metric):
                    epochs = range(1, len(values) + 1)
                    some = max(1, len(values) // 20)  # a long run has a mark at some epochs only
                    label = f"{side}, {part.rstrip('_') or 'training'}"
                    axes.plot(epochs, values, markevery=some, label=label, **SIDES[side], **look)
                    drawn += values
        axes.set(title=metric, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.set_ylabel("cross-entropy (nats)" if metric == "loss" else "")
        if metric == "loss" and min(drawn) > 0:  # on a linear scale the first epoch would flatten all others
            axes.set(yscale="log", ylabel="cross-entropy (nats), logarithmic")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set(major_formatter="{x:g}", minor_formatter=NullFormatter())
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        return _png(figure)


def draw_confusion_matrix(side: str, counts: np.ndarray, most: int, names: Mapping[int, str]) -> bytes:
    """Draw the confusion matrix of one side.

    Args:
        counts: int (classes, classes), rows actual, columns predicted.
        most: the errors of the darkest cell.
        names: the classes to draw, and their names.
    """
    return _draw_matrix(counts, most, names, f"{side}: {errors_of(counts).sum():,} misread")


def draw_difference(base: np.ndarray, head: np.ndarray, names: Mapping[int, str]) -> bytes:
    """Draw the errors of head minus those of base, for counts as above: which errors are new and which are gone."""
    change = head - base
    title = f"head - base: {errors_of(change).sum():+,} misread"
    return _draw_matrix(change, max(1, abs(errors_of(change)).max()), names, title, signed=True)


def _draw_matrix(counts: np.ndarray, most: int, names: Mapping[int, str], title: str, signed: bool = False) -> bytes:
    with plain_style():
        side = max(SIZE[0], matrix_inches(len(names)) - 1)
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        drawn = list(names)
        draw_counts(axes, counts[np.ix_(drawn, drawn)], most, list(names.values()), signed=signed)
        left_out = f"\n{len(drawn)} of {len(counts):,} classes, those with the most errors"
        axes.set_title(title + left_out * (len(drawn) < len(counts)))
        return _png(figure)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    save(figure, file, dpi=110)
    return file.getvalue()
