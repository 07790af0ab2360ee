"""The statistics against published examples, and against sums that a reader can redo by hand."""

from dataclasses import replace
from math import comb
from statistics import fmean, stdev

import numpy as np
import pytest

from review.statistics.paired import (
    ALPHA,
    Digit,
    Spread,
    accuracy,
    between_recipes,
    between_runs,
    judge,
    mcnemar,
    pair,
    smallest_difference,
)


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17:857-872, Table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_an_accuracy_is_that_of_wilson(right: int, images: int, low: float, high: float) -> None:
    found = accuracy(right, images)
    assert (found.right, found.accuracy) == (right, right / images)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.00005)


def test_an_accuracy_of_one_has_an_interval_that_ends_there() -> None:
    assert accuracy(20, 20).high == 1
    assert accuracy(20, 20).low == pytest.approx(1 - 0.1611, abs=0.00005)


def test_the_p_value_is_that_of_the_vignette_of_exact2x2() -> None:
    # Fay, "Exact McNemar's test and matching confidence intervals", vignette of the R package exact2x2: b = 2, c = 9
    assert mcnemar(2, 9) == pytest.approx(0.06543, abs=0.000005)


def by_hand(only_base: int, only_head: int) -> float:
    """Twice the probability that fair coins, one for each image, fall so unevenly or more."""
    discordant, fewer = only_base + only_head, min(only_base, only_head)
    tail = sum(comb(discordant, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**discordant))


def test_the_p_value_is_twice_the_tail_of_fair_coins_whichever_side_is_ahead() -> None:
    for discordant in [*range(1, 12), 30, 83, 400]:
        for only_base in range(0, discordant + 1, 1 + discordant // 20):
            expected = by_hand(only_base, discordant - only_base)
            assert mcnemar(only_base, discordant - only_base) == pytest.approx(expected, rel=1e-9)


def test_models_that_read_the_same_images_right_are_as_equal_as_can_be() -> None:
    assert mcnemar(0, 0) == 1


def test_the_smallest_difference_is_the_first_that_the_test_takes_for_one() -> None:
    for discordant in range(120):
        shown = [abs(2 * b - discordant) for b in range(discordant + 1) if by_hand(b, discordant - b) < ALPHA]
        assert smallest_difference(discordant, 1000) == (min(shown) / 1000 if shown else None)


def test_fewer_than_six_images_that_tell_two_models_apart_can_show_nothing() -> None:
    assert smallest_difference(5, 100) is None  # 2 / 2**5 = 0.0625
    assert smallest_difference(6, 100) == 0.06  # 2 / 2**6 = 0.03125


def test_images_are_paired_and_counted_by_digit() -> None:
    actual = np.array([3, 3, 3, 5, 5, 8])
    base = np.array([3, 3, 0, 0, 0, 8])
    head = np.array([3, 0, 3, 5, 0, 8])
    found = pair(actual, base, head)
    assert (found.images, found.base.right, found.head.right) == (6, 3, 4)
    assert (found.only_base, found.only_head, found.difference) == (1, 2, 1 / 6)
    assert found.digits == {3: Digit(3, 1, 1), 5: Digit(2, 0, 1), 8: Digit(1, 0, 0)}


@pytest.mark.parametrize(
    ("only_base", "only_head", "verdict"),
    [
        (0, 6, "better"),  # p = 2 / 2**6 = 0.03125
        (6, 0, "worse"),
        (0, 5, "cannot be told apart"),  # p = 2 / 2**5 = 0.0625
        (5, 0, "cannot be told apart"),
        (9, 9, "cannot be told apart"),
        (0, 0, "cannot be told apart"),
    ],
)
def test_a_verdict_needs_a_difference_that_luck_rarely_makes(only_base: int, only_head: int, verdict: str) -> None:
    actual = np.zeros(20, int)
    base, head = actual.copy(), actual.copy()
    head[:only_base] = 1
    base[only_base : only_base + only_head] = 1
    assert judge(pair(actual, base, head)) == verdict


def test_the_p_value_of_two_recipes_is_that_of_welch() -> None:
    # Student's sleep data as R's `t.test(extra ~ group, data = sleep)` prints it: p-value = 0.07939
    drugs = (
        [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
        [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
    )
    base, head = (Spread(fmean(hours), stdev(hours), len(hours)) for hours in drugs)
    found = between_recipes(base, head)
    assert found.p == pytest.approx(0.07939, abs=0.000005)
    assert found.difference == pytest.approx(1.58)


def test_two_runs_of_one_recipe_differ_by_as_much_as_students_table_says() -> None:
    spread = Spread(0.99, 0.002, 5)
    limit = 2.776 * 2**0.5 * 0.002  # t of 4 degrees of freedom at 0.975
    assert between_runs(0.001, spread).limit == pytest.approx(limit, rel=0.001)
    inside, outside = (between_runs(factor * limit, spread).p for factor in (0.99, 1.01))
    assert inside is not None
    assert outside is not None
    assert inside > ALPHA > outside
    assert between_runs(-0.003, spread).p == between_runs(0.003, spread).p


@pytest.mark.parametrize("deviation", [0.0, 1e-200, 1e-16])  # what is below 1 / images is forged, or rounding
def test_a_deviation_of_zero_gives_no_p_value_and_decides_nothing(deviation: float) -> None:
    still, spread = Spread(0.99, deviation, 2), Spread(0.98, 0.002, 5)
    paired = pair(np.zeros(40, int), np.ones(40, int), np.zeros(40, int))
    for seeds in (
        between_runs(0.0001, still),
        between_runs(0.0, still),
        between_recipes(still, still),
        between_recipes(still, spread),
        between_recipes(spread, still),
    ):
        assert (seeds.p, seeds.limit) == (None, None)
        assert judge(replace(paired, seeds=seeds)) == judge(paired) == "better"


def test_means_that_point_the_other_way_than_the_models_decide_nothing() -> None:
    actual, right, wrong = np.zeros(40, int), np.zeros(40, int), np.ones(40, int)
    paired = pair(actual, wrong, right)
    assert judge(paired) == "better"
    opposite = between_recipes(Spread(0.9, 0.001, 5), Spread(0.8, 0.001, 5))
    assert judge(replace(paired, seeds=opposite)) == "cannot be told apart"
