"""Two models on the same images, against published examples and sums that a reader can redo by hand."""

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
    wilson = accuracy(right, images)
    assert (wilson.right, wilson.accuracy) == (right, right / images)
    assert (wilson.low, wilson.high) == pytest.approx((low, high), abs=0.00005)


@pytest.mark.parametrize("discordant", [*range(13), 30, 61, 400])
def test_the_p_value_is_twice_the_tail_of_fair_coins_and_the_limits_exclude_0_below_5_percent(discordant: int) -> None:
    # Fay, "Exact McNemar's test and matching confidence intervals", vignette of the R package exact2x2
    assert mcnemar(2, 9) == pytest.approx(0.06543, abs=0.000005)
    for only_base in range(0, discordant + 1, 1 + discordant // 30):
        only_head = discordant - only_base
        tail = sum(comb(discordant, k) for k in range(min(only_base, only_head) + 1)) / 2**discordant
        assert mcnemar(only_base, only_head) == pytest.approx(min(1, 2 * tail), rel=1e-9)
        low, high = difference_interval(only_base, only_head, 1000)
        assert -1 <= low <= (only_head - only_base) / 1000 <= high <= 1
        assert (low > 0 or high < 0) == (2 * tail < 0.05)


def test_the_limits_of_the_difference_are_those_of_clopper_and_pearson() -> None:
    # Clopper and Pearson (1934): of n = 10, all 10 have the limits 0.6915 and 1, and 3 have 0.0667 and 0.6525.
    limits = {(0, 10): (0.6915, 1), (7, 3): (0.0667, 0.6525)}
    for counts, (low, high) in limits.items():
        expected = ((2 * low - 1) * 0.01, (2 * high - 1) * 0.01)
        assert difference_interval(*counts, 1000) == pytest.approx(expected, abs=1e-6)
    # The share of images on which the models differ has the upper limit 1 - 0.025**(1 / n), where none of n is one.
    most = 1 - 0.025 ** (1 / 1000)
    assert difference_interval(0, 0, 1000) == pytest.approx((-most, most))


def test_images_are_paired_and_counted_by_class() -> None:
    actual = np.array([3, 3, 3, 5, 5, 8])
    paired = pair(actual, base=np.array([3, 3, 0, 0, 0, 8]), head=np.array([3, 0, 3, 5, 0, 8]))
    assert (paired.images, paired.base.right, paired.head.right) == (6, 3, 4)
    assert (paired.only_base, paired.only_head, paired.difference, paired.p) == (1, 2, 1 / 6, mcnemar(1, 2))
    assert paired.classes == {3: OfClass(3, 1, 1), 5: OfClass(2, 0, 1), 8: OfClass(1, 0, 0)}
    assert (paired.low, paired.high) == difference_interval(1, 2, 6)
