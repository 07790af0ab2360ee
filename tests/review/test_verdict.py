"""What makes a recipe better, worse or no worse, and how often that is wrong in simulated reviews."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from bench.verdict import worlds
from bench.verdict.reviews import NOISY, simulate, together
from review.statistics import PROVISIONAL_ALPHA, Estimate, Readings, Verdict, estimate, judge

ERROR = 0.001


def found(difference: float, provisional: bool = False) -> Estimate:
    return Estimate(difference, ERROR, 1000, provisional, floor=0.0, per_seed=5e-6)


@pytest.mark.parametrize(
    ("difference", "margin", "verdict"),
    [  # the limits are 0.00196 on both sides
        (0.0020, None, "better"),
        (0.0019, None, "undecided"),
        (0.0, None, "undecided"),
        (-0.0019, None, "undecided"),
        (-0.0020, None, "worse"),
        (0.0020, 0.002, "better"),
        (0.0019, 0.002, "no worse"),
        (0.0, 0.002, "no worse"),
        (-0.0001, 0.002, "undecided"),
        (-0.0020, 0.002, "worse"),
        (-0.0020, 0.004, "no worse"),  # shown to be worse, and shown to be worse by less than the margin
        (-0.0021, 0.004, "worse"),
    ],
)
def test_the_limits_of_the_difference_decide(difference: float, margin: float | None, verdict: Verdict) -> None:
    assert judge(found(difference), margin) == verdict


def test_the_best_of_several_recipes_must_be_better_by_more() -> None:
    assert judge(found(0.0025)) == "better"  # p = 0.013
    assert judge(found(0.0025), comparisons=3) == "better"
    assert judge(found(0.0025), comparisons=4) == "undecided"
    assert judge(found(-0.0025), comparisons=4) == "worse"


def test_a_look_has_a_level_of_its_own() -> None:
    assert judge(found(0.0025), alpha=0.02) == "better"
    assert judge(found(0.0025), alpha=0.01) == "undecided"
    assert judge(found(-0.0025), alpha=0.01) == "undecided"


def test_a_single_seed_on_one_side_decides_only_gross_differences() -> None:
    assert judge(found(-0.003, provisional=True)) == "undecided"
    assert judge(found(-0.003, provisional=True), margin=0.005) == "undecided"
    gross = next(step * ERROR for step in range(1, 20) if found(step * ERROR).p < PROVISIONAL_ALPHA)
    assert judge(found(-gross, provisional=True)) == "worse"
    assert judge(found(gross, provisional=True)) == "better"
    assert judge(replace(found(gross), provisional=False), alpha=PROVISIONAL_ALPHA / 10) == "undecided"


def test_a_recipe_against_itself_is_undecided_or_no_worse() -> None:
    same = Readings.of([np.array([1, 2]), np.array([3, 4, 5])], 5000)
    assert judge(estimate(same, same)) == "undecided"
    assert judge(estimate(same, same), margin=0.002) == "no worse"


# How many images 0, 1, ... 10 of 10 seeds misread, as the default recipe's: 5,000 images, accuracy 0.9937.
SEEDS = 10
MISREAD = [4928, 23, 8, 6, 4, 2, 3, 9, 7, 4, 6]
REAL = Readings(np.full(SEEDS, 32), np.repeat(np.arange(SEEDS + 1), MISREAD))
ELSEWHERE = Readings(REAL.errors, np.random.default_rng(0).permutation(REAL.counts))
REVIEWS = 200


def simulated(tau: float, head: Readings, gain: float = 0.0, count: int = REVIEWS) -> list[Verdict]:
    """Review the default recipe, of tau 0.0005, against one of this tau that is more accurate by the gain."""
    base = worlds.recipe(REAL, 0.0005, REAL.accuracy)
    other = worlds.recipe(head, tau, REAL.accuracy + gain, REAL, float(head is REAL))
    rule = together(5, 5)
    return [rule(review) for review in simulate((base, other), count, (1,), [(5, 5)])]


@pytest.mark.parametrize(
    ("tau", "head"),
    [pytest.param(NOISY, REAL, id="unequal noise"), pytest.param(0.0005, ELSEWHERE, id="other images")],
)
def test_recipes_of_equal_accuracy_are_rarely_told_apart(tau: float, head: Readings) -> None:
    wrong = sum(verdict in ("better", "worse") for verdict in simulated(tau, head))
    assert wrong <= binom.ppf(0.975, REVIEWS, 0.06)


def test_a_recipe_that_is_worse_by_a_half_of_its_errors_is_found() -> None:
    assert simulated(0.0005, REAL, gain=-0.0036, count=50).count("worse") > 40
