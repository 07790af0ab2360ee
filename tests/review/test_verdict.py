"""What makes a recipe better, worse or no worse; tests/bench/test_verdict.py has how often that is wrong."""

from dataclasses import replace

import numpy as np
import pytest

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
