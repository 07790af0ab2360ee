"""Run a stage from the shell: an error that a user can cause gives one line on stderr and exit status 1."""

import gc
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

# They change the kernels of NumPy and the C library, which read them before a stage could unset them.
REFUSED = ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "GLIBC_TUNABLES")


def run(name: str, main: Callable[[], None]) -> None:
    """Run the `main` of a stage; print ValueError (bad input) and OSError (disk, network, lock) as one line.

    Any other exception is a defect and keeps its traceback. With `python -X dev -m stages.NAME` all do.
    """
    gc.freeze()  # without imported objects, garbage collection at the end of preprocess is 0.4 s faster
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every locale has the characters of Keras's table
    try:
        refuse_other_kernels()
        end_with_starter(name)
        with only_stage_here(name):
            main()
    except (ValueError, OSError) as error:
        if sys.flags.dev_mode:
            raise
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"{name}: interrupted; each output is either the old file or the complete new one", file=sys.stderr)
        raise SystemExit(130) from None  # 128 + SIGINT, the convention of shells


def refuse_other_kernels() -> None:
    """Refuse environment variables that change the last bits of results of NumPy and the C library.

    OPENBLAS_* are allowed, because no stage computes with BLAS.

    Raises:
        ValueError: one is set.
    """
    for name in REFUSED:
        value = os.environ.get(name, "")
        if value and (name != "GLIBC_TUNABLES" or "glibc.cpu." in value):
            raise ValueError(f"the environment variable {name} is {value!r}, which changes results; unset it")


def one_line(message: object) -> str:
    """Return a message or an error as one line of printable characters."""
    return printable(" ".join(str(message).split()))


def printable(text: str) -> str:
    """Escape characters that are not printable: control characters, line breaks, marks of text direction."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


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
