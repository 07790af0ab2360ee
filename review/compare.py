"""Show what changed from one revision to another, and whether the new model is better or the difference may be luck.

It compares the parameters, metrics and predictions that Git holds, and needs no data, cache or remote. Two accuracies
on the same images are compared image by image, with McNemar's exact test: it sees differences that two intervals hide.
"""

import argparse
import os
import sys

from review.command import command
from review.rendering.documents import as_json, as_markdown, as_text
from review.results.difference import compare
from review.results.revision import load
from review.statistics.paired import Verdict


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


def _colour_is_wanted() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org


if __name__ == "__main__":
    sys.exit(main())
