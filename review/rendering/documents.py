"""A comparison as text for a terminal, as Markdown for GitHub, or as JSON for programs."""

import json
import textwrap
from dataclasses import asdict
from typing import Any

from classifier.files.table import as_markdown as as_markdown_table
from review.rendering.findings import conclude, reasons
from review.rendering.tables import Table, images_that_differ, shown_metrics, shown_splits, tables
from review.results.difference import Comparison, Split, changed_parameters
from review.results.revision import Results
from review.statistics.verdict import Verdict
from review.wording.escaping import markdown, unquote

COLOURS: dict[Verdict, int] = {"better": 32, "no worse": 32, "worse": 31, "undecided": 33}  # ANSI green, red, yellow

WIDTH = 80  # characters of a line in the terminal

HIDDEN = "test images: not shown; `--final` shows them, once, when the choice is made"
FINAL = "test images: each look at them makes their accuracy a worse estimate of the accuracy on new images"


def as_text(comparison: Comparison, colour: bool, final: bool = False) -> str:
    """Render for a terminal, in lines of at most 80 characters."""
    verdict = wrap(conclude(comparison))
    blocks = [f"\033[{COLOURS[comparison.verdict]}m{verdict}\033[0m" if colour else verdict]
    blocks.append("\n".join(map(wrap, reasons(comparison))))
    blocks += [as_columns(table) for table in tables(comparison, final)]
    if note := about_test_images(comparison, final):
        blocks.append(wrap(note))
    return "\n\n".join(blocks)


def as_markdown(comparison: Comparison, final: bool = False) -> str:
    """Render for a comment on GitHub, in the same order."""
    blocks = [f"**{markdown(conclude(comparison))}**", "\n".join(f"- {markdown(each)}" for each in reasons(comparison))]
    for table in tables(comparison, final):
        blocks.append(as_markdown_table([[markdown(cell.strip()) for cell in row] for row in table], alignment="---:"))
    if note := about_test_images(comparison, final):
        blocks.append(markdown(note))
    return "\n\n".join(blocks)


def about_test_images(comparison: Comparison, final: bool) -> str:
    """Say that the test images are hidden, or what it costs to look at them; nothing if they alone are there."""
    if list(comparison.splits) == ["test"] or "test" not in comparison.splits:
        return ""
    return FINAL if final else HIDDEN


def as_json(comparison: Comparison, final: bool = False) -> str:
    """Render for programs, without NaN. What a side lacks has no key.

    {
      "verdict": "better", "worse", "no worse" or "undecided",
      "decided_by": "validation" or "test",
      "one_recipe": whether the two are runs of one recipe,
      "recipes": how many recipes were judged against base's on these images,
      "margin": 0.002 or null,
      "base": {"revision": "main", "commit": "1a2b...", "dataset": "mnist", "train_images": 55000},
      "head": the same; "revision" and "commit" are null for this folder,
      "parameters": {"train.epochs": {"base": 5, "head": 6}, ...}, those that differ,
      "metrics": {"validation.errors": {"base": 37, "head": 35, "difference": -2}, ...}, those of test only if `final`,
      "splits": {"validation": {
        "models": {the fields of paired.Paired},
        "base": {"seeds": 5, "accuracy": 0.9936, "standard_deviation": 0.0003, null of one seed}, and so "head",
        "recipes": null or {the fields of recipes.Estimate, "low", "high" and "p"}
      }, ...}, "test" only if `final`,
      "images": [{"image": 7, "actual": 3, "base": 0, "head": 5}, ...], which seeds of the two read most differently,
      "reasons": ["base: ...", ...]
    }
    """
    parameters = changed_parameters(comparison)
    splits = shown_splits(comparison, final)
    document = {
        "verdict": comparison.verdict,
        "decided_by": comparison.decided_by,
        "one_recipe": comparison.one_recipe,
        "recipes": comparison.recipes,
        "margin": comparison.margin,
        **{label: _identity(side) for label, side in (("base", comparison.base), ("head", comparison.head))},
        "parameters": {
            key: {side: _plain(value) for side, value in found.items()} for key, found in parameters.items()
        },
        "metrics": shown_metrics(comparison, final),
        "splits": {name: _split(split) for name, split in splits.items()},
        "images": [
            dict(zip(("image", "actual", "base", "head"), each, strict=True)) for each in images_that_differ(comparison)
        ],
        "reasons": [unquote(each) for each in reasons(comparison)],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _split(split: Split) -> dict[str, Any]:
    found = split.estimate
    recipes = None
    if found:
        low, high = found.interval()
        freedom = found.freedom if found.freedom < 10**9 else None  # without noise of the seed it is infinite
        recipes = asdict(found) | {"freedom": freedom, "low": low, "high": high, "p": found.p}
    return {
        "models": asdict(split.paired),
        **{
            label: {"seeds": side.seeds, "accuracy": side.accuracy, "standard_deviation": side.deviation}
            for label, side in (("base", split.base), ("head", split.head))
        },
        "recipes": recipes,
    }


def _identity(side: Results) -> dict[str, Any]:
    return {key: getattr(side, key) for key in ("revision", "commit", "dataset", "train_images")}


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: of YAML's dates, sets and NaN, their text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value


def wrap(sentence: str) -> str:
    """Break a sentence into lines for a terminal."""
    return textwrap.fill(sentence, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def as_columns(table: Table) -> str:
    """Align a table; cells of one that is too wide are cut, and `--json` has them whole."""
    rows = [[unquote(cell) for cell in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        first, *cells = (_cut(cell, width) for cell, width in zip(row, widths, strict=True))
        padded = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(lines)


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: max(0, width - 3)]}..."[:width]
