"""Write small tables as CSV, with the same bytes on every platform, and as Markdown."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from classifier.files.whole_file import whole_file


def save(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write `header` and `rows` as CSV, whole or not at all; floats have six decimals."""
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        for row in rows:
            table.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in row])


def as_markdown(rows: Sequence[Sequence[str]], alignment: str = "---") -> str:
    """Return a table for GitHub; the first row is the header, and `alignment` applies to all columns but the first."""
    header, *body = [f"| {' | '.join(row)} |" for row in rows]
    ruler = ["---", *(alignment for _ in rows[0][1:])]
    return "\n".join([header, f"| {' | '.join(ruler)} |", *body])
