"""A trial: the pipeline runs once with other parameters, in a clone, and ends as an experiment of DVC."""

import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from trials.git import git

PAUSES = (0, 1, 2, 4)  # seconds before a push: sshd refuses some of many connections at a time
FAILED = 3  # exit status of a trial that would fail again: a stage refused it, or the origin


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


def run(trial: Trial, origin: str, cache: str | None) -> int:
    """Run a trial in a clone in this folder, unless its experiment exists; return 0, or FAILED.

    Args:
        origin: the Git repository that has the commit, and gets the experiment.
        cache: DVC's cache; without it, the data are pulled from the DVC remote and the outputs pushed to it.

    Raises:
        OSError: nothing is known of the trial, because a server failed. Another try may succeed.
    """
    from dvc.repo import Repo

    if git("ls-remote", origin, f"refs/exps/*/{trial.name}"):
        return 0
    os.environ["GIT_AUTHOR_DATE"] = f"{int(time.time())} +0000"  # so the commit says when the trial began and ended
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
        time.sleep(pause)
        try:
            if pause and git("ls-remote", "origin", trial.ref):  # another worker was faster
                return 0
            if not cache:
                with Repo() as repo:  # before the experiment, so that one at the origin has its outputs in the remote
                    repo.push(revs=[git("rev-parse", trial.ref)], workspace=False)
            git("push", "--quiet", "origin", f"{trial.ref}:{trial.ref}")
            return 0
        except Exception as error:
            print(" ".join(str(error).split()), file=sys.stderr)
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
