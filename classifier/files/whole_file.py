"""Write files whole or not at all: an output gets its name when all of it is on the disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotWrittenError(OSError):
    """An output could not be written."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path for the block to write; on success the file there replaces `path` in one step.

    If the block raises, `path` does not change. The temporary file is in the same folder under a fixed name, so a
    killed run leaves at most one file, which the next run overwrites.

    Raises:
        NotWrittenError: the file cannot be written, for example because the disk is full or the folder is read-only.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise NotWrittenError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        if partial.exists():
            partial.unlink()
