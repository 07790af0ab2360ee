"""The page to draw on, page/index.html, of a revision: from this folder or from DVC's cache, if one of them has it."""

import hashlib
from pathlib import Path

from dvc.repo import Repo

from classifier.files.paths import PAGE
from review.results.lock import load_lock

MOST = 2**24  # bytes; the page of the default recipe has 0.86 MB, that of the accurate recipe 2.3 MB


def load_page(repo: Repo, revision: str | None) -> bytes | None:
    """Return the page of the repository, opened at `revision`; None if its file is not on this machine.

    The page of a revision is the one whose MD5 its dvc.lock names. Nothing is fetched. The current folder is that of
    the project.
    """
    if revision is None:
        return _read(PAGE)
    try:
        outs = [out for entry in load_lock(repo).values() for out in entry.get("outs", [])]
    except (OSError, ValueError):
        return None
    md5 = next((str(out.get("md5")) for out in outs if out["path"] == str(PAGE)), "")
    for path in (PAGE, Path(repo.cache.local.oid_to_path(md5))) if md5 else ():
        content = _read(path)
        if content is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
            return content
    return None


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError:
        return None
    return content if len(content) <= MOST else None
