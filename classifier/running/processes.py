"""Run one stage at a time in a checkout, and end a stage when the process that started it has ended."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

LOCK = Path(".dvc/tmp/stage.lock")

PATIENCE = 3.0  # seconds to wait for the lock: a stage whose dvc was killed ends within POLL
POLL = 0.2  # seconds between checks of the process that started the stage; a new dvc takes longer to start


@contextmanager
def only_stage_here(name: str) -> Iterator[None]:
    """Hold the lock of this checkout during the block.

    Raises:
        OSError: another stage is running here; the message names its process.
    """
    with alone(LOCK, f"stage {name}", "this folder"):
        yield


@contextmanager
def alone(path: Path, name: str, where: str) -> Iterator[None]:
    """Hold the lock at `path` during the block; the system releases it when the process ends, even if killed.

    Raises:
        OSError: another process holds it; the message names that process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, beside = FileLock(path, timeout=PATIENCE), path.with_suffix(".holder")
    try:
        lock.acquire()
    except Timeout:
        holder = beside.read_text() if beside.exists() else "another process"
        raise BlockingIOError(f"{holder} is still running in {where}; wait until it ends, or end it") from None
    with lock:
        beside.write_text(f"process {os.getpid()} ({name})")
        yield


def end_with_starter(name: str) -> None:
    """If dvc started this stage, end the stage when dvc ends.

    If only dvc is killed, the stage would run on and overwrite the results of a later run.
    """
    if "DVC_STAGE" not in os.environ:
        return
    try:
        # dvc starts a stage through the user's shell, which may be the parent of the stage
        starter = next(each for each in psutil.Process().parents() if each.cmdline()[-2:-1] != ["-c"])
        if starter.pid == 1 and "dvc" not in " ".join(starter.cmdline()):
            raise ProcessLookupError("the dvc that started this stage has ended")
    except (StopIteration, psutil.Error):
        raise ProcessLookupError("the dvc that started this stage cannot be found") from None

    stderr = os.dup(2)  # the import of TensorFlow holds back stderr itself

    def watch() -> None:
        while _is_running(starter):
            time.sleep(POLL)
        with suppress(OSError):  # nobody may read the pipe
            os.write(stderr, f"{name}: dvc (process {starter.pid}) has ended, so this stage ends too\n".encode())
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
