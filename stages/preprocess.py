"""Read data/raw/mnist.npz, hold out validation images, and write data/processed/*.npy: NHWC in 0..1, one-hot labels."""

import sys
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from classifier.command import run
from classifier.data.arrays import BLOCK, blocks_of, check_arrays, map_npz
from classifier.data.data_set import HOW_TO_RENEW, DataSet, read_data_set
from classifier.data.held_out import hold_out
from classifier.data.splits import images_path, labels_path
from classifier.files import whole_file
from classifier.parameters import Seed, read_section
from classifier.paths import PROCESSED, RAW

Convert = Callable[[np.ndarray], np.ndarray]  # of a block of rows to float32


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `preprocess` of params.yaml."""

    validation_images: Annotated[int, Meta(ge=0)]
    seed: Seed


def main() -> None:
    """Check the raw arrays, then write the images and labels of each split."""
    recipe = read_section("preprocess", Parameters)
    data_set = read_data_set()
    raw = open_raw(data_set)
    held_out = hold_out(raw["y_train"], recipe.validation_images, recipe.seed)
    everything = np.ones(len(raw["y_test"]), dtype=bool)
    splits = {"train": ("train", ~held_out), "validation": ("train", held_out), "test": ("test", everything)}
    one_hot = np.eye(len(data_set.classes), dtype=np.float32)
    for split, (part, chosen) in splits.items():
        save_rows(images_path(split), raw[f"x_{part}"], chosen, data_set.image_shape, scale_pixels)
        save_rows(labels_path(split), raw[f"y_{part}"], chosen, one_hot.shape[1:], lambda labels: one_hot[labels])
    counts = ", ".join(f"{chosen.sum():,} {split}" for split, (_, chosen) in splits.items())
    print(f"preprocess: {counts} images -> {PROCESSED} (float32, {'x'.join(map(str, data_set.image_shape))})")
    if held_out.sum() < recipe.validation_images:
        print(
            f"preprocess: warning: preprocess.validation_images is {recipe.validation_images:,}, but at most a quarter "
            f"of the {len(held_out):,} training images can be held out, so {held_out.sum():,} are",
            file=sys.stderr,
        )


def open_raw(data_set: DataSet) -> dict[str, np.memmap]:
    """Map the raw arrays into memory. Raises ValueError unless they are those that dataset.json describes."""
    try:
        raw = map_npz(RAW)
        check_arrays(raw, data_set, str(RAW))
        for name in ("y_train", "y_test"):
            if raw[name].max() >= len(data_set.classes):
                raise ValueError(f"{RAW}: {name} must be labels 0 to {len(data_set.classes) - 1}")
    except ValueError as error:
        raise ValueError(f"{error}; {HOW_TO_RENEW}") from error
    return raw


def scale_pixels(images: np.ndarray) -> np.ndarray:
    """Map uint8 pixels 0..255 to float32 0..1; the shape is kept."""
    scaled: np.ndarray = np.divide(images, np.float32(255), dtype=np.float32)
    return scaled


def save_rows(path: Path, array: np.memmap, chosen: np.ndarray, row_shape: tuple[int, ...], convert: Convert) -> None:
    """Write the rows for which `chosen`, bool (n,), is true as npy, whole or not at all, a block at a time.

    `row_shape` is that of the rows after `convert`, which may leave out an axis of length 1.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": (int(chosen.sum()), *row_shape)}
    size = BLOCK * array[0].nbytes // (4 * prod(row_shape))  # so that converted blocks have BLOCK bytes
    with whole_file(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        first = 0
        for block in blocks_of(array, size):
            file.write(np.ascontiguousarray(convert(block[chosen[first : first + len(block)]])).data)
            first += len(block)


if __name__ == "__main__":
    run("preprocess", main)
