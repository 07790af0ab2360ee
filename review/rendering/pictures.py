"""Draw learning curves and confusion matrices of two revisions, as PNGs with the same bytes for the same numbers."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from classifier.files.pictures import draw_counts, errors_of

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


def draw_confusion_matrix(side: str, counts: np.ndarray, most: int) -> bytes:
    """Draw counts (10, 10), int, of one side: rows actual, columns predicted; errors are shaded up to `most`."""
    with style.context("default"):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        draw_counts(axes, counts, most)
        axes.set_title(f"{side}: {errors_of(counts).sum():,} misread")
        return _png(figure)


def draw_difference(base: np.ndarray, head: np.ndarray) -> bytes:
    """Draw the errors of head minus those of base, for counts as above: which errors are new and which are gone."""
    with style.context("default"):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        change = errors_of(head - base)
        draw_counts(axes, head - base, max(1, abs(change).max()), signed=True)
        axes.set_title(f"head - base: {change.sum():+,} misread")
        return _png(figure)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})  # it would name matplotlib's version
    return file.getvalue()
