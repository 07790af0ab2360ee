"""Keep the state of a training after each epoch, so that a training that was killed goes on to the same bytes.

A checkpoint is a cache, not an output: only a training of the same code, parameters, data, versions and machine reads
it. A checkout has one, because only one stage runs there at a time.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.files import whole_file

if TYPE_CHECKING:
    import keras

PATH = Path(".dvc/tmp/checkpoints/training.checkpoint")

CODE = Path(__file__).parents[1]  # the modules that stages are made of

History = list[dict[str, float]]  # the metrics of each epoch


def digests(files: Iterable[Path]) -> dict[str, str]:
    """Return the MD5 of each file, as DVC takes it, by path."""
    hashed = {}
    for path in files:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False))
        hashed[path.as_posix()] = md5.hexdigest()
    return hashed


def save(network: "keras.Model", history: History, belongs_to: str) -> None:
    """Write the state of the network and of its optimizer, the history, and all that the weights depend on.

    Raises:
        OSError: the file cannot be written.
    """
    about = {"history": np.array(json.dumps(history)), "belongs_to": np.array(belongs_to)}
    state = {f"{number:04}": np.asarray(variable) for number, variable in enumerate(_variables(network))}
    with whole_file(PATH) as path, path.open("wb") as file:
        np.savez(file, allow_pickle=False, **about, **state)


def resume(network: "keras.Model", belongs_to: str) -> History:
    """Give the network the state that `save` wrote for the same training; return its history, [] if there is none."""
    if not PATH.exists():
        return []
    with np.load(PATH) as file:
        state = dict(file)
    history, owner = state.pop("history"), state.pop("belongs_to")
    if str(owner) != belongs_to:
        return []
    for variable, value in zip(_variables(network), state.values(), strict=True):
        variable.assign(value)
    epochs: History = json.loads(str(history))
    return epochs


def _variables(network: "keras.Model") -> list[Any]:
    return [*network.weights, *network.optimizer.variables]
