"""Simulated reviews: images drawn from those of real recipes, and models that misread each with its own probability.

A real recipe says how often its seeds misread each image. The probability of an image is drawn from what its count
leaves open (beta-binomial, fitted to all images), the images from the real ones, with replacement and for both recipes
alike. A seed multiplies the odds of all images by a log-normal factor, whose size gives the accuracy over seeds the
standard deviation tau. A factor on the odds of all images and seeds gives a recipe the accuracy that it should have.
Some images are as hard for head as for base; each of the others has a probability of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import betaln

from review.statistics import Readings

QUADRATURE = 15  # nodes of Gauss and Hermite, over the seed's effect
DRAWN = 20  # probabilities for each real image, to find the factors with
WORLDS = 200  # to compare with the real runs


@dataclass(frozen=True)
class Source:
    """The images of a real recipe: counts int (n,) of its k seeds that misread each, and the fitted parameters."""

    counts: np.ndarray
    seeds: int
    a: float
    b: float

    @classmethod
    def of(cls, real: Readings) -> "Source":
        """Fit the beta distribution of the images' probabilities by maximum likelihood."""
        images = np.bincount(real.counts, minlength=real.seeds + 1)
        counts = np.arange(real.seeds + 1)

        def loss(logs: np.ndarray) -> float:
            a, b = np.exp(logs)
            return float(-(images * (betaln(a + counts, b + real.seeds - counts) - betaln(a, b))).sum())

        a, b = np.exp(minimize(loss, np.log([0.01, 1.0]), method="Nelder-Mead").x)
        return cls(real.counts, real.seeds, float(a), float(b))

    def probabilities(self, random: np.random.Generator, images: np.ndarray) -> np.ndarray:
        """Draw the probability that an average seed misreads an image, for each of these real images."""
        counts = self.counts[images]
        drawn: np.ndarray = random.beta(self.a + counts, self.b + self.seeds - counts)
        return drawn


@dataclass(frozen=True)
class Recipe:
    """A recipe to draw seeds of.

    `shift` is added to the log odds of all images, and `effect` is the standard deviation of what a seed adds to them;
    `alike` is the share of the images that are as hard as for the recipe that it is compared with.
    """

    source: Source
    shift: float
    effect: float
    alike: float

    def misread(self, random: np.random.Generator, probabilities: np.ndarray, seeds: int) -> np.ndarray:
        """Draw which images each seed misreads: bool (seeds, images)."""
        factors = np.exp(self.shift + self.effect * random.standard_normal(seeds))
        odds = np.outer(factors, _odds(probabilities)).astype(np.float32)
        wrong: np.ndarray = random.random(odds.shape, np.float32) * (1 + odds) < odds
        return wrong


def recipe(real: Readings, tau: float, accuracy: float, base: Readings | None = None, alike: float = 0.0) -> Recipe:
    """Return a recipe like a real one, with this standard deviation of accuracy over seeds and this mean accuracy.

    Args:
        base: of the real recipe that it is compared with; this share of the images is as hard for both.
    """
    source, random = Source.of(real), np.random.default_rng(0)
    images = np.tile(np.arange(real.images), DRAWN)
    drawn = source.probabilities(random, images)
    if base is not None:
        drawn = _mix(random, Source.of(base).probabilities(random, images), drawn, alike)
    kept = drawn[drawn > 1e-9]  # the others are misread in no simulation
    odds, share = _odds(kept), len(kept) / len(drawn)
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    weights = weights / weights.sum()

    def moments(shift: float, effect: float) -> tuple[float, float]:
        each = np.array([_mean(odds * exp(shift + effect * node)) for node in nodes]) * share
        mean = float(weights @ each)
        return mean, sqrt(float(weights @ (each - mean) ** 2))

    shift = effect = 0.0
    for _ in range(3):  # each depends little on the other
        if tau:
            effect = brentq(lambda size, at=shift: moments(at, size)[1] - tau, 0.0, 3.0, xtol=1e-4)
        shift = brentq(lambda at, size=effect: moments(at, size)[0] - (1 - accuracy), -12.0, 12.0, xtol=1e-6)
    return Recipe(source, shift, effect, alike)


def draw(random: np.random.Generator, base: Recipe, head: Recipe, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a review: which images the seeds of base and of head misread, both bool (seeds, images)."""
    images = random.integers(len(base.source.counts), size=len(base.source.counts))
    of_base = base.source.probabilities(random, images)
    of_head = _mix(random, of_base, head.source.probabilities(random, images), head.alike)
    return base.misread(random, of_base, seeds), head.misread(random, of_head, seeds)


def first(misread: np.ndarray, seeds: int) -> Readings:
    """Return the readings of the first seeds."""
    return Readings(misread[:seeds].sum(axis=1), misread[:seeds].sum(axis=0))


def pooled_tau(splits: Sequence[Readings]) -> float:
    """Return tau of a recipe, as its splits estimate it together, cut at 0 only in the end."""
    return sqrt(max(0.0, float(np.mean([each.variance - each.residual / each.images for each in splits]))))


def between_images(base: Readings, head: Readings) -> float:
    """Return the variance of the difference that any number of seeds leaves; by chance it may be below 0."""
    shares = base.counts / base.seeds - head.counts / head.seeds
    return float(shares.var(ddof=1) - base.residual / base.seeds - head.residual / head.seeds) / base.images


def simulated_between_images(base: Readings, head: Readings, alike: float) -> float:
    """Return the mean of it in simulated reviews of two real recipes, with as many seeds as they have."""
    recipes = recipe(base, 0.0, base.accuracy), recipe(head, 0.0, head.accuracy, base, alike)
    random, most = np.random.default_rng(0), max(base.seeds, head.seeds)
    drawn = [draw(random, *recipes, most) for _ in range(WORLDS)]
    return float(np.mean([between_images(first(one, base.seeds), first(other, head.seeds)) for one, other in drawn]))


def share_alike(base: Readings, head: Readings) -> float:
    """Return the share of images that are as hard for both, which gives simulated reviews the real variance."""
    none, every = (simulated_between_images(base, head, alike) for alike in (0.0, 1.0))
    return float(np.clip((none - between_images(base, head)) / (none - every), 0, 1))


def _mix(random: np.random.Generator, base: np.ndarray, own: np.ndarray, alike: float) -> np.ndarray:
    mixed: np.ndarray = np.where(random.random(len(own)) < alike, base, own)
    return mixed


def _odds(probabilities: np.ndarray) -> np.ndarray:
    odds: np.ndarray = probabilities / np.maximum(1 - probabilities, 1e-12)
    return odds


def _mean(odds: np.ndarray) -> float:
    return float((odds / (1 + odds)).mean())
