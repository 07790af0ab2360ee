"""Two models on the same images, and two recipes over seeds, against published analyses; the verdict on the recipes.

test_verdict.py has how often the verdict is wrong.
"""

from collections.abc import Sequence
from dataclasses import astuple
from math import comb, inf, isfinite, sqrt

import numpy as np
import pytest

from review import statistics
from review.statistics import PROVISIONAL_ALPHA, Estimate, Readings, estimate, judge


def test_the_interval_of_an_accuracy_is_that_of_wilson():
    # Newcombe (1998), Statistics in Medicine 17:857-872, Table I, method 3
    for right, images, low, high in ((81, 263, 0.2553, 0.3662), (0, 20, 0.0000, 0.1611)):
        wilson = statistics.accuracy(right, images)
        assert (wilson.right, wilson.accuracy) == (right, right / images)
        assert (wilson.low, wilson.high) == pytest.approx((low, high), abs=0.00005)


@pytest.mark.parametrize("discordant", [*range(13), 30, 61, 400])
def test_the_p_value_is_twice_the_tail_of_fair_coins_and_the_limits_exclude_0_below_5_percent(discordant):
    # Fay, "Exact McNemar's test and matching confidence intervals", vignette of the R package exact2x2
    assert statistics.mcnemar(2, 9, 1000)[2] == pytest.approx(0.06543, abs=0.000005)
    for only_base in range(0, discordant + 1, 1 + discordant // 30):
        only_head = discordant - only_base
        tail = sum(comb(discordant, k) for k in range(min(only_base, only_head) + 1)) / 2**discordant
        low, high, p = statistics.mcnemar(only_base, only_head, 1000)
        assert p == pytest.approx(min(1, 2 * tail), rel=1e-9)
        assert -1 <= low <= (only_head - only_base) / 1000 <= high <= 1
        assert (low > 0 or high < 0) == (2 * tail < 0.05)


def test_the_limits_of_the_difference_are_those_of_clopper_and_pearson():
    # Clopper and Pearson (1934): of n = 10, all 10 have the limits 0.6915 and 1, and 3 have 0.0667 and 0.6525.
    limits = {(0, 10): (0.6915, 1), (7, 3): (0.0667, 0.6525)}
    for counts, (low, high) in limits.items():
        expected = ((2 * low - 1) * 0.01, (2 * high - 1) * 0.01)
        assert statistics.mcnemar(*counts, 1000)[:2] == pytest.approx(expected, abs=1e-6)
    # The share of images on which the models differ has the upper limit 1 - 0.025**(1 / n), where none of n is one.
    most = 1 - 0.025 ** (1 / 1000)
    assert statistics.mcnemar(0, 0, 1000) == pytest.approx((-most, most, 1))


def test_images_are_paired_and_counted_by_class():
    actual = np.array([3, 3, 3, 5, 5, 8])
    paired = statistics.pair(actual, base=np.array([3, 3, 0, 0, 0, 8]), head=np.array([3, 0, 3, 5, 0, 8]))
    assert (paired.images, paired.base.right, paired.head.right) == (6, 3, 4)
    assert (paired.only_base, paired.only_head, paired.difference) == (1, 2, 1 / 6)
    assert {label: astuple(of) for label, of in paired.classes.items()} == {3: (3, 1, 1), 5: (2, 0, 1), 8: (1, 0, 0)}
    assert (paired.low, paired.high, paired.p) == statistics.mcnemar(1, 2, 6)


# Van Dyke et al. (1993), as the R packages RJafroc and MRMCaov have the data: the diseased cases, numbered from 0 to
# 44, that each of five readers rates below 3, in the first test (CINE MRI) and in the second (SE MRI).
CASES = 45
CINE = [
    [15, 24, 36, 37, 44],
    [8, 14, 15, 16, 24, 32, 34, 36, 37, 44],
    [14, 24, 26, 27, 32, 36, 37, 44],
    [15, 36, 37],
    [1, 3, 8, 14, 15, 24, 28, 29, 30, 32, 34, 36, 37, 44],
]
SPIN_ECHO = [[44], [8, 15, 24, 26, 32, 34, 37, 44], [1, 15, 24, 44], [], [1, 24, 26, 29, 32]]


def readings(misread: Sequence[Sequence[int]], images: int) -> Readings:
    return Readings.of([np.array(numbers, int) for numbers in misread], images)


def of(wrong: np.ndarray) -> Readings:
    """The readings of a table of zeros and ones, seed by image, in which 1 is misread."""
    return Readings.of([np.flatnonzero(row) for row in wrong], wrong.shape[1])


def table(random: np.random.Generator, seeds: int, images: int = 60) -> np.ndarray:
    """Draw such a table: some images are harder than others, and so are some seeds."""
    odds = np.exp(random.normal(-1, 1.5, images) + 0.8 * random.standard_normal((seeds, 1)))
    return random.random(odds.shape) < odds / (1 + odds)


@pytest.mark.parametrize(
    ("misread", "accuracy", "error", "freedom", "low", "high"),
    [
        (CINE, 0.8222222, 0.05893747, 14.456811, 0.6961876, 0.9482568),
        (SPIN_ECHO, 0.9200000, 0.03741657, 7.575855, 0.8328691, 1.0000000),  # printed cut at 1
    ],
)
def test_one_recipe_has_the_error_and_the_freedom_that_mrmcaov_prints(misread, accuracy, error, freedom, low, high):
    # Smith, Hillis and Pesce, user guide of MRMCaov: `summary(mrmc(binary_sens(truth, rating >= 3), ...))` of VanDyke,
    # "each analysis based only on data for the specified treatment". Against a test that misses nothing, the difference
    # has the error of the one test.
    change = estimate(readings([[]] * 5, CASES), readings(misread, CASES))
    limits = [1 + limit for limit in change.interval()]
    assert 1 + change.difference == pytest.approx(accuracy, abs=5e-8)
    assert change.error == pytest.approx(error, abs=5e-9)
    assert change.freedom == pytest.approx(freedom, abs=5e-7)
    assert [limits[0], min(1, limits[1])] == pytest.approx([low, high], abs=5e-8)
    assert change.interval(change.p)[1] == pytest.approx(0, abs=1e-12)


def obuchowski_rockette(base: np.ndarray, head: np.ndarray) -> tuple[float, float]:
    """MS(R(T)), and Cov2 - Cov3, by their definitions; tables of right and wrong with as many readers in each test."""
    readers, cases = base.shape
    covariances = np.cov(np.concatenate([base, head]).astype(float)) / cases
    same, other = covariances[:readers, :readers], covariances[:readers, readers:]
    same_head = covariances[readers:, readers:]
    pairs = ~np.eye(readers, dtype=bool)
    mean_square = (base.mean(axis=1).var(ddof=1) + head.mean(axis=1).var(ddof=1)) / 2
    return mean_square, float((same[pairs].mean() + same_head[pairs].mean()) / 2 - other.mean())


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_the_variance_is_that_of_obuchowski_and_rockette_and_the_freedom_that_of_hillis(seeds):
    random = np.random.default_rng(seeds)
    drawn = [(table(random, seeds), table(random, seeds)) for _ in range(20)]
    noisy = [(base, head) for base, head in drawn if of(base).tau2 and of(head).tau2]  # theirs is not cut at 0
    assert len(noisy) > 3
    for base, head in noisy:
        mean_square, covariance = obuchowski_rockette(base, head)
        variance = 2 / seeds * (mean_square + seeds * covariance)
        assert estimate(of(base), of(head)).error ** 2 == pytest.approx(variance, rel=1e-9)
        head = base[:, random.permutation(base.shape[1])]  # of equal noise: the same accuracies, on other images
        mean_square, covariance = obuchowski_rockette(base, head)
        hillis = (mean_square + seeds * covariance) ** 2 / (mean_square**2 / (2 * (seeds - 1)))
        assert estimate(of(base), of(head)).freedom == pytest.approx(max(hillis, seeds - 1))


def test_a_single_seed_is_given_the_noise_of_the_other_side():
    wrong = table(np.random.default_rng(2), 6)
    several, single = of(wrong[:5]), of(wrong[5:])
    change = estimate(several, single)
    assert change.provisional
    assert not estimate(several, several).provisional
    shares = several.counts / 5 - single.counts
    assert change.error**2 == pytest.approx(shares.var(ddof=1) / 60 + several.tau2 * (1 / 5 + 1))


EVERY = list(range(20))


@pytest.mark.parametrize(
    ("base", "head", "images"),
    [
        ([[1, 2], [3, 4, 5]], [[1, 2], [3, 4, 5]], 100),  # a recipe against itself
        ([[1, 2], [3, 4]], [[3, 4], [1, 2]], 100),  # tau 0 on both sides
        ([[]], [[4], []], 100),
        ([EVERY, EVERY], [[], []], 20),
        ([[0], [0]], [[], []], 1),
        ([[0], [1]], [[], []], 2),
    ],
)
@pytest.mark.filterwarnings("error")
def test_degenerate_readings_give_numbers_and_limits_that_hold_the_difference(base, head, images):
    change = estimate(readings(base, images), readings(head, images))
    low, high = change.interval()
    assert low < change.difference < high
    assert 0 <= change.p <= 1
    assert change.freedom > 0
    assert all(map(isfinite, (low, high, change.error, change.half_width(5), change.half_width(inf))))


@pytest.mark.parametrize("images", [1, 10, 5000])
def test_images_that_tell_nothing_apart_leave_at_least_one_image_open(images):
    same = readings([[], []], images)
    assert estimate(same, same).p == 1
    assert estimate(same, same).interval() == pytest.approx((-1.96 / images, 1.96 / images), rel=0.001)
    assert judge(estimate(same, same)) == "undecided"


def test_a_variance_near_0_leaves_the_degrees_of_freedom_of_the_side_with_fewer_seeds():
    two, three = [[1, 2], [3, 4, 5, 6]], [[1, 2], [3, 4, 5, 6], [1, 3, 5]]
    assert estimate(readings(two, 5000), readings(three, 5000)).freedom == 1


def test_more_seeds_are_expected_to_narrow_the_limits_down_to_what_the_images_allow():
    change = Estimate(-0.001, 0.0005, 8, provisional=False, floor=0.0002, per_seed=1e-6)
    assert change.half_width(2) > change.half_width(3) > change.half_width(5)
    assert change.half_width(5) == pytest.approx(2.306 * sqrt(0.0002**2 + 1e-6 / 5), rel=0.001)  # Student, 8 degrees
    assert change.half_width(inf) == pytest.approx(1.96 * 0.0002, rel=0.001)


PROVISIONAL = {"provisional": True}  # one side has a single seed: gross differences alone decide


@pytest.mark.parametrize(
    ("difference", "options", "verdict"),
    [  # the limits are 0.00196 on both sides; p is 0.013 at 0.0025, 1.4e-6 at 0.00485 and 7e-7 at 0.005
        (0.0020, {}, "better"),
        (0.0019, {}, "undecided"),
        (-0.0019, {}, "undecided"),
        (-0.0020, {}, "worse"),
        (0.0000, {"margin": 0.002}, "no worse"),
        (-0.0001, {"margin": 0.002}, "undecided"),
        (-0.0020, {"margin": 0.004}, "no worse"),  # shown to be worse, and shown to be worse by less than the margin
        (-0.0021, {"margin": 0.004}, "worse"),
        # the best of several recipes must be better by more; a look has a level of its own
        (0.0025, {"comparisons": 4}, "undecided"),
        (-0.0025, {"comparisons": 4}, "worse"),
        (0.0025, {"alpha": 0.02}, "better"),
        (0.0025, {"alpha": 0.01}, "undecided"),
        (-0.0025, {"alpha": 0.01}, "undecided"),
        (-0.0030, PROVISIONAL | {"margin": 0.005}, "undecided"),
        (-0.00485, PROVISIONAL, "undecided"),
        (-0.0050, PROVISIONAL, "worse"),
        (0.0050, PROVISIONAL, "better"),
        (-0.0050, PROVISIONAL | {"alpha": PROVISIONAL_ALPHA / 10}, "undecided"),
    ],
)
def test_the_limits_of_the_difference_decide(difference, options, verdict):
    provisional = bool(options.get("provisional"))
    change = Estimate(difference, 0.001, 1000, provisional, floor=0.0, per_seed=5e-6)
    assert judge(change, **{key: value for key, value in options.items() if key != "provisional"}) == verdict
