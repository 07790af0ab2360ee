"""Two models on the same images: how many images does only one of them read right?"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest


@dataclass(frozen=True)
class Accuracy:
    """How many images are read right, their fraction, and its Wilson score interval of 95 % confidence."""

    right: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class OfClass:
    """The images of one class: all, those that only base reads right, and those that only head does."""

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
    low, high = difference_interval(b, c, images)
    return Paired(
        images=images,
        base=accuracy(int(base_right.sum()), images),
        head=accuracy(int(head_right.sum()), images),
        difference=(c - b) / images,
        low=low,
        high=high,
        only_base=b,
        only_head=c,
        p=mcnemar(b, c),
        classes=classes,
    )


def accuracy(right: int, images: int) -> Accuracy:
    """Return the fraction of images read right, with its Wilson interval (Wilson 1927; Newcombe 1998, method 3)."""
    interval = binomtest(right, images).proportion_ci(confidence_level=0.95, method="wilson")
    return Accuracy(right, right / images, float(interval.low), float(interval.high))


def mcnemar(only_base: int, only_head: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar 1947).

    Images that both models read right, or both wrong, do not tell which is better. Between two equally good models,
    each other image is read right by either with probability 1/2.
    """
    discordant = only_base + only_head
    return float(binomtest(only_head, discordant, 0.5).pvalue) if discordant else 1.0


def difference_interval(only_base: int, only_head: int, images: int) -> tuple[float, float]:
    """Return the limits of the difference in accuracy, head - base, at 95 % confidence, as exact as McNemar's test.

    Given b + c images that one model alone reads right, the share of them that head reads right has the limits of
    Clopper and Pearson (1934); the difference is (2 * share - 1) * (b + c) / images. It excludes 0 where the test has
    p < 0.05. Without such images, the limits are those of the share of images on which the two could differ.
    """
    discordant = only_base + only_head
    if not discordant:
        most = float(binomtest(0, images).proportion_ci(confidence_level=0.95).high)
        return -most, most
    share = binomtest(only_head, discordant).proportion_ci(confidence_level=0.95)
    low, high = ((2 * float(limit) - 1) * discordant / images for limit in (share.low, share.high))
    return low, high
