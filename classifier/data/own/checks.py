"""What the arrays of a user's data set must be, whichever files they came from."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from classifier.data.description import MOST_CLASSES, label_bytes
from classifier.data.formats import MEMBERS, Rows, rows_of

FEWEST_CLASSES = 2
SIDES = range(8, 129)  # pixels of an image's height and of its width
SIZES = f"{SIDES[0]}x{SIDES[0]} to {SIDES[-1]}x{SIDES[-1]}"
LONGEST = 100  # characters of a class's name
SHOWN = 3  # classes that a line names


def check(
    arrays: Mapping[str, Rows], classes: tuple[str, ...] | None, places: Mapping[str, str], any_size: bool
) -> tuple[dict[str, Rows], tuple[str, ...]]:
    """Return the four arrays in the form of `data_set.Own`, and the names of the classes: numbers if there are none.

    Args:
        arrays: as in the files; here only the labels are read.
        classes: their names by label, if known.
        places: for each array the start of the line that refuses it.
        any_size: whether images may have any size, because they will be resized.

    Raises:
        ValueError: an array that breaks the form, a label with no class, or a class with no train image.
    """
    pixels = {name: images(arrays[name], places[name], any_size) for name in ("x_train", "x_test")}
    train, test = (kind_of(each.shape[1:]) for each in pixels.values())
    if train != test:
        raise ValueError(f"{places['x_test']}: images must be those of train, {train}, in size and kind, found {test}")
    labels = {}
    for split in ("train", "test"):
        place = places[f"y_{split}"]
        labels[f"y_{split}"] = one_each(arrays[f"y_{split}"], len(pixels[f"x_{split}"]), place)
        check_range(labels[f"y_{split}"], MOST_CLASSES if classes is None else len(classes), place)
    if classes is None:
        classes = tuple(str(label) for label in range(int(max(map(np.max, labels.values()))) + 1))
    check_count(len(classes), places["y_train"])
    absent = np.setdiff1d(np.arange(len(classes)), labels["y_train"])
    if len(absent):
        raise ValueError(
            f"{places['y_train']}: each class must have a train image, but there is none of {shown(absent, classes)}; "
            f"labels must be 0 to the number of classes less 1, with no gap"
        )
    dtype = np.dtype(f"u{label_bytes(len(classes))}")
    whole = pixels | {name: rows_of(array.astype(dtype)) for name, array in labels.items()}
    return {name: whole[name] for name in MEMBERS}, classes


def images(rows: Rows, place: str, any_size: bool) -> Rows:
    """Return images as (n, height, width) or (n, height, width, 3). Raises ValueError if there are none such."""
    if len(rows.shape) == 4 and rows.shape[3] == 1:
        of_four = rows.blocks
        rows = Rows(rows.shape[:3], rows.dtype, lambda: (block[..., 0] for block in of_four()))
    if len(rows.shape) != 3 and (len(rows.shape) != 4 or rows.shape[3] != 3):
        raise ValueError(
            f"{place}: expected images of the shape (n, height, width), (n, height, width, 1) or "
            f"(n, height, width, 3), found {rows.shape}"
        )
    if not math.prod(rows.shape):
        raise ValueError(f"{place}: holds no images; its shape is {rows.shape}")
    if not any_size:
        check_sides(rows.shape[1], rows.shape[2], place)
    return rows


def check_sides(height: int, width: int, place: str) -> None:
    """Raise ValueError unless an image of this size can be classified as it is."""
    if height not in SIDES or width not in SIDES:
        raise ValueError(
            f"{place}: expected images of {SIZES} (height x width), found {height}x{width}; resize them to such a size"
        )


def kind_of(shape: tuple[int, ...]) -> str:
    """An image's size and kind in words: `28x28 grey`."""
    return f"{shape[0]}x{shape[1]} {'grey' if len(shape) == 2 else 'colour'}"


def one_each(labels: Rows, count: int, place: str) -> np.ndarray:
    """Read the labels of `count` images as (n,); (n, 1) is taken too, as Keras has those of CIFAR-10.

    Raises:
        ValueError: another shape.
    """
    if labels.shape not in ((count,), (count, 1)):
        raise ValueError(f"{place}: expected one label for each of {count:,} images, found the shape {labels.shape}")
    return labels.whole().reshape(count)


def check_count(classes: int, place: str) -> None:
    """Raise ValueError unless a data set can have so many classes."""
    if not FEWEST_CLASSES <= classes <= MOST_CLASSES:
        raise ValueError(f"{place}: expected {FEWEST_CLASSES} to {MOST_CLASSES:,} classes, found {classes:,}")


def check_range(labels: np.ndarray, classes: int, place: str) -> None:
    """Raise ValueError unless all labels are below the number of classes."""
    for row in (labels.argmin(), labels.argmax()):
        if not 0 <= labels[row] < classes:
            raise ValueError(
                f"{place}: labels must be 0 to {classes - 1}, found {labels[row]} at row {row}, which has no class"
            )


def names(rows: Rows, place: str) -> tuple[str, ...]:
    """Read the names of classes from an array of text.

    Raises:
        ValueError: no list of names, or one that is empty, too long, there twice, or has characters that do not print.
    """
    if len(rows.shape) != 1:
        raise ValueError(f"{place}: expected a list of names, found the shape {rows.shape}")
    check_count(len(rows), place)
    try:
        found = [name.decode() if isinstance(name, bytes) else name for name in rows.whole().tolist()]
    except ValueError as error:  # bytes that are no UTF-8, or numbers that are no characters
        raise ValueError(f"{place}: the names cannot be read as text: {error}") from error
    for name in found:
        check_name(name, place)
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"{place}: expected names that differ, found {twice!r} more than once")
    return tuple(found)


def check_name(name: str, place: str) -> None:
    """Raise ValueError unless a class can have this name."""
    if not name.strip() or not name.isprintable() or len(name) > LONGEST:
        raise ValueError(
            f"{place}: expected a class's name of 1 to {LONGEST} printable characters, found {name[:LONGEST]!a}"
        )


def shown(labels: np.ndarray, classes: tuple[str, ...]) -> str:
    """The names of some classes, the first few of many."""
    listed = ", ".join(classes[label] for label in labels[:SHOWN])
    return f"class {listed}" + (f" and {len(labels) - SHOWN:,} more" if len(labels) > SHOWN else "")


def warnings(arrays: Mapping[str, Rows], classes: tuple[str, ...], source: Path) -> Iterator[str]:
    """Say which classes have no test image, and how many images of equal pixels judge or teach wrongly."""
    labels = {split: arrays[f"y_{split}"].whole() for split in ("train", "test")}
    untested = np.setdiff1d(np.arange(len(classes)), labels["test"])
    if len(untested):
        yield f"{source}: test has no image of {shown(untested, classes)}"
    found = np.concatenate([digests(arrays[name]) for name in ("x_train", "x_test")])
    both, several = equal_pixels(found, np.concatenate([labels["train"], labels["test"]]), len(labels["train"]))
    if both:
        yield f"{source}: {both:,} of {len(labels['test']):,} test images are in train too, with the same pixels"
    if several:
        count = f"{several:,} images are" if several > 1 else "1 image is"
        yield f"{source}: {count} there under more than one label, with the same pixels"


def equal_pixels(found: np.ndarray, labels: np.ndarray, train: int) -> tuple[int, int]:
    """Return how many test images are in train too, and how many different images have more than one label.

    Args:
        found: uint64 (n,), the digests of the images; the first `train` of them are for training.
        labels: integers (n,).
    """
    order = np.argsort(found)  # a group of equal images after the other
    first = np.flatnonzero(np.diff(found[order], prepend=~found[order[:1]]))
    labels = labels[order]
    several = int((np.maximum.reduceat(labels, first) > np.minimum.reduceat(labels, first)).sum())
    tests = np.add.reduceat(order >= train, first, dtype=np.intp)
    return int(tests[tests < np.diff(first, append=len(order))].sum()), several


def digests(rows: Rows) -> np.ndarray:
    """Return uint64 (n,): a digest of each image's pixels."""
    found, first = np.empty(len(rows), np.uint64), 0
    for block in rows.blocks():
        each = (hashlib.blake2b(image.data, digest_size=8).digest() for image in block)
        found[first : first + len(block)] = np.frombuffer(b"".join(each), np.uint64)
        first += len(block)
    return found
