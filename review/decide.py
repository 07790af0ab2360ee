"""Train seeds of two recipes until it is decided whether one is better, looking at fixed numbers of seeds.

Looking after each seed, and stopping as soon as the difference seems shown, is wrong too often. The plan has few looks,
each at a level of its own, so that the error over all of them stays below 5 % (docs/benchmarks.md). The runs are
those of review.noise: measured seeds are not trained again, and after an interruption the same command goes on.
"""

import argparse
import sys

from classifier.command import command
from classifier.paths import NOISE, RAW
from review.comparison import Comparison, compare_results, holding_records
from review.escaping import p_value, unquote, with_limits
from review.revision import read_results
from review.seeds import why_stale
from review.statistics import PLAN, estimate
from review.text import conclude, wrap
from review.training import add_places, load_recipe, measure, place_of


@command("decide", refused=2, interrupted="the runs that ended are kept, and the same command goes on")
def main(arguments: list[str] | None = None) -> int:
    """Train, print a line a look and the verdict; return 0, or 1 if HEAD is worse, or 2 if nothing can be decided."""
    parser = argparse.ArgumentParser(
        prog="python -m review.decide",
        description=(__doc__ or "").splitlines()[0],
        epilog="exit status: 0; 1 if HEAD is worse; 2 if the two cannot be compared or a training fails",
    )
    parser.add_argument("base", help="a commit, branch or tag")
    parser.add_argument("head", nargs="?", help="another; without it, the files in this folder")
    add_places(parser)
    options = parser.parse_args(arguments)
    place = place_of(options)
    base, head = read_results(options.base), read_results(options.head)
    comparison = compare_results(base, head)  # refuses what cannot be compared, before anything is trained
    recipes = [load_recipe(revision=revision) for revision in (options.base, options.head)]
    for recipe in recipes:
        if recipe.dataset != base.dataset:
            held = f"{RAW.parent} holds {recipe.dataset}"
            raise ValueError(f"{held}, the results are of {base.dataset}: `dvc repro download` first")
    known = [len(record.runs) if record else 0 for record in holding_records(base, head)]
    for look, (seeds, alpha) in enumerate(PLAN, start=1):
        if (seeds < min(known) and look < len(PLAN)) or comparison.one_recipe:
            continue
        start = f"decide: look {look} of {len(PLAN)}: "
        trainings = sum(max(0, seeds - count) for count in known)
        print(f"{start}{seeds} seeds each, {trainings} to train", flush=True)
        records = (measure(recipes[0], range(seeds), **place), measure(recipes[1], range(seeds), **place))
        known = [len(record.runs) for record in records]
        for side, record in zip((base, head), records, strict=True):
            if side.training and (why := why_stale(record, side)):
                raise ValueError(f"the runs do not match the results of {side.name}: {unquote(why)}")
        comparison = compare_results(base, head, records=records, alpha=alpha)
        print(wrap(f"{start}{_describe(comparison, alpha)}"), flush=True)
        if comparison.verdict != "undecided":
            break
    print(wrap(conclude(comparison)))
    if options.head is None and not comparison.one_recipe:
        print(f"decide: commit {NOISE}, which has the seeds of this folder", file=sys.stderr)
    return 1 if comparison.verdict == "worse" else 0


def _describe(comparison: Comparison, alpha: float) -> str:
    split = comparison.splits[comparison.decided_by]
    change = estimate(split.base, split.head)
    difference = with_limits(change.difference, *change.interval())
    return f"{difference}, {p_value(change.p)}; {comparison.verdict} at p < {alpha:g}"


if __name__ == "__main__":
    sys.exit(main())
