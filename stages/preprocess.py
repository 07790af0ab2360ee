"""Read data/raw/mnist.npz, hold out validation images, and write data/processed/*.npy: NHWC in 0..1, one-hot labels."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from classifier.command import run
from classifier.data.arrays import Arrays, check_arrays, read_npz
from classifier.data.data_set import HOW_TO_RENEW, DataSet, read_data_set
from classifier.data.held_out import hold_out
from classifier.data.splits import images_path, labels_path
from classifier.files import whole_file
from classifier.parameters import Seed, read_section
from classifier.paths import PROCESSED, RAW

BLOCK = 500  # rows to convert at once: as float32, all images have four times the bytes


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `preprocess` of params.yaml."""

    validation_images: Annotated[int, Meta(ge=0)]
    seed: Seed


def main() -> None:
    """Check the raw arrays, then write the images and labels of each split."""
    recipe = read_section("preprocess", Parameters)
    data_set = read_data_set()
    raw = read_raw(data_set)
    held_out = hold_out(raw["y_train"], recipe.validation_images, recipe.seed)
    everything = np.ones(len(raw["y_test"]), dtype=bool)
    splits = {"train": ("train", ~held_out), "validation": ("train", held_out), "test": ("test", everything)}
    scale = (lambda block: scale_pixels(255 - block)) if data_set.inverted else scale_pixels
    one_hot = np.eye(len(data_set.classes), dtype=np.float32)
    for split, (part, chosen) in splits.items():
        images, labels = raw[f"x_{part}"].reshape(-1, *data_set.image_shape), raw[f"y_{part}"]
        save_rows(images_path(split), images, np.flatnonzero(chosen), scale)
        save_rows(labels_path(split), labels, np.flatnonzero(chosen), lambda block: one_hot[block])
    counts = ", ".join(f"{chosen.sum():,} {split}" for split, (_, chosen) in splits.items())
    print(f"preprocess: {counts} images -> {PROCESSED} (float32, {'x'.join(map(str, data_set.image_shape))})")
    if held_out.sum() < recipe.validation_images:
        most = f"at most a quarter of the {len(held_out):,} training images can be held out, so {held_out.sum():,} are"
        warning = f"preprocess.validation_images is {recipe.validation_images:,}, but {most}"
        print(f"preprocess: warning: {warning}", file=sys.stderr)


def read_raw(data_set: DataSet) -> Arrays:
    """Read the raw arrays. Raises ValueError unless they are those that dataset.json describes."""
    try:
        raw = read_npz(RAW, RAW.stat().st_size)  # what download writes is not packed
        check_arrays(raw, data_set, str(RAW))
        for name in ("y_train", "y_test"):
            if raw[name].max() >= len(data_set.classes):
                raise ValueError(f"{RAW}: {name} must be labels 0 to {len(data_set.classes) - 1}")
    except ValueError as error:
        raise ValueError(f"{error}; {HOW_TO_RENEW}") from error
    return raw


def scale_pixels(images: np.ndarray) -> np.ndarray:
    """Map uint8 pixels 0..255 to float32 0..1; the shape is kept."""
    return np.asarray(np.divide(images, np.float32(255), dtype=np.float32))


def save_rows(path: Path, array: np.ndarray, rows: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write these rows of an array, converted to float32, as npy, whole or not at all."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), *convert(array[:1]).shape[1:])}
    with whole_file(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, len(rows), BLOCK):
            file.write(convert(array[rows[first : first + BLOCK]]).data)


if __name__ == "__main__":
    run("preprocess", main)
