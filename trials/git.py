"""Run git, and take a snapshot of this folder or of a revision as a tree of Git."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import copy


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


def snapshot(revision: str | None = None, files: Mapping[str, bytes] | None = None) -> tuple[str, str]:
    """Return the commit of a revision and its tree, or HEAD and a tree of this folder's files as they are.

    The tree has the files that Git does not track, unless Git ignores them. Nothing in the folder changes.

    Args:
        files: contents by path, which replace those of the tree.

    Raises:
        OSError: there is no such revision, or no commit.
    """
    commit = git("rev-parse", "--verify", f"{revision or 'HEAD'}^{{commit}}")
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        if revision:
            git("read-tree", commit, index=index)
        else:
            with suppress(FileNotFoundError):
                copy(git("rev-parse", "--git-path", "index"), index)
            # The copy is newer than the index: Git would trust its times and miss an edit of the same size and second.
            git("read-tree", git("write-tree", index=index), index=index)
            git("add", "--all", index=index)
        for path, content in (files or {}).items():
            blob = git("hash-object", "-w", "--stdin", stdin=content)
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", index=index)
        return commit, git("write-tree", index=index)
