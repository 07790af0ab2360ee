"""Draw the seeds of two revisions, their learning curves and what their confusion matrices differ in, as equal PNGs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from classifier.pictures import draw_matrix, plain_style, png
from review.results import Predictions
from review.statistics import Estimate, Readings

# Blue and vermilion of Okabe and Ito (2008), which colour-blind readers can distinguish. Base is drawn above head, with
# smaller marks, so both are visible where they coincide; a single epoch is only a mark.
SIDES: dict[str, dict[str, Any]] = {
    "base": {"color": "#0072B2", "marker": "o", "markersize": 4, "zorder": 3},
    "head": {"color": "#D55E00", "marker": "D", "markersize": 8, "zorder": 2},
}
PARTS: dict[str, dict[str, Any]] = {
    "": {"linestyle": "--", "markerfacecolor": "white"},
    "validation_": {"linestyle": "-"},
}


def draw_seeds(recipes: Mapping[str, Readings], split: str, estimate: Estimate | None = None) -> bytes:
    """Draw a row for each recipe by name: a dot for the accuracy of each seed, and a line at the mean.

    The first is base; a band behind all rows is its standard deviation. Below is the 95 % interval of the estimate.
    """
    with plain_style():
        rows = (len(recipes), 1.2) if estimate else (len(recipes),)
        inches = 5 + 0.08 * max(map(len, recipes)), 0.8 + 0.6 * sum(rows)
        figure = Figure(figsize=inches, layout="constrained")
        seeds, *below = figure.subplots(len(rows), squeeze=False, height_ratios=rows)[:, 0]
        for row, readings in enumerate(recipes.values()):
            colour, marker = (SIDES["head" if row else "base"][key] for key in ("color", "marker"))
            accuracies = 1 - readings.errors / readings.images
            heights = np.linspace(row + 0.3, row - 0.3, readings.seeds)  # so that equal seeds are visible
            seeds.plot(accuracies, heights, marker, color=colour, alpha=0.7, markersize=4, markeredgewidth=0)
            seeds.plot([readings.accuracy] * 2, [row - 0.4, row + 0.4], color=colour, linewidth=2)
            if not row and (deviation := readings.deviation):
                low, high = readings.accuracy - deviation, readings.accuracy + deviation
                seeds.axvspan(low, high, color=colour, alpha=0.1, linewidth=0)
        seeds.set_title(f"{split} accuracy: a dot a seed, a line at the mean", fontsize=10)
        seeds.set_ylim(len(recipes) - 0.5, -0.5)
        seeds.set_yticks(range(len(recipes)), [f"{name}, {of.seeds}" for name, of in recipes.items()])
        if estimate:
            difference = below[0]
            difference.plot(estimate.interval(), (0, 0), color="black", linewidth=2)
            difference.plot(estimate.difference, 0, "o", color="black")
            difference.axvline(0, color="0.5", linestyle="--")
            difference.set_title("head - base, and the 95 % interval", fontsize=10)
            difference.set(yticks=(0,), yticklabels=("",))
        for axes in (seeds, *below):
            axes.grid(axis="x", alpha=0.3)
            axes.xaxis.set_major_locator(MaxNLocator(5))
        return png(figure)


def draw_learning_curve(metric: str, base: Mapping[str, Sequence[float]], head: Mapping[str, Sequence[float]]) -> bytes:
    """Draw "loss" or "accuracy" by epoch; each side maps names to values by epoch, and may lack a name."""
    with plain_style():
        figure = Figure(figsize=(4, 4), layout="constrained")  # two stand side by side, and stack on a phone
        axes = figure.subplots()
        drawn: list[float] = []
        for side, history in (("base", base), ("head", head)):
            for part, look in PARTS.items():
                if values := history.get(part + metric):
                    label = f"{side}, {part.rstrip('_') or 'training'}"
                    some = max(1, len(values) // 20)  # a long run has a mark at some epochs only
                    axes.plot(range(1, len(values) + 1), values, label=label, markevery=some, **SIDES[side], **look)
                    drawn += values
        axes.set(title=metric, xlabel="epoch", ylabel="cross-entropy (nats)" if metric == "loss" else "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        if metric == "loss" and min(drawn) > 0:  # on a linear scale the first epoch would flatten all others
            axes.set(yscale="log", ylabel="cross-entropy (nats), logarithmic")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set(major_formatter="{x:g}", minor_formatter=NullFormatter())
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        return png(figure)


def draw_difference(base: Predictions, head: Predictions, names: Sequence[str], about: str) -> bytes:
    """Draw head's confusion matrix minus base's, of the classes with the most errors; `names` are those of all.

    `about` says in the title which images these are, and which seeds.
    """
    counts = np.zeros((2, len(names), len(names)), int)  # of base and head: rows actual, columns predicted
    for matrix, side in zip(counts, (base, head), strict=True):
        np.add.at(matrix, (side.actual, side.predicted), 1)
    title = f"{about}\nhead - base: {len(head.misread()):,} - {len(base.misread()):,} misread"
    return draw_matrix(counts[1], names, title, base=counts[0])
