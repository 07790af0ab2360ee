"""Draw what evaluate found, the same bytes for the same numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure


def draw_confusion_matrix(counts: np.ndarray, path: Path) -> None:
    """Draw `counts` (10, 10), int, rows actual and columns predicted: shade by share of the row, print each count."""
    with style.context("default"):  # not the user's matplotlibrc
        figure = Figure(figsize=(5, 5), layout="constrained")
        axes = figure.subplots()
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for actual, predicted in zip(*np.nonzero(counts), strict=True):
            shade = "white" if shares[actual, predicted] > 0.5 else "black"
            axes.text(
                predicted, actual, f"{counts[actual, predicted]}", ha="center", va="center", color=shade, fontsize=8
            )
        digits = range(len(counts))
        axes.set(
            xticks=digits, yticks=digits, xlabel="predicted", ylabel="actual", title="Confusion matrix, test images"
        )
        _save(figure, path)


def draw_digits(images: np.ndarray, captions: Sequence[str], title: str, path: Path) -> None:
    """Draw up to 25 `images` (n, 28, 28, 1), 0..1, in rows of five, each below its caption."""
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
    figure.savefig(path, format="png", dpi=100, metadata={"Software": None})  # it would name matplotlib's version
