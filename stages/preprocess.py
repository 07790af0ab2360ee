"""Read data/raw/mnist.npz, hold out validation images, and write data/processed/*.npy: NHWC in 0..1, one-hot labels."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from classifier.data import delivered
from classifier.data.description import DataSet
from classifier.data.formats import ALL_UINT8, Arrays, read_npz
from classifier.data.splits import images_path, labels_path
from classifier.files.paths import PROCESSED, RAW
from classifier.files.whole_file import whole_file
from classifier.running import parameters
from classifier.running.command import run

CAP = 2**30 + 2**16  # bytes of raw arrays and their headers; MNIST has 55 MB
CONTENTS = {**ALL_UINT8, "y_train": "integers", "y_test": "integers"}


@dataclass(frozen=True)
class Parameters:
    """The section `preprocess` of params.yaml."""

    validation_images: int = parameters.whole_number(at_least=0)
    seed: int = parameters.whole_number(at_least=0, at_most=2**32 - 1)  # NumPy's range


def main() -> None:
    """Check the raw arrays, then write the images and labels of each split."""
    recipe = parameters.load("preprocess", Parameters)
    data_set = delivered.load().data_set
    try:
        raw = read_npz(RAW, CAP, CONTENTS)
        check_raw(raw, data_set)
    except ValueError as error:
        raise ValueError(f"{error}; run `dvc repro --force download` to create it again") from error
    held_out = hold_out(raw["y_train"], recipe.validation_images, recipe.seed)
    splits = {
        "train": (raw["x_train"][~held_out], raw["y_train"][~held_out]),
        "validation": (raw["x_train"][held_out], raw["y_train"][held_out]),
        "test": (raw["x_test"], raw["y_test"]),
    }
    for split, (images, labels) in splits.items():
        save(images_path(split), scale_pixels(images).reshape(-1, *data_set.image_shape))
        save(labels_path(split), one_hot(labels, len(data_set.classes)))
    counts = ", ".join(f"{len(labels):,} {split}" for split, (_, labels) in splits.items())
    print(f"preprocess: {counts} images -> {PROCESSED} (float32, {'x'.join(map(str, data_set.image_shape))})")
    if held_out.sum() < recipe.validation_images:
        print(
            f"preprocess: warning: preprocess.validation_images is {recipe.validation_images:,}, but at most a quarter "
            f"of the {len(held_out):,} training images can be held out, so {held_out.sum():,} are",
            file=sys.stderr,
        )


def hold_out(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose `count` rows of `labels`, at most a quarter of all, so that each class keeps its share.

    Args:
        labels: integers (n,).

    Returns:
        bool (n,), true for the rows held out.

    Raises:
        ValueError: `count` is less than the number of classes, or a class has only one row.
    """
    held_out = np.zeros(len(labels), dtype=bool)
    count = min(count, len(labels) // 4)
    if count:
        try:
            _, rows = train_test_split(np.arange(len(labels)), test_size=count, random_state=seed, stratify=labels)
        except ValueError as error:
            raise ValueError(
                f"preprocess.validation_images cannot be {count:,} for these images: {error}; 0 holds out none"
            ) from error
        held_out[rows] = True
    return held_out


def check_raw(raw: Arrays, data_set: DataSet) -> None:
    """Raise ValueError unless each split has at least one image of the right shape, and a label of a class for each."""
    row = data_set.arrays["x_train"].shape[1:]
    most = len(data_set.classes) - 1
    for split in ("train", "test"):
        images, labels = raw[f"x_{split}"], raw[f"y_{split}"]
        if images.shape[1:] != row:
            expected = f"(n, {', '.join(map(str, row))})"
            raise ValueError(f"{RAW}: x_{split} must have the shape {expected}, found {images.shape}")
        if labels.shape != (len(images),) or not len(labels):
            raise ValueError(
                f"{RAW}: y_{split} must have {len(images):,} labels, one for each image, found the shape {labels.shape}"
            )
        for at in (labels.argmin(), labels.argmax()):
            if not 0 <= labels[at] <= most:
                raise ValueError(f"{RAW}: y_{split} must be labels 0 to {most}, found {labels[at]} at row {at}")


def scale_pixels(images: np.ndarray) -> np.ndarray:
    """Map uint8 pixels 0..255 to float32 0..1; the shape is kept."""
    scaled: np.ndarray = np.divide(images, np.float32(255), dtype=np.float32)
    return scaled


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Map labels (n,) to float32 (n, classes) with a single 1 in the column of the label."""
    encoded: np.ndarray = np.eye(classes, dtype=np.float32)[labels]
    return encoded


def save(path: Path, array: np.ndarray) -> None:
    """Write an array in C order to a npy file, whole or not at all."""
    with whole_file(path) as partial:
        np.save(partial, np.ascontiguousarray(array))


if __name__ == "__main__":
    run("preprocess", main)
