"""A trial, and how a worker runs it. Dask sends this module by value, so a worker needs the locked packages alone.

DVC runs in a child process, in a clone of the Git repository that the worker keeps from trial to trial. The result of
a trial is its experiment at the origin; what Dask returns only says that it is there.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

POLL = 0.2  # seconds between looks whether the trial is still wanted, and whether its worker is alive
PAUSES = (1, 2, 4, 0)  # seconds after a push that failed: sshd refuses some of many connections at a time
FAILED = 3  # exit status of a child whose trial would fail again: a stage refused it, or the origin
CHILD = "import cloudpickle, sys; function, *arguments = cloudpickle.load(sys.stdin.buffer); function(*arguments)"


@dataclass(frozen=True)
class Trial:
    """One run of the pipeline: the files of `tree` with `changes` of parameters, as an experiment on `commit`.

    `changes` are written as for `dvc exp run -S`. `identity` names what the run depends on; without it, that is
    commit, tree and changes. The stages `forced` run even if dvc.lock says that nothing changed.
    """

    commit: str
    tree: str
    changes: tuple[str, ...]
    identity: str = ""
    forced: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the experiment: the same for the same trial, so that no trial is run twice."""
        known = self.identity or json.dumps([self.commit, self.tree, sorted(self.changes)])
        return f"sweep-{hashlib.sha256(known.encode()).hexdigest()[:12]}"

    @property
    def ref(self) -> str:
        return f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{self.name}"


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
        origin: the Git repository that has the commit, and gets the experiment.
        cache: DVC's cache; without it, the worker pulls the data from the DVC remote and pushes the outputs to it.
        packages: the versions that the worker must have.

    Raises:
        OSError: nothing is known of the trial, because a server or the child failed. Another try may succeed.
    """
    import cloudpickle
    from distributed import Reschedule, get_worker

    worker: Any = get_worker()
    key, folder = worker.get_current_task(), Path(worker.local_directory)
    if not (folder / "clone").exists() and not versions().items() >= packages.items():
        worker.loop.add_callback(worker.close)  # it came after the sweep had checked the workers
        time.sleep(1)
        raise Reschedule
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    # With a last argument the child is not taken for a shell (processes.end_with_starter). Its group ends as a whole.
    options: Any = {"cwd": folder, "start_new_session": True, "stdin": PIPE, "stdout": DEVNULL, "stderr": PIPE}
    environment = os.environ | {"PATH": path}  # `python` of a stage is that of the worker
    child = subprocess.Popen([sys.executable, "-c", CHILD, "trial"], env=environment, **options)
    call: bytes | None = cloudpickle.dumps((answer, os.getpid(), trial, origin, cache))
    lines = [""]
    while child.returncode is None:
        try:
            lines = child.communicate(call, POLL)[1].decode(errors="replace").strip().splitlines() or [""]
        except subprocess.TimeoutExpired:
            call = None
            task = worker.state.tasks.get(key)
            if task is None or task.state != "executing":  # the sweep has ended
                end_group(child.pid)
    if child.returncode in (0, FAILED):
        return (lines[-1] or "it failed without a message") if child.returncode else None
    end_group(child.pid)
    shutil.rmtree(folder / "clone", ignore_errors=True)
    raise OSError(lines[-1] or "the process of the trial was killed")


def end_group(number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


def answer(parent: int, *arguments: Any) -> None:
    """Run a trial in the child; the last line on stderr says why it failed. The child ends with its parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        end_group(0)

    threading.Thread(target=watch, daemon=True).start()
    logging.disable(logging.CRITICAL)
    try:
        sys.exit(run(*arguments))
    except Exception as error:
        print(" ".join(str(error).split()) or repr(error), file=sys.stderr)
        sys.exit(1)


def run(trial: Trial, origin: str, cache: str | None) -> int:
    """Run a trial here, unless its experiment exists; return 0, or FAILED."""
    from dvc.repo import Repo

    if git("ls-remote", origin, f"refs/exps/*/{trial.name}"):
        return 0
    os.environ["GIT_AUTHOR_DATE"] = f"{time.time():.0f} +0000"  # so the commit says when the trial began and ended
    if not Path("clone").exists():
        git("clone", "--quiet", "--no-checkout", *(["--shared"] if cache else []), origin, "clone")
    os.chdir("clone")
    if not git("for-each-ref", trial.ref):
        if not reproduce(trial, cache):
            return FAILED
        git("read-tree", trial.tree)  # forgets times: Git may take a file of the same size and second as unchanged
        git("add", "--all")
        author = ("-c", "user.name=sweep", "-c", "user.email=sweep@localhost")
        message = f"sweep: {' '.join(trial.changes)}"
        # `dvc exp save` makes the same commit, but takes a second.
        made = git(*author, "commit-tree", git("write-tree"), "-p", trial.commit, "-m", message)
        git("update-ref", trial.ref, made)
    for pause in PAUSES:
        try:
            if not cache:
                with Repo() as repo:  # before the experiment, so that one at the origin has its outputs in the remote
                    repo.push(revs=[git("rev-parse", trial.ref)], workspace=False)
            git("push", "--quiet", "origin", f"{trial.ref}:{trial.ref}")
            return 0
        except Exception as error:
            with suppress(OSError):
                if git("ls-remote", "origin", trial.ref):  # another worker was faster
                    return 0
            print(" ".join(str(error).split()), file=sys.stderr)
            if "rejected" in str(error):
                break
            time.sleep(pause)
    return FAILED


def reproduce(trial: Trial, cache: str | None) -> bool:
    """Run the pipeline with the files and the changes of the trial; return whether it succeeded."""
    from dvc.config import Config
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.stage.exceptions import StageCmdFailedError
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import apply_overrides
    from dvc.utils.serialize import modify_yaml

    try:
        git("cat-file", "-e", trial.commit)
    except OSError:
        git("fetch", "--quiet", "origin")
    tree, lock = Path("../tree"), Path("dvc.lock")
    # What the last trial wrote into dvc.lock is true of the data that it left, so they are not made again.
    kept = lock.read_bytes() if tree.exists() and tree.read_text() == trial.tree and lock.exists() else None
    tree.unlink(missing_ok=True)
    git("update-ref", "--no-deref", "HEAD", trial.commit)
    git("read-tree", trial.tree)
    git("checkout-index", "--all", "--force")  # whatever the last trial changed, and however fast
    git("clean", "--quiet", "-d", "--force")
    with Config(".dvc").edit("local") as config:
        config["cache"] = {"dir": cache or str(Path("../cache").resolve())}
    with Repo() as repo:
        if kept:
            lock.write_bytes(kept)
        elif cache:
            repo.checkout(force=True, allow_missing=True)
        else:
            repo.pull(force=True)
        tree.write_text(trial.tree)
        for stage in trial.forced if lock.exists() else ():
            with modify_yaml(lock) as locked:
                locked["stages"].pop(stage, None)
        try:
            for path, overrides in to_path_overrides(trial.changes).items():
                apply_overrides(path, overrides)
            repo.reproduce(run_cache=not trial.forced)
        except DvcException as error:
            if not isinstance(error.__cause__, StageCmdFailedError):  # else the last line is the stage's
                print(" ".join(str(error.__cause__ or error).split()), file=sys.stderr)
            return False
    return True


def git(*arguments: str, stdin: bytes = b"", index: Path | None = None) -> str:
    """Run git, perhaps with another index, and return what it prints.

    Raises:
        OSError: it failed; the message is what it says.
    """
    environment = os.environ | ({"GIT_INDEX_FILE": str(index)} if index else {})
    done = subprocess.run(["git", *arguments], env=environment, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"git {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout.decode(errors="replace").strip()
