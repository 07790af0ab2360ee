"""What a worker of Dask does. Dask sends these functions by value: a worker needs the locked packages alone."""

import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

from trials.trial import FAILED

POLL = 0.1  # seconds between looks whether the trial has ended, and whether it is still wanted


def versions() -> dict[str, str]:
    """The versions of Python and of the packages here, by normalized name."""
    packages = reversed([*distributions()])  # Python imports the first of two with one name, so the first has to win
    named = {re.sub("[-_.]+", "-", package.name).lower(): package.version for package in packages if package.name}
    return named | {"python": ".".join(map(str, sys.version_info[:2]))}


def misfit(packages: Mapping[str, str], dask_worker: Any) -> str:
    """Say what keeps this worker from running trials as here, where the packages have these versions; or nothing."""
    if dask_worker.state.nthreads != 1:
        return f"has {dask_worker.state.nthreads} threads: start it with --nthreads 1"
    installed = versions()
    for name, version in packages.items():
        if (other := installed.get(name)) != version:
            return f"has {name} {other or 'not'}, expected {version} as here"
    return ""


def carry(arguments: list[str], code: Mapping[str, str], packages: Mapping[str, str]) -> str | None:
    """Run `python -m trials.trial` with these arguments on this worker; return why the trial failed, or None.

    `code` are the files of the package trials, and `packages` the versions that the worker must have.

    Raises:
        OSError: a server failed, or the process. Another try may succeed.
    """
    from distributed import Reschedule, get_worker
    from distributed import print as print_there

    worker: Any = get_worker()
    key, folder = worker.get_current_task(), Path(worker.local_directory)
    if not (folder / "clone").exists() and (fault := misfit(packages, worker)):
        # It came after the check of all workers. Closed at once, it would count as one that the trial has lost.
        print_there(f"cluster: the worker {worker.address} {fault}; it ends, and its trial goes to another", flush=True)
        worker.loop.add_callback(worker.close_gracefully)
        time.sleep(1)
        raise Reschedule
    (folder / "trials").mkdir(exist_ok=True)
    for name, text in code.items():
        (folder / "trials" / name).write_text(text)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    options: Any = {"cwd": folder, "env": os.environ | {"PATH": path}}  # `python` of a stage is that of the worker
    command = [sys.executable, "-m", "trials.trial", *arguments]
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        with Popen(command, stdin=PIPE, stdout=DEVNULL, stderr=log, start_new_session=True, **options) as process:
            while process.poll() is None:
                task = worker.state.tasks.get(key)
                if task is None or task.state != "executing":  # the sweep has ended
                    os.killpg(process.pid, signal.SIGKILL)
                time.sleep(POLL)
        log.seek(0)
        reason = (log.read().strip().splitlines() or ["it failed without a message"])[-1]
    if process.returncode in (0, FAILED):
        return reason if process.returncode else None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # a stage that has lost its dvc
    shutil.rmtree(folder / "clone", ignore_errors=True)
    raise OSError(reason)
