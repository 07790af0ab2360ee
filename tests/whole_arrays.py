"""Data sets with whole arrays, which the pipeline reads in blocks: what the tests compare."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier.data.description import Array
from classifier.data.formats import Arrays, open_npz
from classifier.data.idx import open_idx
from classifier.data.own.checks import warnings
from classifier.data.own.data_set import open_own


@dataclass(frozen=True)
class Own:
    """A user's data set in memory, with the warnings about it."""

    arrays: Arrays
    classes: tuple[str, ...]
    warnings: tuple[str, ...]


def read_npz(path: Path, cap: int) -> Arrays:
    with open_npz(path, cap) as arrays:
        return {name: rows.whole() for name, rows in arrays.items()}


def read_idx(folder: Path, cap: int) -> Arrays:
    return {name: rows.whole() for name, rows in open_idx(folder, cap).items()}


def load_own(
    source: Path, seed: int, test_share: float, resize: tuple[int, int] | None, most_bytes: int = 2**30
) -> Own:
    with open_own(source, seed, test_share, resize, most_bytes) as own:
        arrays = {name: rows.whole() for name, rows in own.arrays.items()}
        return Own(arrays, own.classes, tuple(warnings(own.arrays, own.classes, source)))


def identities(arrays: Arrays) -> dict[str, Array]:
    """The shapes and hashes of these arrays, as in the catalogue."""
    return {
        name: Array(array.shape, hashlib.sha256(np.ascontiguousarray(array)).hexdigest())
        for name, array in arrays.items()
    }
