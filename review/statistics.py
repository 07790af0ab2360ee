"""Two models on the same images, two recipes over their seeds and the same images, and the verdict on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, sqrt
from typing import Literal

import numpy as np
from scipy.stats import binomtest, t

ALPHA = 0.05  # the p-value below which a difference counts as shown; convention since Fisher (1925)

# Of a comparison in which one side has a single seed, and its noise is taken to be the other side's. At this level the
# verdict is wrong in at most 5 % of reviews even if its noise is four times as large (docs/benchmarks.md).
PROVISIONAL_ALPHA = 1e-6

# Number of seeds of each recipe, and the p-value below which the difference counts as shown at that look.
PLAN: tuple[tuple[int, float], ...] = ((3, 0.005), (5, 0.01), (10, 0.035))

Verdict = Literal["better", "worse", "no worse", "undecided"]


@dataclass(frozen=True)
class Accuracy:
    """How many images are read right, their fraction, and its Wilson score interval of 95 % confidence."""

    right: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class OfClass:
    """The images of one class: all, and those that only base or only head reads right."""

    images: int
    only_base: int
    only_head: int


@dataclass(frozen=True)
class Paired:
    """One split, read by the models of base and of head; the fields are those of `--json`.

    `low` and `high` are the limits of the difference, head - base, at 95 % confidence, and `p` is McNemar's.
    """

    images: int
    base: Accuracy
    head: Accuracy
    difference: float
    low: float
    high: float
    only_base: int
    only_head: int
    p: float
    classes: dict[int, OfClass]


def pair(actual: np.ndarray, base: np.ndarray, head: np.ndarray) -> Paired:
    """Compare two readings of the same images; each array is int (n,) of labels, n at least 1."""
    base_right, head_right = base == actual, head == actual
    only_base, only_head = base_right & ~head_right, head_right & ~base_right
    images, b, c = len(actual), int(only_base.sum()), int(only_head.sum())
    classes = {}
    for label in np.unique(actual):
        of = actual == label
        classes[int(label)] = OfClass(int(of.sum()), int((only_base & of).sum()), int((only_head & of).sum()))
    low, high, p = mcnemar(b, c, images)
    of_base, of_head = (accuracy(int(right.sum()), images) for right in (base_right, head_right))
    return Paired(images, of_base, of_head, (c - b) / images, low, high, b, c, p, classes)


def accuracy(right: int, images: int) -> Accuracy:
    """Return the fraction of images read right, with its Wilson interval (Wilson 1927; Newcombe 1998, method 3)."""
    interval = binomtest(right, images).proportion_ci(confidence_level=0.95, method="wilson")
    return Accuracy(right, right / images, float(interval.low), float(interval.high))


def mcnemar(only_base: int, only_head: int, images: int) -> tuple[float, float, float]:
    """Return the limits of the difference in accuracy, head - base, at 95 % confidence, and McNemar's exact p-value.

    Of two equally good models, either is right with probability 1/2 on an image that only one of them reads right
    (McNemar 1947). The share of these images that head reads right has the limits of Clopper and Pearson (1934); the
    difference is (2 * share - 1) * discordant / images. It excludes 0 where p < 0.05. Without such images, the limits
    are those of the share of images on which the two could differ.
    """
    discordant = only_base + only_head
    if not discordant:
        most = float(binomtest(0, images).proportion_ci(confidence_level=0.95).high)
        return -most, most, 1.0
    test = binomtest(only_head, discordant)
    share = test.proportion_ci(confidence_level=0.95)
    low, high = ((2 * float(limit) - 1) * discordant / images for limit in (share.low, share.high))
    return low, high, float(test.pvalue)


@dataclass(frozen=True)
class Readings:
    """What the models of one recipe misread, each of another seed: errors int (k,) by seed, counts int (n,) by image.

    `counts` is how many of the k seeds misread each of the n images.
    """

    errors: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, misread: Sequence[np.ndarray | Sequence[int]], images: int) -> "Readings":
        """Count the misread images of each seed, at least 1: different numbers from 0 to images - 1."""
        counts = np.bincount(np.concatenate([np.array(numbers, int) for numbers in misread]), minlength=images)
        return cls(np.array(list(map(len, misread))), counts)

    @property
    def seeds(self) -> int:
        return len(self.errors)

    @property
    def images(self) -> int:
        return len(self.counts)

    @property
    def accuracy(self) -> float:
        """The mean accuracy over seeds."""
        return 1 - float(self.errors.mean()) / self.images

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation of accuracy over seeds; None of one seed."""
        return sqrt(self.variance) if self.seeds > 1 else None

    @property
    def variance(self) -> float:
        """s^2: the variance of the accuracies of the seeds, at least 2."""
        return float(self.errors.var(ddof=1)) / self.images**2

    @property
    def residual(self) -> float:
        """r^2: the mean square of seed by image after the means of both, of at least 2 seeds; 0 of a single image."""
        seeds, images, total = self.seeds, self.images, int(self.errors.sum())
        if images == 1:
            return 0.0
        # Sums of squares of a table of zeros and ones, from its margins.
        correction = total**2 / (seeds * images)
        by_seed = float((self.errors.astype(float) ** 2).sum()) / images - correction
        by_image = float((self.counts.astype(float) ** 2).sum()) / seeds - correction
        left = total - correction - by_seed - by_image
        return max(0.0, left) / ((seeds - 1) * (images - 1))

    @property
    def tau2(self) -> float:
        """What a seed changes on all images together, as a variance of accuracy."""
        return max(0.0, self.variance - self.residual / self.images)


@dataclass(frozen=True)
class Estimate:
    """The difference in mean accuracy, head - base, with its standard error and degrees of freedom.

    `provisional` is true if one side has a single seed, so that its noise is taken to be the other's. `floor` is the
    standard error that no number of seeds gets below with these images, and `per_seed` the sum over both sides of the
    variance that one more seed divides.
    """

    difference: float
    error: float
    freedom: float
    provisional: bool
    floor: float
    per_seed: float

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Return the limits of the difference at the confidence 1 - alpha."""
        half = _quantile(alpha, self.freedom) * self.error
        return self.difference - half, self.difference + half

    @cached_property
    def p(self) -> float:
        """The two-sided p-value of no difference."""
        return float(2 * t.sf(abs(self.difference) / self.error, self.freedom))

    def half_width(self, seeds: float) -> float:
        """Return half the width of the interval that this many seeds of each side, or inf, are expected to give."""
        return _quantile(ALPHA, 2 * (seeds - 1)) * sqrt(self.floor**2 + self.per_seed / seeds)


def estimate(base: Readings, head: Readings) -> Estimate:
    """Estimate the difference of two recipes on the same images; at least one of them has two seeds or more."""
    measured = [side for side in (base, head) if side.seeds > 1]
    n = base.images
    shares = base.counts / base.seeds - head.counts / head.seeds  # of misread images, so head's gain is positive
    between_images = float(shares.var(ddof=1)) / n if n > 1 else 0.0
    noise = [(side if side.seeds > 1 else measured[0], side.seeds) for side in (base, head)]
    variance = between_images + sum(noisy.tau2 / k for noisy, k in noise)
    # Where no image differs, the sample says nothing of the images that could: no error is below that of one image.
    variance = max(variance, 1 / n**2)
    if len(measured) == 2:
        spread = sum((side.variance / side.seeds) ** 2 / (side.seeds - 1) for side in measured)
    else:  # one estimate of the noise serves both sides
        spread = (measured[0].variance * (1 / base.seeds + 1 / head.seeds)) ** 2 / (measured[0].seeds - 1)
    flips = sum(noisy.residual / k for noisy, k in noise) / n
    return Estimate(
        difference=head.accuracy - base.accuracy,
        error=sqrt(variance),
        # Where tau^2 is cut on both sides, the variance may come out near 0, and the formula then below this.
        freedom=max(variance**2 / spread, min(side.seeds for side in measured) - 1) if spread else inf,
        provisional=len(measured) < 2,
        floor=sqrt(max(1 / n**2, between_images - flips)),
        per_seed=sum(noisy.tau2 + noisy.residual / n for noisy, _ in noise),
    )


def _quantile(alpha: float, freedom: float) -> float:
    return float(t.ppf(1 - alpha / 2, freedom))


def judge(estimate: Estimate, margin: float | None = None, comparisons: int = 1, alpha: float = ALPHA) -> Verdict:
    """Say what head is, compared with base.

    Args:
        margin: of accuracy; a recipe is "no worse" if it is worse by less than this, at the confidence 1 - alpha.
        comparisons: how many recipes were judged against base on these images. The best of several looks better than
            it is, so "better" takes p < alpha / comparisons (Bonferroni).
    """
    if estimate.provisional:
        alpha = min(alpha, PROVISIONAL_ALPHA)
    if estimate.difference > 0 and estimate.p < alpha / comparisons:
        return "better"
    if margin is not None and estimate.interval(alpha)[0] > -margin:
        return "no worse"
    return "worse" if estimate.difference < 0 and estimate.p < alpha else "undecided"
