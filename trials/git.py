"""Run git, and take a snapshot of this folder or of a revision as a tree of Git."""

import os
import subprocess
import tempfile
from pathlib import Path


def git(*arguments: str, index: Path | None = None) -> str:
    """Run git, perhaps with another index, and return what it prints.

    Raises:
        OSError: it failed; the message is what it says.
    """
    environment = os.environ | ({"GIT_INDEX_FILE": str(index)} if index else {})
    done = subprocess.run(["git", *arguments], env=environment, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"git {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout.decode(errors="replace").strip()


def snapshot(revision: str | None = None, but: Path | None = None) -> tuple[str, str]:
    """Return the commit of a revision and its tree, or HEAD and a tree of this folder's files as they are.

    The tree has the files that Git does not track, unless Git ignores them; the file `but` is as in HEAD. Nothing in
    the folder changes.

    Raises:
        OSError: there is no such revision, or no commit.
    """
    commit = git("rev-parse", "--verify", f"{revision or 'HEAD'}^{{commit}}")
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        git("read-tree", commit, index=index)
        if not revision:
            git("add", "--all", "--", ".", *([f":!{but}"] if but else []), index=index)
        return commit, git("write-tree", index=index)
