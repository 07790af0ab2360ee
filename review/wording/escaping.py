"""Foreign text (names, values and messages of a revision), escaped so that it stays text.

`quote` puts such text between backticks in every sentence and table cell; the text itself then has no backtick. A
terminal prints it, and Markdown renders it as a code span, in which GitHub finds no link, picture, HTML, mention or
reference.
"""

import re
from typing import Any

from classifier.running.command import printable

LONGEST = 300  # characters of one text


def quote(text: str) -> str:
    """Put a text between backticks, on one line, without characters that control a terminal or Markdown."""
    return "`" + (shorten(printable(text)).replace("`", r"\x60") or "''") + "`"


def shorten(text: str) -> str:
    """Return the text, cut to LONGEST characters with an ellipsis."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def brief(value: Any) -> str:
    """Return a value as Python writes it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def unquote(sentence: str) -> str:
    """Return a sentence or cell without its backticks, for a table in a terminal."""
    return sentence.replace("`", "")


def markdown(sentence: str) -> str:
    """Return a sentence or cell as Markdown: text between backticks becomes a code span, the rest is plain text."""
    parts = re.split(r"(`[^`]+`)", sentence)
    return "".join(
        part.replace("|", r"\|") if part.startswith("`") and part.endswith("`") else _plain(part) for part in parts
    )


def _plain(text: str) -> str:
    # Only our own words come here, unless a quote is missing. GitHub finds @name and #1 even after a backslash, so a
    # zero-width space follows.
    return re.sub(r"([@#]|:(?=//)|www(?=\.))", "\\1\u200b", re.sub(r"([\\`*_|<>\[\]~&$#])", r"\\\1", text))
