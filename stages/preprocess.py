"""Read data/raw/mnist.npz and write data/processed/*.npy: float32 NHWC images in 0..1 and one-hot labels."""

from pathlib import Path

import numpy as np

from stages.archive import RAW, Arrays, read_npz
from stages.command import run
from stages.dataset import CLASSES, PROCESSED, images_path, labels_path
from stages.whole_file import whole_file

CAP = 2**30  # bytes of raw arrays; MNIST has 55 MB


def main() -> None:
    """Refuse a raw file that breaks its contract, then write each split's images and labels."""
    raw = read_npz(RAW, CAP)
    check_raw(raw)
    for split in ("train", "test"):
        save(images_path(split), scale_pixels(raw[f"x_{split}"])[..., np.newaxis])
        save(labels_path(split), one_hot(raw[f"y_{split}"]))
    counts = f"{len(raw['x_train']):,} train and {len(raw['x_test']):,} test images"
    print(f"preprocess: {counts} -> {PROCESSED} (float32, 28x28x1)")


def check_raw(raw: Arrays) -> None:
    """Raise ValueError unless each split is (n, 28, 28) images with as many labels 0 to 9, n at least 1."""
    for split in ("train", "test"):
        images, labels = raw[f"x_{split}"], raw[f"y_{split}"]
        if images.shape[1:] != (28, 28):
            raise ValueError(f"{RAW}: x_{split} must have the shape (n, 28, 28), found {images.shape}")
        if labels.shape != (len(images),) or not len(labels):
            raise ValueError(
                f"{RAW}: y_{split} must be one label for each of {len(images):,} images, found the shape {labels.shape}"
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
    """Write an array in C order, whole or not at all."""
    with whole_file(path) as partial:
        np.save(partial, np.ascontiguousarray(array))


if __name__ == "__main__":
    run("preprocess", main)
