"""The processed arrays: their paths, and the shapes and types that preprocess writes and later stages expect.

The shape of an image and the number of classes are those in data/raw/dataset.json.
"""

from pathlib import Path

import numpy as np

from classifier.data.data_set import read_data_set
from classifier.paths import PROCESSED

HOW_TO_RENEW = "run `dvc repro --force preprocess` to create it again"

COMPARED = 1000  # training images that are enough, without validation images


def images_path(split: str) -> Path:
    """Return the path of the images of a split: float32 (n, height, width, channels), 0..1."""
    return PROCESSED / f"{split}_images.npy"


def labels_path(split: str) -> Path:
    """Return the path of the labels of a split: float32 (n, classes), one-hot."""
    return PROCESSED / f"{split}_labels.npy"


def map_split(split: str) -> tuple[np.memmap, np.memmap]:
    """Map the images and labels of a split into memory, read-only; only validation may be empty.

    Raises:
        ValueError: a file has another dtype or shape, no images, or not one label for each image.
        OSError: a file is missing.
    """
    data_set = read_data_set()
    images = _map_rows(images_path(split), data_set.image_shape)
    labels = _map_rows(labels_path(split), (len(data_set.classes),))
    if not len(images) and split != "validation":
        raise ValueError(f"{images_path(split)}: expected at least one image, found none; {HOW_TO_RENEW}")
    if len(images) != len(labels):
        raise ValueError(f"{labels_path(split)}: {len(labels):,} labels of {len(images):,} images; {HOW_TO_RENEW}")
    return images, labels


def map_compared() -> tuple[str, np.ndarray, np.ndarray]:
    """Map the images that train and export both predict: validation or, if it is empty, some of all parts of train.

    Returns:
        The name of the split, the images and their labels.
    """
    images, labels = map_split("validation")
    if len(images):
        return "validation", images, labels
    images, labels = map_split("train")
    step = max(1, len(images) // COMPARED)  # they may be sorted by class
    return "train", images[::step], labels[::step]


def _map_rows(path: Path, row_shape: tuple[int, ...]) -> np.memmap:
    try:
        array: np.memmap = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise ValueError(f"{path}: not a whole npy file: {error}; {HOW_TO_RENEW}") from error
    if array.dtype != np.float32 or array.shape[1:] != row_shape:
        expected = f"float32 (n, {', '.join(map(str, row_shape))})"
        raise ValueError(f"{path}: expected {expected}, found {array.dtype} {array.shape}; {HOW_TO_RENEW}")
    return array
