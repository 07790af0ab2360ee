"""Read data/raw/mnist.npz, hold out validation images, and write data/processed/*.npy: NHWC in 0..1, one-hot labels."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from classifier.data.formats import Arrays, read_npz
from classifier.data.splits import CLASSES, images_path, labels_path
from classifier.files.paths import PROCESSED, RAW
from classifier.files.whole_file import whole_file
from classifier.running import parameters
from classifier.running.command import run

CAP = 2**30  # bytes of raw arrays; MNIST has 55 MB


@dataclass(frozen=True)
class Parameters:
    """The section `preprocess` of params.yaml."""

    validation_images: int = parameters.whole_number(at_least=0)
    seed: int = parameters.whole_number(at_least=0, at_most=2**32 - 1)  # NumPy's range


def main() -> None:
    """Check the raw arrays, then write the images and labels of each split."""
    recipe = parameters.load("preprocess", Parameters)
    try:
        raw = read_npz(RAW, CAP)
        check_raw(raw)
    except ValueError as error:
        raise ValueError(f"{error}; run `dvc repro --force download` to create it again") from error
    held_out = hold_out(raw["y_train"], recipe.validation_images, recipe.seed)
    splits = {
        "train": (raw["x_train"][~held_out], raw["y_train"][~held_out]),
        "validation": (raw["x_train"][held_out], raw["y_train"][held_out]),
        "test": (raw["x_test"], raw["y_test"]),
    }
    for split, (images, labels) in splits.items():
        save(images_path(split), scale_pixels(images)[..., np.newaxis])
        save(labels_path(split), one_hot(labels))
    counts = ", ".join(f"{len(labels):,} {split}" for split, (_, labels) in splits.items())
    print(f"preprocess: {counts} images -> {PROCESSED} (float32, 28x28x1)")
    if held_out.sum() < recipe.validation_images:
        print(
            f"preprocess: warning: preprocess.validation_images is {recipe.validation_images:,}, but at most a quarter "
            f"of the {len(held_out):,} training images can be held out, so {held_out.sum():,} are",
            file=sys.stderr,
        )


def hold_out(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose `count` rows of `labels`, at most a quarter of all, so that each digit keeps its share.

    Args:
        labels: uint8 (n,), digits.

    Returns:
        bool (n,), true for the rows held out.

    Raises:
        ValueError: `count` is less than the number of digits, or a digit has only one row.
    """
    held_out = np.zeros(len(labels), dtype=bool)
    count = min(count, len(labels) // 4)
    if count:
        try:
            _, rows = train_test_split(np.arange(len(labels)), test_size=count, random_state=seed, stratify=labels)
        except ValueError as error:
            raise ValueError(f"preprocess.validation_images cannot be {count:,} for these images: {error}") from error
        held_out[rows] = True
    return held_out


def check_raw(raw: Arrays) -> None:
    """Raise ValueError unless each split has n >= 1 images (n, 28, 28) and n labels 0 to 9."""
    for split in ("train", "test"):
        images, labels = raw[f"x_{split}"], raw[f"y_{split}"]
        if images.shape[1:] != (28, 28):
            raise ValueError(f"{RAW}: x_{split} must have the shape (n, 28, 28), found {images.shape}")
        if labels.shape != (len(images),) or not len(labels):
            raise ValueError(
                f"{RAW}: y_{split} must have {len(images):,} labels, one for each image, found the shape {labels.shape}"
            )
        if labels.max() >= CLASSES:
            raise ValueError(f"{RAW}: y_{split} must be digits 0 to 9, found {labels.max()} at row {np.argmax(labels)}")


def scale_pixels(images: np.ndarray) -> np.ndarray:
    """Map uint8 pixels 0..255 to float32 0..1; the shape is kept."""
    scaled: np.ndarray = np.divide(images, np.float32(255), dtype=np.float32)
    return scaled


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Map uint8 digits (n,) to float32 (n, 10) with a single 1 in the column of the digit."""
    encoded: np.ndarray = np.eye(CLASSES, dtype=np.float32)[labels]
    return encoded


def save(path: Path, array: np.ndarray) -> None:
    """Write an array in C order to a npy file, whole or not at all."""
    with whole_file(path) as partial:
        np.save(partial, np.ascontiguousarray(array))


if __name__ == "__main__":
    run("preprocess", main)
