"""A comparison as text for a terminal, as Markdown for GitHub, or as JSON for programs."""

import json
from dataclasses import asdict
from typing import Any

from classifier.files.table import as_markdown as as_markdown_table
from review.rendering.findings import conclude, facts, reasons, tables
from review.results.difference import Comparison, changed_parameters, metrics
from review.results.revision import Results
from review.statistics.paired import Verdict, judge
from review.wording.escaping import markdown, unquote

COLOURS: dict[Verdict, int] = {"better": 32, "worse": 31, "cannot be told apart": 33}  # ANSI green, red, yellow


def as_text(comparison: Comparison, colour: bool) -> str:
    """Render for a terminal."""
    blocks = ["\n".join(facts(comparison))]
    for table in ([[unquote(cell) for cell in row] for row in table] for table in tables(comparison)):
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for first, *cells in table:
            padded = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            lines.append("  ".join([first.ljust(widths[0]), *padded]).rstrip())
        blocks.append("\n".join(lines))
    blocks.append("\n".join(reasons(comparison)))
    verdict = conclude(comparison)
    blocks.append(f"\033[{COLOURS[comparison.verdict]}m{verdict}\033[0m" if colour else verdict)
    return "\n\n".join(blocks)


def as_markdown(comparison: Comparison) -> str:
    """Render for a comment on GitHub: the verdict first, then as in a terminal."""
    blocks = [f"**{markdown(conclude(comparison))}**", "\n".join(f"- {markdown(fact)}" for fact in facts(comparison))]
    for table in tables(comparison):
        blocks.append(as_markdown_table([[markdown(cell) for cell in row] for row in table], alignment="---:"))
    blocks.append("\n".join(f"- {markdown(reason)}" for reason in reasons(comparison)))
    return "\n\n".join(blocks)


def as_json(comparison: Comparison) -> str:
    """Render for programs, without NaN. What a side lacks has no key.

    {
      "base": {"revision": "main", "commit": "1a2b...", "dataset": "mnist", "train_images": 55000},
      "head": the same; "revision" and "commit" are null for this folder,
      "parameters": {"train.epochs": {"base": 5, "head": 6}, ...}, those that differ,
      "metrics": {"test.errors": {"base": 107, "head": 95, "difference": -12}, ...}, all,
      "splits": {"validation": {the fields of paired.Paired, "verdict": "better"}, ...}, those of both sides,
      "decided_by": "validation" or "test",
      "verdict": "better", "worse" or "cannot be told apart": that of this split
    }
    """
    parameters = changed_parameters(comparison)
    document = {
        **{label: _identity(side) for label, side in (("base", comparison.base), ("head", comparison.head))},
        "parameters": {
            key: {side: _plain(value) for side, value in found.items()} for key, found in parameters.items()
        },
        "metrics": metrics(comparison),
        "splits": {name: asdict(split) | {"verdict": judge(split)} for name, split in comparison.splits.items()},
        "decided_by": comparison.decided_by,
        "verdict": comparison.verdict,
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _identity(side: Results) -> dict[str, Any]:
    return {key: getattr(side, key) for key in ("revision", "commit", "dataset", "train_images")}


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: of YAML's dates, sets and NaN, their text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value
