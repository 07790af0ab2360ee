"""Write files whole or not at all: an output gets its name when all of it is on the disk."""

import csv
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_held: dict[Path, Callable[[], object] | None] = {}  # within `together`: what is done to each path at the end


@contextmanager
def together(outputs: Iterable[Path]) -> Iterator[None]:
    """Let `whole_file` replace these outputs, and `remove` act, at the end of the block; not at all if it raises."""
    _held.update(dict.fromkeys(outputs))
    try:
        yield
        for act in filter(None, _held.values()):
            act()
    finally:
        for partial in filter(Path.exists, map(_partial, _held)):
            partial.unlink()
        _held.clear()


def remove(path: Path) -> None:
    """Remove a file, if it is there; within `together` after its outputs have replaced the old ones."""
    if _held:
        _held[path] = lambda: path.unlink(missing_ok=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path for the block to write; on success the file there replaces `path` in one step.

    If the block raises, `path` does not change. The temporary file is in the same folder under a fixed name, so a
    killed run leaves at most one file for each, which the next run overwrites.

    Raises:
        OSError: the file cannot be written, for example because the disk is full or the folder is read-only.
    """
    partial = _partial(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        if path in _held:
            _held[path] = lambda: partial.replace(path)
        else:
            partial.replace(path)
    except OSError as error:
        raise OSError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        if path not in _held and partial.exists():
            partial.unlink()


def _partial(path: Path) -> Path:
    return path.with_name(f".partial-{path.name}")


def save(path: Path, content: str | bytes) -> None:
    """Write a text, in UTF-8, or bytes, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def save_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write `header` and `rows` as CSV, whole or not at all; floats have six decimals."""
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        for row in rows:
            table.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in row])


def markdown_table(rows: Sequence[Sequence[str]], alignment: str = "---") -> str:
    """Return a table for GitHub; the first row is the header, and `alignment` applies to all columns but the first."""
    header, *body = [f"| {' | '.join(row)} |" for row in rows]
    ruler = ["---", *(alignment for _ in rows[0][1:])]
    return "\n".join([header, f"| {' | '.join(ruler)} |", *body])


def write_stored_zip(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write `members`, pairs of name and content, in this order, uncompressed, with constant metadata."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix; Python's default depends on the platform
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
