"""Text that is not ours, written so that it stays text: names, values and messages that a revision may hold.

Every sentence and table cell keeps such text between backticks, put there by `quote`; it holds no backtick itself.
Then each rendering knows it: a terminal prints it, and Markdown has it as a code span, in which GitHub sees no link,
picture, HTML, mention or reference.
"""

import re

from classifier.running.command import printable

LONGEST = 300  # characters of one text; the rest would only fill the screen


def quote(text: str) -> str:
    """Put a text between backticks, on one line and with nothing that a terminal or Markdown obeys."""
    return "`" + (shorten(printable(text)).replace("`", r"\x60") or "''") + "`"


def shorten(text: str) -> str:
    """Return the text, or so much of it as fits with an ellipsis."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def unquote(sentence: str) -> str:
    """Return a sentence or cell without its backticks, for a table in a terminal."""
    return sentence.replace("`", "")


def markdown(sentence: str) -> str:
    """Return a sentence or cell as Markdown: what is between backticks is a code span, all else is plain text."""
    parts = re.split(r"(`[^`]+`)", sentence)
    return "".join(
        part.replace("|", r"\|") if part.startswith("`") and part.endswith("`") else _plain(part) for part in parts
    )


def _plain(text: str) -> str:
    # Only own words come here, unless a quote was forgotten. GitHub looks for @name and #1 even behind a backslash, so
    # a space of no width follows.
    return re.sub(r"([@#]|:(?=//)|www(?=\.))", "\\1\u200b", re.sub(r"([\\`*_|<>\[\]~&$#])", r"\\\1", text))
