"""Measure the noise of a seed: train one recipe with several seeds, and keep which images the model of each misreads.

Each seed is a trial, which ends as a DVC experiment, so the outputs stay as they are. The same command goes on
after an interruption, and `--seeds 10` after five seeds trains five more.
"""

import argparse
import sys
from pathlib import Path

from classifier.command import command
from classifier.paths import NOISE, PARAMS
from review.escaping import spread
from review.results import SPLITS
from review.training import add_places, load_recipe, measure, place_of


@command("noise", refused=1, interrupted="the runs that ended are kept, and the same command goes on")
def main(arguments: list[str] | None = None) -> int:
    """Measure, write the file of the recipe and return 0; or say in one line why not, and return 1."""
    parser = argparse.ArgumentParser(prog="python -m review.noise", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", nargs="?", type=Path, default=PARAMS, help="a params.yaml (default: this one)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="train with the seeds 0 to N-1 (default: 5)")
    parser.add_argument(
        "-S", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="as in dvc exp run"
    )
    parser.add_argument("--anew", action="store_true", help="train the seeds that are already measured, too")
    add_places(parser)
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error("a standard deviation takes at least 2 seeds")
    recipe = load_recipe(options.recipe, options.changes)
    measured = measure(recipe, range(options.seeds), options.anew, **place_of(options))
    for split in SPLITS:
        if readings := measured.readings(split):
            print(f"noise: {split} {spread(readings)} -> {NOISE}/{measured.recipe}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
