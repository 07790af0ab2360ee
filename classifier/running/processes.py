"""One stage at a time in a checkout, and no stage after the process that started it has ended."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

LOCK = Path(".dvc/tmp/stage.lock")

STARTER = "STAGE_STARTER"  # the environment variable in which `review.noise` gives its process

PATIENCE = 3.0  # seconds to wait for the lock: a stage that was left behind ends within POLL
POLL = 0.2  # seconds between two looks at what started the stage; a new dvc takes longer than this to start


@contextmanager
def only_stage_here(name: str) -> Iterator[None]:
    """Hold the checkout's lock for the block.

    Raises:
        OSError: another stage is still at work here; the message names its process.
    """
    with alone(LOCK, f"stage {name}", "this folder"):
        yield


@contextmanager
def alone(path: Path, name: str, where: str) -> Iterator[None]:
    """Hold the lock at `path` for the block; the system releases it however the process ends.

    Raises:
        OSError: another process holds it; the message names that by what it left beside the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, beside = FileLock(path, timeout=PATIENCE), path.with_suffix(".holder")
    try:
        lock.acquire()
    except Timeout:
        holder = beside.read_text() if beside.exists() else "another process"
        raise BlockingIOError(f"{holder} is still at work in {where}; wait until it ends, or end it") from None
    with lock:
        beside.write_text(f"process {os.getpid()} ({name})")
        yield


def end_with_starter(name: str) -> None:
    """Watch what started this process, if that was dvc or `review.noise`, and end the process once that is gone.

    Killed alone, either leaves its stage running, and the stage would overwrite what a later run has made.
    """
    if STARTER in os.environ:
        kind = "noise"
    elif "DVC_STAGE" in os.environ:
        kind = "dvc"
    else:
        return
    try:
        parents = psutil.Process().parents()
        if kind == "noise":
            starter = next(each for each in parents if str(each.pid) == os.environ[STARTER])
        else:  # dvc starts a stage through the user's shell, which may stay between the two
            starter = next(each for each in parents if each.cmdline()[-2:-1] != ["-c"])
            if starter.pid == 1 and "dvc" not in " ".join(starter.cmdline()):
                raise ProcessLookupError("the dvc that started this stage is gone")
    except (StopIteration, psutil.Error):
        raise ProcessLookupError(f"the {kind} that started this stage cannot be found") from None

    stderr = os.dup(2)  # which the importing of TensorFlow withholds

    def watch() -> None:
        while _lives(starter):
            time.sleep(POLL)
        with suppress(OSError):  # after noise is killed, its pipe has no reader
            os.write(stderr, f"{name}: {kind} (process {starter.pid}) is gone, so this stage ends too\n".encode())
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
