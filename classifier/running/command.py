"""Run a stage from the shell: an error that a user can cause ends in one line on stderr and exit status 1."""

import gc
import io
import os
import sys
from collections.abc import Callable

from classifier.running import integrity, processes

# NumPy and the C library read these when they are loaded, before a stage could unset them, and choose other kernels.
REFUSED = ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "GLIBC_TUNABLES")


def run(name: str, main: Callable[[], None]) -> None:
    """Run a stage's `main`, turning a refusal into `NAME: what, where, expected, found`.

    ValueError (bad input) and OSError (disk, network, another stage at work) are refusals. Anything else is a defect
    and keeps its traceback, as everything does under `python -X dev -m stages.NAME`.
    """
    gc.freeze()  # skip imported objects in garbage collection; at the end it took preprocess 0.4 s
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # Keras draws a table that not every locale can write
    try:
        refuse_other_kernels()
        processes.end_with_starter(name)
        with processes.only_stage_here(name):
            if "DVC_STAGE" in os.environ:
                integrity.unprotect_cache()
                integrity.check_inputs(name)
            main()
    except (ValueError, OSError) as error:
        if sys.flags.dev_mode:
            raise
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"{name}: interrupted; outputs are as they were, or whole", file=sys.stderr)
        raise SystemExit(130) from None  # 128 + SIGINT, as shells count


def refuse_other_kernels() -> None:
    """Refuse settings that change the last bits of what NumPy and the C library compute.

    OPENBLAS_* may stay: no number of any stage is computed by BLAS.

    Raises:
        ValueError: one is set; the message names it.
    """
    for name in REFUSED:
        value = os.environ.get(name, "")
        if value and (name != "GLIBC_TUNABLES" or "glibc.cpu." in value):
            raise ValueError(f"the environment variable {name} is {value!r}, which changes results; unset it")


def one_line(message: object) -> str:
    """Return the text of a message, such as an error's, as one line without characters that control a terminal."""
    return printable(" ".join(str(message).split()))


def printable(text: str) -> str:
    """Escape characters that do not print: control characters, line breaks, marks of text direction."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
