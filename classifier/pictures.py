"""Draw the pictures of evaluate; equal results give equal bytes."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

READ_RIGHT = "0.93"  # grey of the diagonal, in Matplotlib's notation
MOST_DRAWN = 30  # classes in a matrix; more would be too small to read
LONGEST = 14  # characters of a class's name


def draw_matrix(counts: np.ndarray, names: Sequence[str], title: str, base: np.ndarray | None = None) -> bytes:
    """Draw a confusion matrix, int (classes, classes): rows actual, columns predicted; or what it has more than base's.

    Errors are shaded, and not the diagonal. Of many classes, the MOST_DRAWN with the most errors are drawn.
    """
    signed, before = base is not None, np.zeros_like(counts) if base is None else base
    errors = errors_of(counts + before).filled(0)
    of_class = errors.sum(axis=0) + errors.sum(axis=1)
    drawn = np.sort(np.argsort(-of_class, kind="stable")[:MOST_DRAWN])
    shown = counts - before
    most = max(1, abs(errors_of(shown)).max())
    if len(drawn) < len(names):
        title += f"\nthe {len(drawn)} of {len(names):,} classes with the most errors"
    with plain_style():
        inches = max(5, 0.35 * len(drawn) + 1.5)
        figure = Figure(figsize=(inches, inches), layout="constrained")
        axes = figure.subplots()
        cells, labels = shown[np.ix_(drawn, drawn)], [shorten(names[label]) for label in drawn]
        axes.imshow(errors_of(cells), cmap="PuOr_r" if signed else "Oranges", vmin=-most if signed else 0, vmax=most)
        axes.set_facecolor(READ_RIGHT)  # visible where the diagonal is masked
        for actual, predicted in zip(*np.nonzero(cells), strict=True):
            count, right = cells[actual, predicted], actual == predicted
            text = f"{count:+d}" if signed else f"{count:d}"
            colour = "0.4" if right else "white" if abs(count) > most * 0.6 else "black"
            size = 7 if right else 9
            axes.text(predicted, actual, text, ha="center", va="center", color=colour, fontsize=size)
        axes.set_xticks(range(len(labels)), labels, rotation=90 if max(map(len, labels)) > 2 else 0)
        axes.set_yticks(range(len(labels)), labels)
        axes.set(title=title, xlabel="predicted", ylabel="actual")
        return png(figure)


def errors_of(counts: np.ndarray) -> np.ma.MaskedArray:
    """Mask the diagonal, because its large counts would hide the errors."""
    return np.ma.array(counts, mask=np.eye(len(counts), dtype=bool))


def draw_images(images: np.ndarray, captions: Sequence[str], title: str, inverted: bool = False) -> bytes:
    """Draw `images` (n, height, width, 1 or 3), 0..1, in rows of five, with a caption above each.

    Grey is drawn as ink on paper, and images in colour that were inverted as they were.
    """
    images = 1 - images if inverted and images.shape[3] > 1 else images
    width, height = 1.6, 2.1  # inches for an image with its caption
    longer = max(images.shape[1:3], default=1)
    with plain_style():
        figure = Figure(figsize=(5 * width, 0.8 + height * max(1, -(-len(images) // 5))))
        figure.suptitle(title, fontsize=13)
        axes = figure.add_axes((0, 0, 1, 1))  # one for all: 25 axes would take four times as long
        axes.set_axis_off()
        for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
            row, column = divmod(place, 5)
            centre, bottom = (column + 0.5) * width, 0.7 + (row + 1) * height
            high, wide = (1.4 * side / longer for side in image.shape[:2])
            extent = (centre - wide / 2, centre + wide / 2, bottom, bottom - high)
            axes.imshow(image[..., 0] if image.shape[2] == 1 else image, "gray_r", vmin=0, vmax=1, extent=extent)
            size = 12 if len(caption) < 2 * LONGEST else 10
            axes.text(centre, bottom - high - 0.05, caption, fontsize=size, ha="center", va="bottom")
        axes.set(xlim=(0, figure.get_figwidth()), ylim=(figure.get_figheight(), 0))
        return png(figure)


def shorten(name: str) -> str:
    """Return the name of a class as a picture shows it: at most LONGEST characters."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw in the block without the user's matplotlibrc, and with names that may contain dollar signs."""
    with style.context(["default", {"text.parse_math": False}]):
        yield


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of a name in a script that the font lacks
        # Without `Software`, the file does not name Matplotlib's version.
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()
