"""The statistics against published examples, and against sums that a reader can redo by hand."""

from math import comb

import numpy as np
import pytest

from review.statistics import OfClass, accuracy, difference_interval, mcnemar, pair


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


def test_the_limits_of_the_difference_exclude_0_just_where_the_test_is_significant() -> None:
    for discordant in range(61):
        shown = [b for b in range(discordant // 2 + 1) if by_hand(b, discordant - b) < 0.05]
        last = shown[-1] if shown else -1
        if shown:
            assert difference_interval(last, discordant - last, 1000)[0] > 0
            assert difference_interval(discordant - last, last, 1000)[1] < 0
        if last < discordant // 2:
            low, high = difference_interval(last + 1, discordant - last - 1, 1000)
            assert -1 <= low <= 0 <= high <= 1


def test_the_limits_of_the_difference_are_those_of_clopper_and_pearson() -> None:
    # Clopper and Pearson (1934): of n = 10, all 10 have the limits 0.6915 and 1, and 3 have 0.0667 and 0.6525.
    assert difference_interval(0, 10, 1000) == pytest.approx(((2 * 0.6915 - 1) * 0.01, 0.01), abs=1e-6)
    assert difference_interval(7, 3, 1000) == pytest.approx(
        ((2 * 0.0667 - 1) * 0.01, (2 * 0.6525 - 1) * 0.01), abs=1e-6
    )


def test_models_that_read_every_image_alike_may_differ_on_others() -> None:
    # The share of such images has the upper limit 1 - 0.025**(1 / n), where none of n is one.
    most = 1 - 0.025 ** (1 / 1000)
    assert difference_interval(0, 0, 1000) == pytest.approx((-most, most))


def test_images_are_paired_and_counted_by_class() -> None:
    actual = np.array([3, 3, 3, 5, 5, 8])
    base = np.array([3, 3, 0, 0, 0, 8])
    head = np.array([3, 0, 3, 5, 0, 8])
    found = pair(actual, base, head)
    assert (found.images, found.base.right, found.head.right) == (6, 3, 4)
    assert (found.only_base, found.only_head, found.difference) == (1, 2, 1 / 6)
    assert found.classes == {3: OfClass(3, 1, 1), 5: OfClass(2, 0, 1), 8: OfClass(1, 0, 0)}
    assert (found.low, found.high) == difference_interval(1, 2, 6)
