"""A user's own data set: an npz archive, a folder of IDX files, or class folders of images, read and checked."""

from pathlib import Path

import numpy as np
from PIL import Image

from classifier.data.arrays import Arrays, find_idx, read_arrays
from classifier.data.class_folders import check_sides, kind_of, read_class_folders, resize_image

CLASSES = range(2, 1001)
LONGEST = 100  # characters of a class's name


def read_own(
    source: Path, seed: int, share: float, size: tuple[int, int] | None, most: int, notes: list[str]
) -> tuple[Arrays, tuple[str, ...]]:
    """Return the four arrays at `source`, and the names of the classes by label; the same files give the same arrays.

    Images are uint8 (n, height, width) or (n, height, width, 3), labels uint8 or uint16 (n,); each class has a train
    image.

    Args:
        source: an npz archive of x_train, y_train, x_test, y_test and, if wanted, classes: their names; or a folder of
            the four IDX files; or class folders, see `read_class_folders`, which has the other arguments.
        notes: gets a line for each thing that was done to the data.

    Raises:
        ValueError: the data set breaks a rule; the message names the file, what was expected and what was found.
        OSError: a file or folder cannot be read.
    """
    if source.is_dir() and not find_idx(source):
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
                expected = f"integers, one for each of {len(rows):,} images"
                raise ValueError(f"{name} must be {expected}, found {arrays[name].dtype} {arrays[name].shape}")
        classes = _name_classes(arrays)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    dtype = np.uint8 if len(classes) <= 256 else np.uint16
    labels = {name: arrays[name].reshape(-1).astype(dtype) for name in ("y_train", "y_test")}
    return images | labels, classes


def _prepare_images(images: np.ndarray, name: str, size: tuple[int, int] | None) -> np.ndarray:
    """Return images as (n, height, width) or (n, height, width, 3), resized if their size is another."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.dtype != np.uint8 or not (images.ndim == 3 or images.shape[3:] == (3,)) or not len(images):
        form = "uint8 of the shape (n, height, width) or (n, height, width, 3)"
        raise ValueError(f"{name} must be {form}, found {images.dtype} {images.shape}")
    if size is None:
        check_sides(*images.shape[1:3])
    elif images.shape[1:3] != size:
        return np.stack([resize_image(Image.fromarray(image), size) for image in images])
    return images


def _name_classes(arrays: Arrays) -> tuple[str, ...]:
    """Return the names of the classes, or their numbers if they have no names."""
    train, test = (set(arrays[name].ravel().tolist()) for name in ("y_train", "y_test"))
    count = arrays["classes"].size if "classes" in arrays else max(train | test) + 1
    if count not in CLASSES:
        raise ValueError(f"expected {CLASSES[0]} to {CLASSES[-1]:,} classes, found {count:,}")
    names = arrays.get("classes", np.arange(count)).ravel().astype(str).tolist()
    for name in names:
        if not name.strip() or not name.isprintable() or len(name) > LONGEST or names.count(name) > 1:
            expected = f"names of classes that differ, of 1 to {LONGEST} printable characters"
            raise ValueError(f"expected {expected}, found {name[:LONGEST]!a}")
    wrong = sorted(train.symmetric_difference(range(count)) | test.difference(range(count)))
    if wrong:
        named = ", ".join(names[label] if label in range(count) else str(label) for label in wrong[:8])
        raise ValueError(f"labels must be 0 to {count - 1}, and each class must have a train image; not so for {named}")
    return tuple(names)


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
