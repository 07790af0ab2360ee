"""A fingerprint of the files of a user's data set, to notice a change without reading the images."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from classifier.data.data_set import read_data_set


def fingerprint(source: Path) -> str:
    """Return the number of files in a folder, or of one file 1, and an MD5 of their names and contents.

    Hidden files do not count. Raises OSError if one cannot be read.
    """
    digest, count = hashlib.md5(usedforsecurity=False), 0
    for path in _files(source):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        name = "" if path == source else path.relative_to(source).as_posix()
        digest.update(f"{name!r} {content}\n".encode())
        count += 1
    return f"{count:,} {'file' if count == 1 else 'files'}, MD5 {digest.hexdigest()}"


def own_data_changed() -> bool:
    """Return whether data/raw holds a user's data set whose files have changed since it was read."""
    data_set = read_data_set()
    try:
        return data_set.files is not None and fingerprint(Path(data_set.name).expanduser()) != data_set.files
    except OSError:
        return True


def _files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        yield source
    for folder, folders, names in os.walk(source, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))
