"""Read data/raw/mnist.npz, hold out validation images, and write data/processed/*.npy: NHWC in 0..1, one-hot labels."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from classifier.command import run
from classifier.data import delivered
from classifier.data.description import DataSet
from classifier.data.formats import LABELLED, Rows, open_npz, row_counts, write_npy_header
from classifier.data.held_out import hold_out
from classifier.data.splits import images_path, labels_path
from classifier.files import whole_file
from classifier.parameters import Seed, read_section
from classifier.paths import PROCESSED, RAW


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `preprocess` of params.yaml."""

    validation_images: Annotated[int, Meta(ge=0)]
    seed: Seed


def main() -> None:
    """Check the raw arrays, then write the images and labels of each split."""
    recipe = read_section("preprocess", Parameters)
    data_set = delivered.load().data_set
    with open_raw(data_set) as raw:
        labels = load_labels(raw, data_set)
        check_images(raw)
    held_out = hold_out(labels["train"], recipe.validation_images, recipe.seed)
    splits = {
        "train": {"train": ~held_out, "validation": held_out},
        "test": {"test": np.ones(len(labels["test"]), dtype=bool)},
    }
    for part, rows in splits.items():
        with open_raw(data_set) as raw:
            images = (scale_pixels(block).reshape(-1, *data_set.image_shape) for block in raw[f"x_{part}"].blocks())
            save({images_path(split): each for split, each in rows.items()}, images, data_set.image_shape)
        encoded = one_hot(labels[part], len(data_set.classes))
        save({labels_path(split): each for split, each in rows.items()}, encoded, (len(data_set.classes),))
    counts = ", ".join(f"{each.sum():,} {split}" for rows in splits.values() for split, each in rows.items())
    print(f"preprocess: {counts} images -> {PROCESSED} (float32, {'x'.join(map(str, data_set.image_shape))})")
    if held_out.sum() < recipe.validation_images:
        print(
            f"preprocess: warning: preprocess.validation_images is {recipe.validation_images:,}, but at most a quarter "
            f"of the {len(held_out):,} training images can be held out, so {held_out.sum():,} are",
            file=sys.stderr,
        )


@contextmanager
def open_raw(data_set: DataSet) -> Iterator[dict[str, Rows]]:
    """Open the raw arrays for the block to read; a ValueError in the block says how to create them again."""
    try:
        with open_npz(RAW, data_set.size, LABELLED) as raw:
            yield raw
    except ValueError as error:
        raise ValueError(f"{error}; run `dvc repro --force download` to create it again") from error


def load_labels(raw: Mapping[str, Rows], data_set: DataSet) -> dict[str, np.ndarray]:
    """Read the labels of each split.

    Raises:
        ValueError: a split has no images, images of another shape, or not a label of a class for each image.
    """
    row = data_set.arrays["x_train"].shape[1:]
    most = len(data_set.classes) - 1
    found = {}
    for split in ("train", "test"):
        images, rows = raw[f"x_{split}"].shape, raw[f"y_{split}"]
        if images[1:] != row:
            expected = f"(n, {', '.join(map(str, row))})"
            raise ValueError(f"{RAW}: x_{split} must have the shape {expected}, found {images}")
        if rows.shape != images[:1] or not images[0]:
            raise ValueError(
                f"{RAW}: y_{split} must have {images[0]:,} labels, one for each image, found the shape {rows.shape}"
            )
        labels = rows.whole()
        for at in (labels.argmin(), labels.argmax()):
            if not 0 <= labels[at] <= most:
                raise ValueError(f"{RAW}: y_{split} must be labels 0 to {most}, found {labels[at]} at row {at}")
        found[split] = labels
    return found


def check_images(raw: Mapping[str, Rows]) -> None:
    """Read all images once, so that a damaged file is refused before the first output is replaced."""
    for split in ("train", "test"):
        for _ in raw[f"x_{split}"].blocks():
            pass


def scale_pixels(images: np.ndarray) -> np.ndarray:
    """Map uint8 pixels 0..255 to float32 0..1; the shape is kept."""
    scaled: np.ndarray = np.divide(images, np.float32(255), dtype=np.float32)
    return scaled


def one_hot(labels: np.ndarray, classes: int) -> Iterator[np.ndarray]:
    """Yield blocks of labels (n,) as float32 (n, classes), with a single 1 in the column of the label."""
    columns, first = np.eye(classes, dtype=np.float32), 0
    for count in row_counts((len(labels), classes), columns.itemsize):
        yield columns[labels[first : first + count]]
        first += count


def save(rows: Mapping[Path, np.ndarray], blocks: Iterable[np.ndarray], row_shape: tuple[int, ...]) -> None:
    """Write the chosen rows of an array to a npy file for each path, whole or not at all.

    Args:
        rows: bool (n,) for each path, true for the rows to write.
        blocks: float32 (n, *row_shape) in blocks, each of which is read once.
    """
    with ExitStack() as opened:
        files = [opened.enter_context(opened.enter_context(whole_file(path)).open("wb")) for path in rows]
        for file, chosen in zip(files, rows.values(), strict=True):
            write_npy_header(file, (int(chosen.sum()), *row_shape), np.dtype(np.float32))
        first = 0
        for block in blocks:
            for file, chosen in zip(files, rows.values(), strict=True):
                file.write(block[chosen[first : first + len(block)]].data)
            first += len(block)


if __name__ == "__main__":
    run("preprocess", main)
