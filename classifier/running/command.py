"""Run a stage from the shell: an error that a user can cause gives one line on stderr and exit status 1."""

import gc
import io
import os
import sys
from collections.abc import Callable

from classifier.running import processes

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
        processes.end_with_starter(name)
        with processes.only_stage_here(name):
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
