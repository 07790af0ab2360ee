"""What the arrays of a user's data set must be, whichever files they came from."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from classifier.data.description import MOST_CLASSES
from classifier.data.formats import MEMBERS, Arrays

FEWEST_CLASSES = 2
SIDES = range(8, 129)  # pixels of an image's height and of its width
SIZES = f"{SIDES[0]}x{SIDES[0]} to {SIDES[-1]}x{SIDES[-1]}"
LONGEST = 100  # characters of a class's name
SHOWN = 3  # classes that a line names


def check(
    arrays: Arrays, classes: tuple[str, ...] | None, places: Mapping[str, str], any_size: bool
) -> tuple[Arrays, tuple[str, ...]]:
    """Return the four arrays in the form of `data_set.Own`, and the names of the classes: numbers if there are none.

    Args:
        arrays: as read.
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
    dtype = np.uint8 if len(classes) <= 256 else np.uint16
    whole = pixels | {name: np.ascontiguousarray(array, dtype) for name, array in labels.items()}
    return {name: whole[name] for name in MEMBERS}, classes


def images(array: np.ndarray, place: str, any_size: bool) -> np.ndarray:
    """Return images as (n, height, width) or (n, height, width, 3). Raises ValueError if there are none such."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim != 3 and (array.ndim != 4 or array.shape[3] != 3):
        raise ValueError(
            f"{place}: expected images of the shape (n, height, width), (n, height, width, 1) or "
            f"(n, height, width, 3), found {array.shape}"
        )
    if not array.size:
        raise ValueError(f"{place}: holds no images; its shape is {array.shape}")
    if not any_size:
        check_sides(array.shape[1], array.shape[2], place)
    return np.ascontiguousarray(array)


def check_sides(height: int, width: int, place: str) -> None:
    """Raise ValueError unless an image of this size can be classified as it is."""
    if height not in SIDES or width not in SIDES:
        raise ValueError(
            f"{place}: expected images of {SIZES} (height x width), found {height}x{width}; resize them to such a size"
        )


def kind_of(shape: tuple[int, ...]) -> str:
    """An image's size and kind in words: `28x28 grey`."""
    return f"{shape[0]}x{shape[1]} {'grey' if len(shape) == 2 else 'colour'}"


def one_each(array: np.ndarray, count: int, place: str) -> np.ndarray:
    """Return the labels of `count` images as (n,); (n, 1) is taken too, as Keras has those of CIFAR-10.

    Raises:
        ValueError: another shape.
    """
    if array.shape not in ((count,), (count, 1)):
        raise ValueError(f"{place}: expected one label for each of {count:,} images, found the shape {array.shape}")
    return array.reshape(count)


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


def names(array: np.ndarray, place: str) -> tuple[str, ...]:
    """Return the names of classes from an array of text.

    Raises:
        ValueError: no list of names, or one that is empty, too long, there twice, or has characters that do not print.
    """
    if array.ndim != 1:
        raise ValueError(f"{place}: expected a list of names, found the shape {array.shape}")
    check_count(len(array), place)
    try:
        found = [name.decode() if isinstance(name, bytes) else name for name in array.tolist()]
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


def warnings(arrays: Arrays, classes: tuple[str, ...], source: Path) -> Iterator[str]:
    """Say which classes have no test image, and how many images of equal pixels judge or teach wrongly."""
    untested = np.setdiff1d(np.arange(len(classes)), arrays["y_test"])
    if len(untested):
        yield f"{source}: test has no image of {shown(untested, classes)}"
    train, test = (digests(arrays[name]) for name in ("x_train", "x_test"))
    both = int(np.isin(test, train).sum())
    if both:
        yield f"{source}: {both:,} of {len(test):,} test images are in train too, with the same pixels"
    pairs = np.stack([np.concatenate([train, test]), np.concatenate([arrays["y_train"], arrays["y_test"]])])
    _, labels = np.unique(np.unique(pairs, axis=1)[0], return_counts=True)
    several = int((labels > 1).sum())
    if several:
        count = f"{several:,} images are" if several > 1 else "1 image is"
        yield f"{source}: {count} there under more than one label, with the same pixels"


def digests(array: np.ndarray) -> np.ndarray:
    """Return uint64 (n,): a digest of each image's pixels."""
    each = (hashlib.blake2b(image.data, digest_size=8).digest() for image in array)
    return np.frombuffer(b"".join(each), np.uint64)
