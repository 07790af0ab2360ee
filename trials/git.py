"""Run git, and take a snapshot of this folder or of a revision as a tree of Git."""

import os
import subprocess
import tempfile
from pathlib import Path


def attempt(*arguments: str, index: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run git in this folder, perhaps with another index, with messages in English."""
    environment = os.environ | {"LC_ALL": "C"} | ({"GIT_INDEX_FILE": str(index)} if index else {})
    return subprocess.run(["git", *arguments], env=environment, capture_output=True, check=False)


def git(*arguments: str, index: Path | None = None) -> str:
    """Run git as `attempt` does, and return what it prints. Raises OSError with its message if it fails."""
    done = attempt(*arguments, index=index)
    if done.returncode:
        raise OSError(f"git {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout.decode(errors="replace").strip()


def snapshot(revision: str | None = None, but: Path | None = None) -> tuple[str, str]:
    """Return the commit of a revision and its tree, or HEAD and a tree of this folder's files as they are.

    The tree has the files that Git does not track, unless Git ignores them; the file or folder `but` is as in HEAD.
    Nothing in the folder changes.

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
