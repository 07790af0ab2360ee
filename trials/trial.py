"""A trial: the pipeline runs once with other parameters, in a clone, and ends as an experiment of DVC.

A worker runs `python -m trials.trial TRIAL ORIGIN CACHE`, and reads the exit status and the last line on stderr.
"""

import hashlib
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage.exceptions import StageCmdFailedError
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from trials.git import git

PAUSES = (0, 1, 2, 4)  # seconds before a push: sshd refuses some of many connections at a time
FAILED = 3  # exit status of a trial that would fail again: a stage refused it, or the origin


@dataclass(frozen=True)
class Trial:
    """One run of the pipeline: the files of `tree` with `changes` of parameters, as an experiment on `commit`.

    `changes` are written as for `dvc exp run -S`. `params` is the text of params.yaml, if not that of the tree. The
    stage `forced` runs even if dvc.lock says that nothing changed. `identity` names what the run depends on; without
    it, that is commit, tree and changes.
    """

    commit: str
    tree: str
    changes: tuple[str, ...]
    identity: str = ""
    params: str = ""
    forced: str = ""

    @property
    def name(self) -> str:
        """The name of the experiment: the same for the same trial, so that no trial is run twice."""
        known = self.identity or json.dumps([self.commit, self.tree, sorted(self.changes)])
        return f"sweep-{hashlib.sha256(known.encode()).hexdigest()[:12]}"


def main() -> None:
    """Run the trial that the arguments describe; it ends with the worker, which holds the other end of stdin."""
    worker = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a stage must not read from the worker

    def end_with_worker() -> None:
        os.read(worker, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=end_with_worker, daemon=True).start()
    logging.disable(logging.CRITICAL)
    trial, origin, cache = sys.argv[1:]
    try:
        run(Trial(**json.loads(trial)), origin, cache)
    except Exception as error:
        sys.exit(" ".join(str(error).split()) or repr(error))  # with status 1: another try may succeed


def run(trial: Trial, origin: str, cache: str) -> None:
    """Run a trial in a clone in this folder, unless its experiment exists at the Git repository `origin`.

    The outputs go to DVC's `cache`, or, if that is empty, to the DVC remote, from which the data come then.

    Raises:
        OSError: a server failed. SystemExit: a stage failed, or no push succeeded; the status is FAILED.
    """
    if git("ls-remote", origin, f"refs/exps/*/{trial.name}"):
        return
    if not Path("clone").exists():
        git("clone", "--quiet", "--no-checkout", *(["--shared"] if cache else []), origin, "clone")
    os.chdir("clone")
    reproduce(trial, cache)
    git("read-tree", trial.tree)  # forgets times: Git may take a file of the same size and second as unchanged
    git("add", "--all")
    author = ("-c", "user.name=sweep", "-c", "user.email=sweep@localhost")
    message = f"sweep: {' '.join(trial.changes)}"
    # `dvc exp save` makes the same commit, but takes a second.
    made = git(*author, "commit-tree", git("write-tree"), "-p", trial.commit, "-m", message)
    for pause in PAUSES:
        time.sleep(pause)
        try:
            if not cache:
                with Repo() as repo:  # before the experiment, so that one at the origin has its outputs in the remote
                    repo.push(revs=[made], workspace=False)
            git("push", "--quiet", "origin", f"{made}:refs/exps/{trial.commit[:2]}/{trial.commit[2:]}/{trial.name}")
            return
        except Exception as error:
            print(" ".join(str(error).split()), file=sys.stderr)
    sys.exit(FAILED)


def reproduce(trial: Trial, cache: str) -> None:
    """Run the pipeline with the files and the changes of the trial."""
    try:
        git("cat-file", "-e", trial.commit)
    except OSError:
        git("fetch", "--quiet", "origin")
    git("update-ref", "--no-deref", "HEAD", trial.commit)
    git("read-tree", trial.tree)
    git("checkout-index", "--all", "--force")  # whatever the last trial changed, and however fast
    git("clean", "--quiet", "-d", "--force")
    lock, kept = Path("dvc.lock"), Path(f"../{trial.tree}.lock")
    if kept.exists():  # what an earlier trial made of these files is not made again
        shutil.copy(kept, lock)
    git("config", "--file", ".dvc/config.local", "cache.dir", cache or str(Path("../cache").resolve()))
    with Repo() as repo:
        if cache:
            repo.checkout(force=True, allow_missing=True)
        else:
            repo.pull(force=True)
        if trial.forced and lock.exists():
            with modify_yaml(lock) as entries:
                entries["stages"].pop(trial.forced, None)
        if trial.params:
            Path("params.yaml").write_text(trial.params)
        try:
            for path, overrides in to_path_overrides(trial.changes).items():
                apply_overrides(path, overrides)
            repo.reproduce(run_cache=not trial.forced)
            shutil.copy(lock, kept)
        except DvcException as error:
            if not isinstance(error.__cause__, StageCmdFailedError):  # else the last line is the stage's
                print(" ".join(str(error.__cause__ or error).split()), file=sys.stderr)
            sys.exit(FAILED)


if __name__ == "__main__":
    main()
