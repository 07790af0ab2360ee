"""Whole files or none: an output appears under its name only once all of it is on the disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block, which writes it, ends well, it replaces `path` in one step.

    If the block raises, `path` keeps what it had. The temporary name is fixed and ends as `path` does, so a killed run
    leaves at most one file, which the next run overwrites.

    Raises:
        OSError: the disk is full, the folder is read-only, or whatever else keeps the file from being written.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise OSError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        if partial.exists():
            partial.unlink()
