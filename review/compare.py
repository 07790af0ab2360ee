"""Show what changed from one revision to another, and whether the new recipe is better, worse, or neither is shown.

It compares the parameters, metrics, predictions and measured seeds that Git holds, and needs no data, cache or remote.
The verdict is about recipes: over their seeds and over the images that both read (docs/review.md). Results that
review.verify refuses get none.
"""

import argparse
import os
import sys

from classifier.command import command
from review.comparison import Comparison, compare_results
from review.escaping import cell, quote, spread, unquote
from review.lock import mismatches
from review.results import recipe_of
from review.revision import read_results
from review.seeds import differing_keys
from review.text import as_json, as_markdown, as_text


@command("compare", refused=2)
def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; return 0, or 1 if a gate says so, or 2 where there is nothing to compare."""
    parser = argparse.ArgumentParser(prog="python -m review.compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", help="a commit, branch, tag or DVC experiment")
    parser.add_argument("head", nargs="?", help="another; without it, the files in this folder")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_const", dest="render", const=as_markdown, help="tables for GitHub")
    form.add_argument("--recipes", action="store_const", dest="render", const=as_recipes, help="list what was judged")
    form.add_argument("--json", action="store_const", dest="render", const=as_json, help="for programs")
    parser.add_argument("--final", action="store_true", help="show the test images too")
    parser.add_argument("--margin", type=float, metavar="M", help="the loss of accuracy that does not matter: 0.002")
    parser.add_argument("--stale", action="store_true", help="compare results that review.verify refuses, too")
    gate = parser.add_mutually_exclusive_group()
    gate.add_argument("--fail-if", choices=["worse"], help="exit with 1 if HEAD is worse")
    gate.add_argument("--fail-unless", choices=["better", "no-worse"], help="exit with 1 unless HEAD is (see --margin)")
    options = parser.parse_args(arguments)
    if options.fail_unless == "no-worse" and options.margin is None:
        parser.error("--fail-unless no-worse takes --margin: how much less accuracy does not matter")
    if options.margin is not None and not 0 < options.margin < 1:
        parser.error(f"--margin: expected an accuracy between 0 and 1, such as 0.002, got {options.margin:g}")
    comparison = compare_results(read_results(options.base), read_results(options.head), options.margin)
    if found := mismatches(options.base, options.head, options.stale):
        print(f"compare: warning: {found}", file=sys.stderr)
    if options.render:
        print(options.render(comparison, options.final))
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org
        print(as_text(comparison, colour, options.final))
    passes = {"better": {"better"}, "no-worse": {"better", "no worse"}}.get(options.fail_unless)
    fails = comparison.verdict == options.fail_if or (passes is not None and comparison.verdict not in passes)
    return 1 if fails else 0


def as_recipes(comparison: Comparison, _final: bool) -> str:
    """List the recipes that were judged against base on these images: what differs from base, and the accuracy."""
    split, base = comparison.decided_by, recipe_of(comparison.base.parameters)
    records = {record.recipe: record for side in (comparison.base, comparison.head) for record in side.noise}
    table = [["recipe", "accuracy by " + split, "parameters"]]
    for name, parameters in comparison.judged.items():
        readings = records[name].readings(split) if name in records else comparison.splits[split].head
        keys = differing_keys(base, parameters)
        changed = ", ".join(f"{quote(key)} {cell(parameters, key)}" for key in keys) or "as base"
        table.append([name, spread(readings) if readings else "not measured", changed])
    return "\n".join("  ".join(map(unquote, row)) for row in table)


if __name__ == "__main__":
    sys.exit(main())
