"""One stage at a time in a checkout, and none that outlives the dvc which started it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

LOCK = Path(".dvc/tmp/stage.lock")
HOLDER = Path(".dvc/tmp/stage.holder")

PATIENCE = 3.0  # seconds to wait for the lock: a stage that dvc left behind ends within POLL
POLL = 0.2  # seconds between two looks at dvc; a new dvc takes longer than this to start


@contextmanager
def only_stage_here(name: str) -> Iterator[None]:
    """Hold the checkout's lock for the block; the system releases it however the process ends.

    Raises:
        OSError: another stage is still at work here; the message names its process.
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCK, timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        holder = HOLDER.read_text() if HOLDER.exists() else "another stage"
        raise BlockingIOError(f"{holder} is still at work in this folder; wait until it ends, or end it") from None
    with lock:
        HOLDER.write_text(f"process {os.getpid()} (stage {name})")
        yield


def end_with_dvc(name: str) -> None:
    """Watch the dvc that started this process, if one did, and end the process once that is gone.

    Killed alone, dvc leaves its stage running, and the stage would overwrite what a later run has made.
    """
    if "DVC_STAGE" not in os.environ:
        return
    try:
        # dvc starts a stage through the user's shell, which may stay between the two.
        dvc = next(each for each in psutil.Process().parents() if each.cmdline()[-2:-1] != ["-c"])
        if dvc.pid == 1 and "dvc" not in " ".join(dvc.cmdline()):
            raise ProcessLookupError("the dvc that started this stage is gone")
    except (StopIteration, psutil.Error):
        raise ProcessLookupError("the dvc that started this stage cannot be found") from None

    stderr = os.dup(2)  # which the importing of TensorFlow withholds

    def watch() -> None:
        while _lives(dvc):
            time.sleep(POLL)
        os.write(stderr, f"{name}: dvc (process {dvc.pid}) is gone, so this stage ends too\n".encode())
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
