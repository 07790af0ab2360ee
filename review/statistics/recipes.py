"""Two recipes, each trained with several seeds and read on the same images: how far apart are their accuracies?

The seeds are a sample, and so are the images. In radiology this is the analysis of several readers nested in each of
two tests, who all read the same cases (multi-reader multi-case, MRMC). For images i and seeds s of one recipe, let
y_si be 1 if the model of seed s reads image i right, else 0. The difference of two recipes is estimated by

    D = mean of y over head's seeds and images - mean of y over base's
    V = var(d_i) / n + tau_base^2 / k_base + tau_head^2 / k_head

where d_i is the difference, on image i, of the shares of seeds that read it right, n the number of images, and k that
of a recipe's seeds. The variance of d_i includes the noise of single images that another seed flips. What a seed
changes on all images together is tau^2 = max(0, s^2 - r^2 / n): s^2 is the variance of the accuracies of a recipe's
seeds, and r^2 the mean square of the residuals of y_si after the means of its row and column.

Unless tau^2 is cut at 0, V is the variance of Obuchowski and Rockette (1995) for readers nested in tests, where
var(d_i) / n + tau^2 / k of both is 2 / k * (MS + k * (Cov2 - Cov3)). D / sqrt(V) follows Student's t with the degrees
of freedom of Hillis (2007), V^2 / sum of (s^2 / k)^2 / (k - 1), here for two recipes with a noise of their own.
`bench/verdict/rates.md` has its false positives and its power on simulated reviews.

Hillis SL (2007), Statistics in Medicine 26:596-619. Obuchowski NA, Rockette HE (1995), Communications in Statistics -
Simulation and Computation 24:285-308.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, sqrt

import numpy as np
from scipy.stats import t

ALPHA = 0.05  # the p-value below which a difference counts as shown; convention since Fisher (1925)


@dataclass(frozen=True)
class Readings:
    """What the models of one recipe misread, each of another seed: errors int (k,) by seed, counts int (n,) by image.

    `counts` is how many of the k seeds misread each of the n images.
    """

    errors: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, misread: Sequence[np.ndarray], images: int) -> "Readings":
        """Count the misread images of each seed: int arrays of different numbers from 0 to images - 1."""
        counts = np.bincount(np.concatenate([np.empty(0, int), *misread]), minlength=images)
        return cls(np.array([len(each) for each in misread]), counts)

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

    def half_width(self, seeds: int) -> float:
        """Return half the width of the interval that this many seeds of each side are expected to give."""
        return _quantile(ALPHA, 2 * (seeds - 1)) * sqrt(self.floor**2 + self.per_seed / seeds)

    @property
    def least_half_width(self) -> float:
        """Half the width of the interval with as many seeds as one likes."""
        return _quantile(ALPHA, inf) * self.floor


def estimate(base: Readings, head: Readings) -> Estimate:
    """Estimate the difference of two recipes; at least one of them has two seeds or more.

    Raises:
        ValueError: the two were read on other numbers of images, or both have a single seed.
    """
    if base.images != head.images:
        raise ValueError(f"expected as many images of both, got {base.images:,} and {head.images:,}")
    measured = [side for side in (base, head) if side.seeds > 1]
    if not measured:
        raise ValueError("expected at least 2 seeds of one recipe")
    n = base.images
    shares = base.counts / base.seeds - head.counts / head.seeds  # of misread images, so head's gain is positive
    between_images = float(shares.var(ddof=1)) / n if n > 1 else 0.0
    noise = [side if side.seeds > 1 else measured[0] for side in (base, head)]
    counts = (base.seeds, head.seeds)
    variance = between_images + sum(each.tau2 / k for each, k in zip(noise, counts, strict=True))
    # Where no image differs, the sample says nothing of the images that could: no error is below that of one image.
    variance = max(variance, 1 / n**2)
    if len(measured) == 2:
        spread = sum((each.variance / each.seeds) ** 2 / (each.seeds - 1) for each in measured)
    else:  # one estimate of the noise serves both sides
        spread = (measured[0].variance * (1 / counts[0] + 1 / counts[1])) ** 2 / (measured[0].seeds - 1)
    flips = sum(each.residual / k for each, k in zip(noise, counts, strict=True)) / n
    return Estimate(
        difference=head.accuracy - base.accuracy,
        error=sqrt(variance),
        # Where tau^2 is cut on both sides, the variance may come out near 0, and the formula then below this.
        freedom=max(variance**2 / spread, min(side.seeds for side in measured) - 1) if spread else inf,
        provisional=len(measured) < 2,
        floor=sqrt(max(1 / n**2, between_images - flips)),
        per_seed=sum(each.tau2 + each.residual / n for each in noise),
    )


def _quantile(alpha: float, freedom: float) -> float:
    return float(t.ppf(1 - alpha / 2, freedom))
