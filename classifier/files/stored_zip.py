"""Write zip archives whose bytes depend only on their members."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO


def write(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write `members`, pairs of name and content, in this order, uncompressed, with constant metadata."""
    with open_new(path) as archive:
        for name, content in members:
            with open_member(archive, name, len(content)) as file:
                file.write(content)


def open_new(path: Path) -> zipfile.ZipFile:
    """Open a new archive; each member must come from `open_member`."""
    return zipfile.ZipFile(path, "w")


def open_member(archive: zipfile.ZipFile, name: str, size: int) -> IO[bytes]:
    """Open a new member of `size` bytes, uncompressed, with constant metadata."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3  # Unix; Python's default depends on the platform
    info.external_attr = 0o644 << 16
    info.file_size = size  # members of more than 2 GiB need another form of header
    return archive.open(info, "w")
