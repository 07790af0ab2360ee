"""Zip archives whose bytes depend on their members alone."""

import zipfile
from collections.abc import Iterable
from pathlib import Path


def write(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write `members`, names with contents, in this order, uncompressed, without time, owner or platform."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix; Python's default depends on the platform
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
