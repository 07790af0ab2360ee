"""Simulate reviews, count how often each rule is right, and write bench/verdict/rates.md.

    python -m bench.verdict

The worlds are drawn from the runs that evaluation/seed_noise.json has of the recipe in params.yaml and of the one whose
accuracy differs most from it. The same runs give the same document.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from bench.verdict import reviews, worlds
from bench.verdict.rates import DIFFERENCES, GROSS, LOSSES, ONE_RUN, TAU, document
from bench.verdict.reviews import Review
from classifier.files import markdown_table, whole_file
from classifier.paths import NOISE, PARAMS
from review.escaping import limits, spread
from review.results import parse_parameters, recipe_of
from review.seeds import Record, parse_records, unlike
from review.statistics import Readings, estimate, judge

SPLIT = "validation"


def main(arguments: list[str] | None = None) -> int:
    """Simulate and write; return 0, or 1 if the runs are not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.verdict", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=1000, help="simulated reviews a rate (1000)")
    parser.add_argument("--noise", type=Path, default=NOISE, help=f"the real runs ({NOISE})")
    parser.add_argument("--output", type=Path, default=Path("bench/verdict/rates.md"))
    options = parser.parse_args(arguments)
    try:
        records = parse_records(options.noise.read_text(encoding="utf-8"))
        base, other = choose(records)
    except (OSError, ValueError) as error:
        print(f"bench: {options.noise}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    real = {"params.yaml": readings(base), "the other": readings(other)}
    sides = (real["params.yaml"][0], real["the other"][0])
    alike = worlds.share_alike(*sides)
    scenarios = {
        "equal": reviews.nulls(*sides, TAU),
        "different": {f"{gain:+.4f}": reviews.differing(*sides, TAU, gain, alike) for gain in DIFFERENCES},
        "noisy": {f"{gain:+.4f}": reviews.differing(*sides, TAU, gain, alike, reviews.NOISY) for gain in LOSSES},
        "four times": {"4 times the noise": reviews.four_times(*sides, TAU)},
        "gross": {f"{gain:+.3f}": reviews.differing(*sides, TAU, gain, alike) for gain in GROSS},
    }
    drawn: dict[str, dict[str, list[Review]]] = {}
    for number, (kind, cases) in enumerate(scenarios.items()):
        pairs = reviews.PAIRS if kind in ("equal", "different", "noisy") else ONE_RUN
        drawn[kind] = {}
        for case, (name, recipes) in enumerate(cases.items()):
            drawn[kind][name] = reviews.simulate(recipes, options.worlds, (number, case), pairs)
            print(f"bench: {kind}, {name}: {options.worlds:,} reviews", flush=True)
    text = document(real, alike, drawn, options.worlds, changes(base, other)) + on_real_runs(base, records)
    with whole_file(options.output) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"bench: {options.worlds:,} worlds a rate -> {options.output}")
    return 0


def choose(records: Sequence[Record]) -> tuple[Record, Record]:
    """Return the record of the recipe in params.yaml, and that whose accuracy differs most from it.

    Raises:
        ValueError: there are no two such records of the same images with at least 5 seeds each.
    """
    recipe = recipe_of(parse_parameters(PARAMS.read_text(encoding="utf-8")))
    measured = [each for each in records if len(each.runs) >= 5 and SPLIT in each.images]
    base = next((each for each in measured if not unlike(each.parameters, recipe)), None)
    images = (base.dataset, base.images) if base else None
    others = [each for each in measured if each is not base and (each.dataset, each.images) == images]
    if base is None or not others:
        raise ValueError("expected 5 seeds or more of the recipe in params.yaml and of another")
    accuracy = readings(base)[0].accuracy
    return base, max(others, key=lambda each: abs(readings(each)[0].accuracy - accuracy))


def readings(record: Record) -> list[Readings]:
    """Return the readings of each split of a record, validation first."""
    splits = (SPLIT, *(split for split in record.images if split != SPLIT))
    return [found for split in splits if (found := record.readings(split))]


def changes(base: Record, other: Record) -> str:
    """Name the parameters in which the other recipe differs, with its values."""
    keys = unlike(base.parameters, other.parameters)
    return ", ".join(f"`{key}` {other.parameters.get(key)}" for key in keys)


def on_real_runs(base: Record, records: Sequence[Record]) -> str:
    """Return what the verdict is on the real runs: each pair of recipes, and halves of the seeds of the default."""
    same = [each for each in records if each.dataset == base.dataset and each.images.get(SPLIT) == base.images[SPLIT]]
    same.sort(key=lambda each: readings(each)[0].accuracy)
    legend = [["", "recipe, by what it changes in params.yaml", "validation accuracy"]]
    for number, record in enumerate(same, start=1):
        legend.append([str(number), changes(base, record) or "the default", spread(readings(record)[0])])
    rows = [["base", "head", "difference", "95 % limits", "p", "verdict"]]
    for (first, one), (second, other) in combinations(enumerate(same, start=1), 2):
        found = estimate(readings(one)[0], readings(other)[0])
        figures = [f"{found.difference:+.4f}", limits(*found.interval()), f"{found.p:.2g}", judge(found)]
        rows.append([str(first), str(second), *figures])
    misread, numbers = [run.misread[SPLIT] for run in base.runs], range(len(base.runs))
    halves = [each for each in combinations(numbers, len(numbers) // 2) if 0 in each]
    verdicts = [
        judge(
            estimate(
                Readings.of([misread[seed] for seed in half], base.images[SPLIT]),
                Readings.of([misread[seed] for seed in numbers if seed not in half], base.images[SPLIT]),
            )
        )
        for half in halves
    ]
    undecided = verdicts.count("undecided")
    return f"""
## On the real runs

The measured recipes with the same validation images, and the verdict on each pair of them:

{markdown_table(legend)}

{markdown_table(rows)}

Of the {len(halves):,} ways to split the seeds of the default in two halves, {undecided:,} are undecided.
"""


if __name__ == "__main__":
    raise SystemExit(main())
