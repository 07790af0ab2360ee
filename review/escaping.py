"""Foreign text (names, values and messages of a revision), escaped so that it stays text; and how numbers are written.

`quote` puts such text between backticks in every sentence and table cell; the text itself then has no backtick.
Markdown renders it as a code span, in which GitHub finds no link, picture, HTML, mention or reference.
"""

import re
from collections.abc import Mapping
from typing import Any

from classifier.command import printable
from review.statistics import Readings

LONGEST = 300  # characters of one text


def quote(text: str) -> str:
    """Put a text between backticks, on one line, without characters that control a terminal or Markdown."""
    return "`" + (shorten(printable(text)).replace("`", r"\x60") or "''") + "`"


def shorten(text: str, longest: int = LONGEST) -> str:
    """Return a text, cut with an ellipsis if it is too long."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def unquote(sentence: str) -> str:
    """Return a sentence or cell without its backticks, for a table in a terminal."""
    return sentence.replace("`", "")


def markdown(sentence: str) -> str:
    """Return a sentence or cell as Markdown: text between backticks becomes a code span, the rest is plain text."""
    return "".join(
        part.replace("|", r"\|") if part.startswith("`") and part.endswith("`") else _plain(part)
        for part in re.split(r"(`[^`]+`)", sentence)
    )


def _plain(text: str) -> str:
    # Only our own words come here, unless a quote is missing. GitHub finds @name and #1 even after a backslash, so a
    # zero-width space follows.
    return re.sub(r"([@#]|:(?=//)|www(?=\.))", "\\1\u200b", re.sub(r"([\\`*_|<>\[\]~&$#])", r"\\\1", text))


def cell(values: Mapping[str, Any], column: str) -> str:
    """Write what a parameter or a metric has in a column of `side_by_side`: "base", "head" or "difference"."""
    if column not in values:
        return "" if column == "difference" else "absent"
    value = values[column]
    if column == "difference":
        return f"{value:+g}" if value else "0"
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else shorten(repr(value))
    return quote(repr(value))


def with_limits(difference: float, low: float, high: float) -> str:
    """Write a difference with its limits: -0.0007 (95 %: -0.0023 to +0.0010)."""
    return f"{difference:+.4f} (95 %: {low:+.4f} to {high:+.4f})"


def in_10_000(share: float) -> str:
    """Write how many of 10,000 images a share is, without its sign: 1,234, 17 or 0.4."""
    count = abs(share) * 10_000
    return f"{count:,.0f}" if count >= 0.95 else f"{count:.1f}"


def spread(readings: Readings) -> str:
    """Write the accuracy of a recipe: 0.7500 ± 0.1118 over 5 seeds, or 0.7500 over 1 seed."""
    if readings.deviation is None:
        return f"{readings.accuracy:.4f} over 1 seed"
    return f"{readings.accuracy:.4f} ± {readings.deviation:.4f} over {readings.seeds} seeds"


def p_value(p: float) -> str:
    """Write a p-value with its sign: p = 0.0391, or p < 0.0001."""
    return f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"
