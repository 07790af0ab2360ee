"""How a worker of Dask runs a trial. Dask sends this by value, so a worker needs the locked packages alone.

The worker keeps a process that has imported DVC, and a clone of the Git repository, from trial to trial. The result of
a trial is its experiment at the origin; what Dask returns only says that it is there.
"""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from select import select
from subprocess import PIPE
from typing import Any, BinaryIO, TextIO

from trials.trial import FAILED, Trial, run

POLL = 0.2  # seconds between looks whether the trial is still wanted
RUNNER = "import cloudpickle, sys; cloudpickle.load(sys.stdin.buffer)(sys.stdin.buffer)"


def versions() -> dict[str, str]:
    """The versions of Python and of the packages here, by normalized name."""
    # Python imports the first of two packages with one name, so the first has to win.
    found = {
        re.sub("[-_.]+", "-", each.name).lower(): each.version for each in reversed([*distributions()]) if each.name
    }
    return found | {"python": ".".join(map(str, sys.version_info[:2]))}


def carry(trial: Trial, origin: str, cache: str | None, packages: dict[str, str]) -> str | None:
    """Run a trial on this worker of Dask; return why it failed, or None.

    Args:
        origin, cache: as in `run`.
        packages: the versions that the worker must have.

    Raises:
        OSError: nothing is known of the trial, because a server or its process failed. Another try may succeed.
    """
    import cloudpickle
    from distributed import Reschedule, get_worker

    worker: Any = get_worker()
    key, folder = worker.get_current_task(), Path(worker.local_directory)
    if not (folder / "clone").exists() and not versions().items() >= packages.items():
        worker.loop.add_callback(worker.close)  # it came after the sweep had checked the workers
        time.sleep(1)
        raise Reschedule
    runner: Any = getattr(worker, "runner", None)
    if runner is None or runner.poll() is not None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        options: Any = {"cwd": folder, "env": os.environ | {"PATH": path}}  # `python` of a stage is that of the worker
        # With a last argument it is not taken for a shell (processes.end_with_starter). Its group ends as a whole.
        command = [sys.executable, "-c", RUNNER, "trial"]
        runner = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, start_new_session=True, **options)
        worker.runner = runner
        cloudpickle.dump(serve, runner.stdin)
    cloudpickle.dump((trial, origin, cache), runner.stdin)
    runner.stdin.flush()
    while not select([runner.stdout], [], [], POLL)[0]:
        task = worker.state.tasks.get(key)
        if task is None or task.state != "executing":  # the sweep has ended
            end_group(runner.pid)
    status, line = json.loads(runner.stdout.readline() or '[1, ""]')
    if status in (0, FAILED):
        return (line or "it failed without a message") if status else None
    end_group(runner.pid)
    runner.wait()
    shutil.rmtree(folder / "clone", ignore_errors=True)
    raise OSError(line or "the process of the trial was killed")


def end_group(number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


def serve(calls: BinaryIO) -> None:
    """Run the trials that arrive on stdin, each in a fork; what one has imported, the later ones find imported.

    For each, stdout gets its exit status and its last line on stderr, which says why it failed.
    """
    import cloudpickle

    with suppress(EOFError):  # the worker has ended
        while call := cloudpickle.load(calls):
            with tempfile.TemporaryFile() as log, tempfile.TemporaryFile("w+") as imported:
                if not (fork := os.fork()):
                    os.dup2(log.fileno(), 2)
                    answer(imported, *call)
                status = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
                for file in (log, imported):
                    file.seek(0)
                lines = log.read().decode(errors="replace").strip().splitlines()
                print(json.dumps([status, (lines or [""])[-1]]), flush=True)
                for name in imported.read().split():
                    with suppress(Exception):  # the next trial will import it itself, or never
                        import_module(name)


def answer(imported: TextIO, *call: Any) -> None:
    """Run a trial in the fork, which ends with the worker: nothing arrives from it before the trial has ended."""
    calls = os.dup(0)
    for number in (0, 1):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)

    def watch() -> None:
        os.read(calls, 1)
        end_group(0)

    threading.Thread(target=watch, daemon=True).start()
    logging.disable(logging.CRITICAL)
    try:
        status = run(*call)
        imported.write("\n".join(sys.modules))
        sys.exit(status)
    except Exception as error:
        print(" ".join(str(error).split()) or repr(error), file=sys.stderr)
        sys.exit(1)
