"""A user's own data set: an npz archive, a folder of IDX files, or class folders of images, read and checked."""

import re
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits

import numpy as np
from PIL import Image

from classifier.data.arrays import Arrays, find_idx, read_arrays, read_idx
from classifier.data.class_folders import check_sides, kind_of, read_class_folders, resize_image

CLASSES = range(2, 1001)
LONGEST = 100  # characters of a class's name
TO_LABELS = "`y.argmax(axis=1)` converts one-hot labels, `y.astype('int64')` floats"
TO_IMAGES = (
    "`(x * 255).round().astype('uint8')` converts floats of 0 to 1, `x.astype('uint8')` those of 0 to 255, "
    "`x.reshape(-1, height, width)` rows of pixels"
)
EMNIST = {  # the characters by label; the labels of letters begin at 1, and a small letter has that of its capital
    **dict.fromkeys(("digits", "mnist"), digits),
    **dict.fromkeys(("balanced", "bymerge"), f"{digits}{ascii_uppercase}abdefghnqrt"),
    "byclass": f"{digits}{ascii_uppercase}{ascii_lowercase}",
    "letters": f" {ascii_uppercase}",
}
EMNIST_NAME = re.compile(rf"(emnist[-_.]({'|'.join(EMNIST)}))[-_.].+", re.IGNORECASE)


def read_own(
    source: Path, seed: int, share: float, size: tuple[int, int] | None, most: int, notes: list[str]
) -> tuple[Arrays, tuple[str, ...]]:
    """Return the four arrays at `source`, and the names of the classes by label; the same files give the same arrays.

    Images are uint8 (n, height, width) or (n, height, width, 3), labels uint8 or uint16 (n,); each class has a train
    image. Labels that begin at 1 are stored as those from 0.

    Args:
        source: an npz archive of x_train, y_train, x_test, y_test and, if wanted, classes: their names; or a folder of
            the four IDX files; or class folders, see `read_class_folders`, which has the other arguments.
        notes: gets a line for each thing that was done to the data.

    Raises:
        ValueError: the data set breaks a rule; the message names the file, what was expected and what was found.
        OSError: a file or folder cannot be read.
    """
    names: dict[int, str] = {}
    if source.is_dir() and (paths := find_idx(source)):
        arrays = read_idx(paths, most)
        if emnist := EMNIST_NAME.fullmatch(paths["x_train"][0].name):
            names = _read_emnist(source, emnist, arrays, notes)
    elif source.is_dir():
        arrays = read_class_folders(source, seed, share, size, most, notes)
    else:
        arrays = read_arrays(source, most)
    try:
        images = {name: _prepare_images(arrays[name], name, size) for name in ("x_train", "x_test")}
        train, test = (kind_of(rows.shape[1:]) for rows in images.values())
        if train != test:
            raise ValueError(f"x_test must have images of the size and kind of x_train, {train}, found {test}")
        for name, rows in {"y_train": images["x_train"], "y_test": images["x_test"]}.items():
            if arrays[name].dtype.kind not in "iu" or arrays[name].size != len(rows):
                expected, found = f"integers, one for each of {len(rows):,} images", arrays[name]
                raise ValueError(f"{name} must be {expected}, found {found.dtype} {found.shape}; {TO_LABELS}")
        first, classes = _name_classes(arrays, names)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    if first:
        notes.append(f"{source}: labels begin at {first}, none is 0: label {first}, class {classes[0]}, is stored as 0")
    dtype = np.uint8 if len(classes) <= 256 else np.uint16
    labels = {name: (arrays[name].reshape(-1) - first).astype(dtype) for name in ("y_train", "y_test")}
    return images | labels, classes


def _read_emnist(source: Path, emnist: re.Match[str], arrays: Arrays, notes: list[str]) -> dict[int, str]:
    """Turn the images of EMNIST upright in `arrays`; return the names of the classes by label.

    They are in a mapping in this folder, or as published. A line of it has a label and the code point of a character,
    and of letters that of the small letter too.
    """
    arrays |= {name: arrays[name].swapaxes(1, 2).copy() for name in ("x_train", "x_test")}
    notes.append(f"{source}: images of {emnist[1]} are stored transposed: turned upright")
    names = dict(enumerate(EMNIST[emnist[2].lower()]))
    for path in source.rglob(f"{emnist[1]}-mapping.txt"):
        try:
            lines = (line.split() for line in path.read_text().splitlines() if line.strip())
            names = {int(label): chr(int(code)) for label, code, *_ in lines}
        except ValueError as error:
            raise ValueError(f"{path}: expected a label and a code point in each line, as `1 65`: {error}") from error
    return names


def _prepare_images(images: np.ndarray, name: str, size: tuple[int, int] | None) -> np.ndarray:
    """Return images as (n, height, width) or (n, height, width, 3), resized if their size is another."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.dtype != np.uint8 or not (images.ndim == 3 or images.shape[3:] == (3,)) or not len(images):
        form = "uint8 of the shape (n, height, width) or (n, height, width, 3)"
        raise ValueError(f"{name} must be {form}, found {images.dtype} {images.shape}; {TO_IMAGES}")
    if size is None:
        check_sides(*images.shape[1:3])
    elif images.shape[1:3] != size:
        return np.stack([resize_image(Image.fromarray(image), size) for image in images])
    return images


def _name_classes(arrays: Arrays, published: dict[int, str]) -> tuple[int, tuple[str, ...]]:
    """Return the first label, 0 or 1, and the names of the classes: given, published, or else their labels."""
    train, test = (set(arrays[name].ravel().tolist()) for name in ("y_train", "y_test"))
    first = int(min(train | test) == 1)
    count = arrays["classes"].size if "classes" in arrays else max(train | test) + 1 - first
    if count not in CLASSES:
        raise ValueError(f"expected {CLASSES[0]} to {CLASSES[-1]:,} classes, found {count:,}")
    labels = range(first, first + count)
    given = arrays.get("classes", np.array([published.get(label, str(label)) for label in labels]))
    names = given.ravel().astype(str).tolist()
    for name in names:
        if not name.strip() or not name.isprintable() or len(name) > LONGEST or names.count(name) > 1:
            expected = f"names of classes that differ, of 1 to {LONGEST} printable characters"
            raise ValueError(f"expected {expected}, found {name[:LONGEST]!a}")
    wrong = sorted(train.symmetric_difference(labels) | test.difference(labels))
    if wrong:
        named = ", ".join(names[label - first] if label in labels else str(label) for label in wrong[:8])
        limits = f"{first} to {labels[-1]}"
        raise ValueError(f"labels must be {limits}, and each class must have a train image; not so for {named}")
    return first, tuple(names)


def is_light(images: np.ndarray) -> bool:
    """Return whether images, uint8, are more light than dark, as ink on paper is.

    The network does not learn from many such images at the learning rate of the recipe (docs/datasets.md), and
    augmentation fills with 0. In negative both are as with MNIST.
    """
    return float(images.mean()) > 255 / 2


def count_shared_images(arrays: Arrays) -> int:
    """Return how many test images are in train too, with the same pixels."""
    train, test = ([hash(image.tobytes()) for image in arrays[name]] for name in ("x_train", "x_test"))
    return int(np.isin(test, train).sum())
