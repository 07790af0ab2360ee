"""Simulated reviews of two recipes, and what each rule says of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import inf, nan, sqrt

import numpy as np
from scipy.stats import t

from bench.verdict import worlds
from bench.verdict.worlds import Recipe
from review.statistics import ALPHA, PLAN, Estimate, Readings, Verdict, estimate, judge, mcnemar

PAIRS = ((2, 2), (3, 3), (5, 5), (10, 10), (10, 5), (5, 10), (5, 1), (10, 1))  # seeds of base, of head
TIMES = 4  # as much noise a single run of head may have as base, as a standard deviation
NOISY = 0.0014  # tau: the standard deviation of accuracy of a recipe with much noise, as the notebook's


@dataclass(frozen=True)
class Review:
    """What the rules look at: estimates by the seeds of base and head, and p-values by seeds.

    `first` and `mcnemar` are the difference and the p-value of the first seeds; `cautious` is the p-value of one run of
    head whose noise is taken to be `TIMES` that of base.
    """

    estimates: dict[tuple[int, int], Estimate]
    first: float
    mcnemar: float
    welch: dict[int, float]
    cautious: dict[int, float]


_mcnemar = cache(mcnemar)  # few counts occur
Pair = tuple[Recipe, Recipe]  # base and head
Rule = Callable[[Review], Verdict]


def nulls(base: Readings, other: Readings, tau: float) -> dict[str, Pair]:
    """Return the ways in which two recipes can be equally accurate.

    Args:
        base: of the real recipe; `tau` is its own. other: of a real recipe that fails on other images.
    """
    accuracy = base.accuracy
    quiet, noisy, still = (worlds.recipe(base, each, accuracy, base, 1.0) for each in (tau, NOISY, 0.0))
    elsewhere, noisy_elsewhere = (worlds.recipe(other, each, accuracy) for each in (tau, NOISY))
    return {
        "same recipe": (quiet, quiet),
        "unequal noise": (quiet, noisy),
        "other images": (quiet, elsewhere),
        "both": (quiet, noisy_elsewhere),
        "tau = 0": (still, still),
        "much noise": (noisy, noisy),
    }


def four_times(base: Readings, other: Readings, tau: float) -> Pair:
    """Return equally accurate recipes that fail on other images; accuracy over head's seeds varies 4 times as much."""
    flips = base.residual / base.images
    head = worlds.recipe(other, sqrt(TIMES**2 * (tau**2 + flips) - flips), base.accuracy)
    return worlds.recipe(base, tau, base.accuracy), head


def differing(
    base: Readings, other: Readings, tau: float, gain: float, alike: float, noise: float | None = None
) -> Pair:
    """Return the real recipe, and another that is more accurate by this; this share of images is as hard for both.

    Args:
        noise: tau of the other recipe, if not that of the real one.
    """
    head = worlds.recipe(other, tau if noise is None else noise, base.accuracy + gain, base, alike)
    return worlds.recipe(base, tau, base.accuracy), head


def simulate(recipes: Pair, count: int, seed: Sequence[int], pairs: Sequence[tuple[int, int]] = PAIRS) -> list[Review]:
    """Draw reviews of base and head, each of other images and other seeds."""
    random = np.random.default_rng(seed)
    most = max(max(pair) for pair in pairs)
    return [review(*worlds.draw(random, *recipes, most), pairs) for _ in range(count)]


def review(base: np.ndarray, head: np.ndarray, pairs: Sequence[tuple[int, int]]) -> Review:
    """Estimate the difference from what the seeds of both recipes misread: bool (seeds, images)."""
    counts = {seeds for pair in pairs for seeds in pair}
    sides = [{seeds: worlds.first(side, seeds) for seeds in counts} for side in (base, head)]
    only_base, only_head = int((head[0] & ~base[0]).sum()), int((base[0] & ~head[0]).sum())
    return Review(
        estimates={(of_base, of_head): estimate(sides[0][of_base], sides[1][of_head]) for of_base, of_head in pairs},
        first=(only_head - only_base) / base.shape[1],
        mcnemar=_mcnemar(only_base, only_head),
        welch={
            seeds: _welch(sides[0][seeds].errors, sides[1][seeds].errors)
            for seeds, of_head in pairs
            if seeds == of_head
        },
        cautious={seeds: _cautious(sides[0][seeds], sides[1][1]) for seeds, of_head in pairs if of_head == 1},
    )


def one_run(review: Review) -> Verdict:
    """Say what McNemar's test says of one model each."""
    return _side(review.first, review.mcnemar)


def both_tests(seeds: int) -> Rule:
    """Return the rule that McNemar's test of the first seeds and Welch's of all seeds must agree."""

    def rule(review: Review) -> Verdict:
        verdict = one_run(review)
        return verdict if verdict == welch(seeds)(review) else "undecided"

    return rule


def welch(seeds: int) -> Rule:
    """Return the rule of Welch's t-test on the accuracies of the seeds."""
    return lambda review: _side(review.estimates[seeds, seeds].difference, review.welch[seeds])


def together(base: int, head: int, margin: float | None = None, alpha: float = ALPHA) -> Rule:
    """Return the rule of `review.statistics`."""
    return lambda review: judge(review.estimates[base, head], margin=margin, alpha=alpha)


def provisional(base: int, alpha: float) -> Rule:
    """Return the rule for one run of head, at another level than `review.statistics` has."""
    return lambda review: judge(_settled(review.estimates[base, 1]), alpha=alpha)


def cautious(base: int) -> Rule:
    """Return the rule for one run of head that takes its noise to be `TIMES` that of base."""
    return lambda review: _side(review.estimates[base, 1].difference, review.cautious[base])


def follow(review: Review, plan: Sequence[tuple[int, float]] = PLAN) -> tuple[Verdict, int]:
    """Add seeds as the plan says, and return the verdict and the number of seeds that it took."""
    for seeds, alpha in plan:
        verdict = judge(review.estimates[seeds, seeds], alpha=alpha)
        if verdict != "undecided":
            break
    return verdict, seeds


@cache  # so that p is computed once for all levels
def _settled(estimate: Estimate) -> Estimate:
    return replace(estimate, provisional=False)


def _side(difference: float, p: float) -> Verdict:
    if not p < ALPHA:  # or not a number, where no accuracy varies
        return "undecided"
    return "better" if difference > 0 else "worse"


def _welch(base: np.ndarray, head: np.ndarray) -> float:
    parts = [float(side.var(ddof=1)) / len(side) for side in (base, head)]
    if not any(parts):
        return nan
    freedom = sum(parts) ** 2 / sum(part**2 / (len(base) - 1) for part in parts)
    return float(2 * t.sf(abs(head.mean() - base.mean()) / sqrt(sum(parts)), freedom))


def _cautious(base: Readings, head: Readings) -> float:
    found = estimate(base, head)
    seeds, noise = base.seeds, TIMES**2 * base.variance
    more = max(0.0, noise - base.residual / base.images) - base.tau2
    variance = found.error**2 + more
    spread = (base.variance / seeds + noise) ** 2 / (seeds - 1)
    return float(2 * t.sf(abs(found.difference) / sqrt(variance), variance**2 / spread if spread else inf))
