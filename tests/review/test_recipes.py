"""The estimate for two recipes against published analyses, and against sums over whole tables of seeds and images."""

from collections.abc import Sequence
from math import isfinite, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from review.statistics import Estimate, Readings, estimate

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
    return Readings.of([np.array(each, int) for each in misread], images)


def of(wrong: np.ndarray) -> Readings:
    """The readings of a table of zeros and ones, seed by image, in which 1 is misread."""
    return readings([np.flatnonzero(row).tolist() for row in wrong], wrong.shape[1])


def table(random: np.random.Generator, seeds: int, images: int = 60, noise: float = 0.8) -> np.ndarray:
    """Draw such a table: some images are harder than others, and so are some seeds."""
    odds = np.exp(random.normal(-1, 1.5, images) + noise * random.standard_normal((seeds, 1)))
    return random.random(odds.shape) < odds / (1 + odds)


@pytest.mark.parametrize(
    ("misread", "accuracy", "error", "freedom", "low", "high"),
    [
        (CINE, 0.8222222, 0.05893747, 14.456811, 0.6961876, 0.9482568),
        (SPIN_ECHO, 0.9200000, 0.03741657, 7.575855, 0.8328691, 1.0000000),  # printed cut at 1
    ],
)
def test_one_recipe_has_the_error_and_the_degrees_of_freedom_that_mrmcaov_prints(
    misread: list[list[int]], accuracy: float, error: float, freedom: float, low: float, high: float
) -> None:
    # Smith, Hillis and Pesce, user guide of MRMCaov: `summary(mrmc(binary_sens(truth, rating >= 3), ...))` of VanDyke,
    # "each analysis based only on data for the specified treatment". Against a test that misses nothing, the difference
    # has the error of the one test.
    found = estimate(readings([[]] * 5, CASES), readings(misread, CASES))
    limits = [1 + limit for limit in found.interval()]
    assert 1 + found.difference == pytest.approx(accuracy, abs=5e-8)
    assert found.error == pytest.approx(error, abs=5e-9)
    assert found.freedom == pytest.approx(freedom, abs=5e-7)
    assert [limits[0], min(1, limits[1])] == pytest.approx([low, high], abs=5e-8)


def test_the_residual_is_that_of_the_table_after_the_means_of_rows_and_columns() -> None:
    random = np.random.default_rng(1)
    for seeds, images in ((2, 2), (3, 7), (10, 40)):
        wrong = table(random, seeds, images).astype(float)
        left = wrong - wrong.mean(axis=1, keepdims=True) - wrong.mean(axis=0, keepdims=True) + wrong.mean()
        found = of(wrong)
        assert found.residual == pytest.approx((left**2).sum() / ((seeds - 1) * (images - 1)))
        assert found.variance == pytest.approx((1 - wrong.mean(axis=1)).var(ddof=1))
        assert found.accuracy == pytest.approx(1 - wrong.mean())


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
def test_the_variance_is_that_of_obuchowski_and_rockette(seeds: int) -> None:
    random = np.random.default_rng(seeds)
    compared = 0
    for _ in range(20):
        base, head = table(random, seeds), table(random, seeds)
        if not (of(base).tau2 and of(head).tau2):  # theirs is not cut at 0
            continue
        mean_square, covariance = obuchowski_rockette(base, head)
        assert estimate(of(base), of(head)).error ** 2 == pytest.approx(
            2 / seeds * (mean_square + seeds * covariance), rel=1e-9
        )
        compared += 1
    assert compared > 3


def test_recipes_of_equal_noise_have_the_degrees_of_freedom_of_hillis() -> None:
    random = np.random.default_rng(5)
    base = table(random, 5)
    head = base[:, random.permutation(base.shape[1])]  # the same accuracies, on other images
    mean_square, covariance = obuchowski_rockette(base, head)
    hillis = (mean_square + 5 * covariance) ** 2 / (mean_square**2 / (2 * (5 - 1)))
    assert of(base).tau2 > 0
    assert estimate(of(base), of(head)).freedom == pytest.approx(hillis)


def test_the_limits_are_those_at_which_the_p_value_is_alpha() -> None:
    found = estimate(readings(CINE, CASES), readings(SPIN_ECHO, CASES))
    for alpha in (0.05, 0.01):
        low, high = found.interval(alpha)
        assert (low + high) / 2 == pytest.approx(found.difference)
        assert 2 * t.sf((high - low) / 2 / found.error, found.freedom) == pytest.approx(alpha)
    low, high = found.interval(found.p)
    assert low == pytest.approx(0, abs=1e-12)


def test_a_single_seed_is_given_the_noise_of_the_other_side() -> None:
    wrong = table(np.random.default_rng(2), 6)
    several, single = of(wrong[:5]), of(wrong[5:])
    found, turned = estimate(several, single), estimate(single, several)
    assert found.provisional
    assert turned.provisional
    assert turned.error == found.error
    assert not estimate(several, several).provisional
    shares = several.counts / 5 - single.counts
    assert found.error**2 == pytest.approx(shares.var(ddof=1) / 60 + several.tau2 * (1 / 5 + 1))


EVERY = list(range(20))


@pytest.mark.parametrize(
    ("base", "head", "images"),
    [
        pytest.param([[1, 2], [3, 4, 5]], [[1, 2], [3, 4, 5]], 100, id="a recipe against itself"),
        pytest.param([[1, 2], [3, 4]], [[3, 4], [1, 2]], 100, id="tau 0 on both sides"),
        pytest.param([[], []], [[], [], []], 100, id="nobody misreads anything"),
        pytest.param([[], []], [[7], [7]], 100, id="one image"),
        pytest.param([[7], [7]], [[7]], 100, id="one seed that misreads the same"),
        pytest.param([[]], [[4], []], 100, id="one seed that misreads nothing"),
        pytest.param([EVERY, EVERY], [EVERY, EVERY], 20, id="all are misread"),
        pytest.param([EVERY, EVERY], [[], []], 20, id="all against none"),
        pytest.param([[0], [0]], [[], []], 1, id="a single image"),
        pytest.param([[0], []], [[]], 1, id="a single image and a single seed"),
        pytest.param([[0], [1]], [[], []], 2, id="two images"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_degenerate_readings_give_numbers_and_limits_that_hold_the_difference(
    base: list[list[int]], head: list[list[int]], images: int
) -> None:
    found = estimate(readings(base, images), readings(head, images))
    low, high = found.interval()
    assert low < found.difference < high
    assert 0 <= found.p <= 1
    assert found.freedom > 0
    for number in (low, high, found.p, found.error, found.half_width(5), found.least_half_width):
        assert isfinite(number)


@pytest.mark.parametrize("images", [1, 10, 5000])
def test_images_that_tell_nothing_apart_leave_at_least_one_image_open(images: int) -> None:
    same = readings([[], []], images)
    found = estimate(same, same)
    assert found.p == 1
    assert found.interval() == pytest.approx((-1.96 / images, 1.96 / images), rel=0.001)


def test_one_seed_has_no_deviation() -> None:
    assert readings([[1]], 9).deviation is None
    assert readings([[1], [2, 3]], 9).deviation == pytest.approx(sqrt(0.5) / 9)


def test_more_seeds_are_expected_to_narrow_the_limits_down_to_what_the_images_allow() -> None:
    found = Estimate(-0.001, 0.0005, 8, provisional=False, floor=0.0002, per_seed=1e-6)
    widths = [found.half_width(seeds) for seeds in (2, 3, 5, 10, 100, 10**9)]
    assert widths == sorted(widths, reverse=True)
    assert widths[2] == pytest.approx(2.306 * sqrt(0.0002**2 + 1e-6 / 5), rel=0.001)  # Student's table, 8 degrees
    assert widths[-1] == pytest.approx(found.least_half_width, rel=1e-4)
    assert found.least_half_width == pytest.approx(1.96 * 0.0002, rel=0.001)


tables = st.builds(
    lambda seed, seeds, images: table(np.random.default_rng(seed), seeds, images),
    st.integers(0, 2**32 - 1),
    st.integers(2, 6),
    st.integers(2, 30),
)


@settings(deadline=None, derandomize=True)
@given(tables, st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_swapped_sides_negate_the_difference_and_change_nothing_else(base: np.ndarray, seeds: int, seed: int) -> None:
    head = table(np.random.default_rng(seed), seeds, base.shape[1])
    found, turned = estimate(of(base), of(head)), estimate(of(head), of(base))
    assert turned.difference == pytest.approx(-found.difference)
    for field in ("error", "freedom", "p", "floor", "per_seed"):
        assert getattr(turned, field) == pytest.approx(getattr(found, field))
