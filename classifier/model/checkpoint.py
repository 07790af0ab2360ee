"""Keep the state of a training after each epoch, so that a training that was killed goes on to the same bytes.

A checkpoint is a cache, not an output: it is read only by a training of the same code, parameters, data, versions and
machine, and it is removed when that training has written its outputs.
"""

import hashlib
import io
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from classifier.files import whole_file

if TYPE_CHECKING:
    import keras

UNUSED = 7 * 86_400  # seconds after which the files of a training that did not go on are removed

CODE = Path(__file__).parents[1]  # the modules that stages are made of

History = list[dict[str, float]]  # the metrics of each epoch


def folder() -> Path:
    """Return where checkpoints are: .dvc/tmp/checkpoints of the checkout.

    An experiment in a temporary folder, and a seed of `review.noise`, run inside .dvc/tmp of a checkout. Their
    checkpoints are in that checkout, because DVC may delete the folder and make another one.
    """
    around = [each for each in Path.cwd().parents if each.name == ".dvc"]
    return (around[-1] if around else Path(".dvc")) / "tmp/checkpoints"


def digest(stage: Path, data: Iterable[Path]) -> str:
    """Return a hash of the code, which is the file of the stage and all modules of stages, and of the data."""
    hashed = hashlib.sha256()
    for path in [stage, *sorted(CODE.rglob("*.py")), *data]:
        with path.open("rb") as file:
            hashed.update(hashlib.file_digest(file, "sha256").digest())
    return hashed.hexdigest()


@contextmanager
def reserve(belongs_to: Any) -> Iterator[Path | None]:
    """Yield the path of the checkpoint of a training, and remove the file if the block succeeds.

    If another process runs the same training at the same time, yield None: only that process keeps checkpoints.

    Args:
        belongs_to: all that the weights depend on, as JSON.
    """
    name = hashlib.sha256(json.dumps(belongs_to, sort_keys=True).encode()).hexdigest()[:16]
    path = folder() / f"{name}.checkpoint"
    lock = FileLock(path.with_suffix(".lock"), timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_unused(path.parent)
        lock.acquire()
    except (OSError, Timeout) as error:
        reason = "another process runs the same training" if isinstance(error, Timeout) else error
        print(f"train: warning: no checkpoints are kept: {reason}", file=sys.stderr)
    try:
        yield path if lock.is_locked else None
        if lock.is_locked:
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
    finally:
        lock.release()


def _remove_unused(where: Path) -> None:
    for path in where.iterdir():
        with suppress(OSError):  # another training may remove it at the same time
            if path.stat().st_mtime < time.time() - UNUSED:
                path.unlink()


def save(path: Path, network: "keras.Model", history: History) -> None:
    """Write the state of the network and of its optimizer, and the history, after a SHA-256 of all of it.

    Raises:
        OSError: the file cannot be written.
    """
    content = io.BytesIO()
    state = {f"{number:04}": np.asarray(variable) for number, variable in enumerate(_variables(network))}
    np.savez(content, allow_pickle=False, history=np.array(json.dumps(history)), **state)
    with whole_file(path) as partial:
        partial.write_bytes(hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())
    with suppress(OSError):
        path.with_suffix(".lock").touch()  # it is in use


def load(path: Path, network: "keras.Model") -> History:
    """Give the network the state that `save` wrote and return the history, or [] if there is no whole checkpoint."""
    if not path.exists():
        return []
    content = path.read_bytes()
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        print(f"train: warning: {path} is damaged, so training starts anew", file=sys.stderr)
        return []
    with np.load(io.BytesIO(content[32:]), allow_pickle=False) as state:
        history: History = json.loads(str(state["history"]))
        network.optimizer.build(network.trainable_variables)
        for number, variable in enumerate(_variables(network)):
            variable.assign(state[f"{number:04}"])
    return history


def _variables(network: "keras.Model") -> list[Any]:
    return [*network.weights, *network.optimizer.variables]
