"""The state of the folder or of a revision that trials start from, as objects of Git; nothing in the folder changes."""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import copy

from sweep.engine.trial import git


def snapshot(revision: str | None = None, files: Mapping[str, bytes] | None = None) -> tuple[str, str]:
    """Return the commit of a revision and its tree, or HEAD and a tree of this folder's files as they are.

    The tree has the files that Git does not track, unless Git ignores them.

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
