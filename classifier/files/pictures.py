"""Draw the pictures of evaluate; equal results give equal bytes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

READ_RIGHT = "0.93"  # grey of the diagonal, in Matplotlib's notation


def draw_confusion_matrix(counts: np.ndarray, path: Path) -> None:
    """Draw the confusion matrix of the test images, int (10, 10): rows actual, columns predicted."""
    with style.context("default"):  # not the user's matplotlibrc
        figure = Figure(figsize=(5, 5), layout="constrained")
        axes = figure.subplots()
        errors = errors_of(counts)
        draw_counts(axes, counts, most=max(1, errors.max()))
        axes.set_title(f"Test images: {errors.sum():,} of {counts.sum():,} misread")
        _save(figure, path)


def draw_counts(axes: Axes, counts: np.ndarray, most: int, *, signed: bool = False) -> None:
    """Draw a confusion matrix and shade its errors, not the diagonal.

    Args:
        counts: int (10, 10), rows actual, columns predicted.
        most: the count that has the darkest shade.
        signed: `counts` is the difference of two matrices, and `-most` has the darkest shade of another colour.
    """
    axes.imshow(errors_of(counts), cmap="PuOr_r" if signed else "Oranges", vmin=-most if signed else 0, vmax=most)
    axes.set_facecolor(READ_RIGHT)  # visible where the diagonal is masked
    for actual, predicted in zip(*np.nonzero(counts), strict=True):
        count, right = counts[actual, predicted], actual == predicted
        axes.text(
            predicted,
            actual,
            f"{count:+d}" if signed else f"{count:d}",
            ha="center",
            va="center",
            color="0.4" if right else "white" if abs(count) > most * 0.6 else "black",
            fontsize=7 if right else 9,
        )
    digits = range(len(counts))
    axes.set(xticks=digits, yticks=digits, xlabel="predicted", ylabel="actual")


def errors_of(counts: np.ndarray) -> np.ma.MaskedArray:
    """Mask the diagonal, because its large counts would hide the errors."""
    return np.ma.array(counts, mask=np.eye(len(counts), dtype=bool))


def draw_digits(images: np.ndarray, captions: Sequence[str], title: str, path: Path) -> None:
    """Draw `images` (n, 28, 28, 1), 0..1, in rows of five, with a caption above each."""
    with style.context("default"):
        rows = max(1, -(-len(images) // 5))
        figure = Figure(figsize=(6, 0.6 + 1.4 * rows), layout="constrained")
        figure.suptitle(title, fontsize=10)
        for axes in figure.subplots(rows, 5, squeeze=False).flat:
            axes.set_axis_off()
        for axes, image, caption in zip(figure.axes, images, captions, strict=False):
            axes.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
            axes.set_title(caption, fontsize=7)
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="png", dpi=100, metadata={"Software": None})  # else it names Matplotlib's version
