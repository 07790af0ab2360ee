"""Tell what changed from one revision to another, and whether the model now reads digits better or is only luckier.

It compares the parameters, metrics and predictions that Git holds, and needs no data, cache or remote. Two accuracies
on the same images are compared image by image, with McNemar's exact test: it sees differences that two intervals hide.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from review.command import command
from review.rendering.findings import conclude, facts, reasons, tables
from review.results.difference import Comparison, changed_parameters, compare, metrics
from review.results.revision import Results, load
from review.statistics.paired import Verdict, judge
from review.wording.escaping import markdown, unquote

COLOURS: dict[Verdict, int] = {"better": 32, "worse": 31, "cannot be told apart": 33}  # ANSI green, red, yellow


@command("compare", refused=2)
def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; return 0, or 1 where --fail-if says so, or 2 where there is nothing to compare."""
    parser = argparse.ArgumentParser(
        prog="python -m review.compare",
        description=(__doc__ or "").splitlines()[0],
        epilog="exit status: 0; 1 if --fail-if holds; 2 if the two cannot be compared",
    )
    parser.add_argument("base", help="a commit, branch, tag or DVC experiment")
    parser.add_argument("head", nargs="?", help="another; without it, the files in this folder")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_const", dest="render", const=as_markdown, help="tables for GitHub")
    form.add_argument("--json", action="store_const", dest="render", const=as_json, help="for programs")
    parser.add_argument("--fail-if", choices=["worse", "not-better"], help="exit with 1 if that is the verdict on HEAD")
    options = parser.parse_args(arguments)
    comparison = compare(load(options.base), load(options.head))
    print(options.render(comparison) if options.render else as_text(comparison, colour=_colour_is_wanted()))
    failures: dict[str | None, set[Verdict]] = {"worse": {"worse"}, "not-better": {"worse", "cannot be told apart"}}
    return 1 if comparison.verdict in failures.get(options.fail_if, set()) else 0


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
        header, *rows = [[markdown(cell) for cell in row] for row in table]
        ruler = ["---", *("---:" for _ in header[1:])]
        blocks.append("\n".join(f"| {' | '.join(row)} |" for row in [header, ruler, *rows]))
    blocks.append("\n".join(f"- {markdown(reason)}" for reason in reasons(comparison)))
    return "\n\n".join(blocks)


def as_json(comparison: Comparison) -> str:
    """Render for programs, without NaN. What a side lacks has no key.

    {
      "base": {"revision": "main", "commit": "1a2b...", "dataset": "mnist", "train_images": 55000},
      "head": the same; "revision" and "commit" are null for this folder,
      "parameters": {"train.epochs": {"base": 5, "head": 6}, ...}, those that differ,
      "metrics": {"test.errors": {"base": 107, "head": 95, "difference": -12}, ...}, all,
      "splits": {"validation": {the fields of review.statistics.paired.Paired, "verdict": "better"}, ...}, those of both sides,
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
    """YAML has dates, sets and NaN; JSON has not, and gets their text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value


def _colour_is_wanted() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org


if __name__ == "__main__":
    sys.exit(main())
