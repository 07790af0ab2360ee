"""Write zip archives whose bytes depend only on their members."""

import zipfile
from collections.abc import Iterable
from pathlib import Path


def write(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write `members`, pairs of name and content, in this order, uncompressed, with constant metadata."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix; Python's default depends on the platform
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
