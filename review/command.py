"""Run a command from the shell: an error that a user can cause ends in one line on stderr, never a traceback."""

import functools
import os
import sys
from collections.abc import Callable

from dvc.exceptions import DvcException
from pygit2 import GitError
from scmrepo.exceptions import SCMError
from yaml import YAMLError

from classifier.command import one_line
from review.escaping import shorten

REFUSALS = (DvcException, SCMError, GitError, YAMLError, ValueError, OSError, RecursionError)

Main = Callable[[list[str] | None], int]


def command(name: str, refused: int, interrupted: str = "") -> Callable[[Main], Callable[..., int]]:
    """Decorate a `main` that takes arguments and returns an exit status; where it refuses, the status is `refused`.

    `interrupted` says what Ctrl-C leaves.

    If the reader of stdout has closed it, as `| head -1` does, the status is 141, as for a program ended by SIGPIPE.
    `python -X dev -m review.NAME` keeps the traceback.
    """

    def decorate(main: Main) -> Callable[..., int]:
        @functools.wraps(main)
        def run(arguments: list[str] | None = None) -> int:
            if reconfigure := getattr(sys.stdout, "reconfigure", None):  # dvc replaces stdout by a wrapper
                reconfigure(errors="replace")  # the sign ± is not in every locale
            try:
                try:
                    return main(arguments)
                finally:
                    sys.stdout.flush()
            except BrokenPipeError:
                _drop_output()
                return 141  # 128 + SIGPIPE, as shells count
            except REFUSALS as error:
                if sys.flags.dev_mode:
                    raise
                lost = "the output could not be written: " if _drop_output() else ""
                print(f"{name}: {lost}{shorten(one_line(error))}", file=sys.stderr)
                return refused
            except KeyboardInterrupt:
                print(f"{name}: interrupted{interrupted and '; '}{interrupted}", file=sys.stderr)
                return 130  # 128 + SIGINT

        return run

    return decorate


def _drop_output() -> bool:
    """If stdout still fails, redirect it to the null device; Python would report the error again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
