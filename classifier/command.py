"""Run a stage or a command from the shell: an error that a user can cause is one line on stderr, never a traceback."""

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from classifier.inputs import unchanged_inputs

# They change the kernels of NumPy and the C library, which read them before a stage could unset them.
REFUSED = ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "GLIBC_TUNABLES")
PACKAGES = {"dvc", "scmrepo", "_pygit2", "ruamel"}  # a user can cause their errors; known by name, as imports take long
LOCK = Path(".dvc/tmp/stage.lock")
PATIENCE = 3.0  # seconds to wait for the lock: a stage whose dvc was killed ends within POLL
POLL = 0.2  # seconds between checks of the process that started the stage; a new dvc takes longer to start

Main = Callable[[list[str] | None], int]


def run(name: str, main: Callable[[], None]) -> None:
    """Run the `main` of a stage: one stage at a time in a checkout, and no longer than the dvc that started it."""

    @command(name, refused=1, interrupted="each output is either the old file or the complete new one")
    def stage(_: list[str] | None) -> int:
        refuse_other_kernels()
        end_with_starter(name)
        with alone(LOCK, f"stage {name}", "this folder"), unchanged_inputs(name):
            main()
        return 0

    if status := stage():
        raise SystemExit(status)
    if "DVC_STAGE" in os.environ:
        os._exit(0)  # the end of TensorFlow takes half a second; then DVC hashes the inputs (see unchanged_inputs)


def command(name: str, refused: int, interrupted: str = "") -> Callable[[Main], Callable[..., int]]:
    """Decorate a `main` that takes arguments and returns an exit status; where it refuses, the status is `refused`.

    `interrupted` says what Ctrl-C leaves. If the reader of stdout has closed it, as `| head -1` does, the status is
    141, as for a program ended by SIGPIPE. Any other exception is a defect and keeps its traceback, and with
    `python -X dev -m MODULE` all do.
    """

    def decorate(main: Main) -> Callable[..., int]:
        @functools.wraps(main)
        def run_main(arguments: list[str] | None = None) -> int:
            if reconfigure := getattr(sys.stdout, "reconfigure", None):  # dvc replaces stdout by a wrapper
                reconfigure(errors="replace")  # not every locale has ± or the characters of Keras's table
            try:
                try:
                    return main(arguments)
                finally:
                    sys.stdout.flush()
            except KeyboardInterrupt:
                print(f"{name}: {'; '.join(filter(None, ('interrupted', interrupted)))}", file=sys.stderr)
                return 130  # 128 + SIGINT, as shells count
            except Exception as error:
                stdout_failed = _discard_stdout()
                if isinstance(error, BrokenPipeError):
                    return 141  # 128 + SIGPIPE
                if sys.flags.dev_mode or not is_refusal(error):
                    raise
                lost = "the output could not be written: " if stdout_failed else ""
                print(f"{name}: {lost}{one_line(error)}", file=sys.stderr)
                return refused

        return run_main

    return decorate


def is_refusal(error: Exception) -> bool:
    """Whether a user can cause an error: bad input, disk, network, lock, or what DVC, Git and YAML refuse."""
    packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return isinstance(error, ValueError | OSError) or not packages.isdisjoint(PACKAGES)


def _discard_stdout() -> bool:
    """If stdout still fails, redirect it to the null device; Python would report the error again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def one_line(message: object) -> str:
    """Return a message or an error as one line of printable characters; an error of the system begins with its file."""
    if isinstance(message, OSError) and message.filename and message.strerror:
        message = f"{message.filename}: {message.strerror}"
    return printable(" ".join(str(message).split()))


def printable(text: str) -> str:
    """Escape characters that are not printable: control characters, line breaks, marks of text direction."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def refuse_other_kernels() -> None:
    """Refuse environment variables that change the last bits of results; OPENBLAS_* do not, as no stage uses BLAS."""
    for name in REFUSED:
        value = os.environ.get(name, "")
        if value and (name != "GLIBC_TUNABLES" or "glibc.cpu." in value):
            raise ValueError(f"the environment variable {name} is {value!r}, which changes results; unset it")


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
        starter = next(parent for parent in psutil.Process().parents() if parent.cmdline()[-2:-1] != ["-c"])
        if starter.pid == 1 and "dvc" not in " ".join(starter.cmdline()):
            raise ProcessLookupError("the dvc that started this stage has ended")
    except (StopIteration, psutil.Error):
        raise ProcessLookupError("the dvc that started this stage cannot be found") from None

    stderr = os.dup(2)  # the import of TensorFlow holds back stderr itself

    def watch() -> None:
        with suppress(psutil.NoSuchProcess):
            while starter.is_running() and starter.status() != psutil.STATUS_ZOMBIE:
                time.sleep(POLL)
        with suppress(OSError):  # nobody may read the pipe
            os.write(stderr, f"{name}: dvc (process {starter.pid}) has ended, so this stage ends too\n".encode())
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
