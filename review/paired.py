"""Two models on the same images: does one read them better, or is it the luck of which images these are?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import binom, binomtest

ALPHA = 0.05  # the p-value below which a difference counts as shown; convention since Fisher (1925)

Verdict = Literal["better", "worse", "cannot be told apart"]


@dataclass(frozen=True)
class Accuracy:
    """How many images are read right, their fraction, and its Wilson score interval of 95 % confidence."""

    right: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Digit:
    """The images of one digit: all, those that only base reads right, and those that only head does."""

    images: int
    only_base: int
    only_head: int


@dataclass(frozen=True)
class Paired:
    """One split, read by the models of base and of head; the fields are those of `--json`."""

    images: int
    base: Accuracy
    head: Accuracy
    difference: float
    only_base: int
    only_head: int
    p: float
    smallest_difference: float | None
    digits: dict[int, Digit]


def pair(actual: np.ndarray, base: np.ndarray, head: np.ndarray) -> Paired:
    """Compare two readings of the same images; each array is int (n,) of digits, n at least 1."""
    base_right, head_right = base == actual, head == actual
    only_base, only_head = base_right & ~head_right, head_right & ~base_right
    images, b, c = len(actual), int(only_base.sum()), int(only_head.sum())
    digits = {}
    for digit in np.unique(actual):
        of = actual == digit
        digits[int(digit)] = Digit(int(of.sum()), int((only_base & of).sum()), int((only_head & of).sum()))
    return Paired(
        images=images,
        base=accuracy(int(base_right.sum()), images),
        head=accuracy(int(head_right.sum()), images),
        difference=(c - b) / images,
        only_base=b,
        only_head=c,
        p=mcnemar(b, c),
        smallest_difference=smallest_difference(b + c, images),
        digits=digits,
    )


def judge(paired: Paired) -> Verdict:
    """Say what head is, compared with base: the one place that decides.

    McNemar's test knows the luck of the images alone. It takes the two models as they are; that another seed gives
    another model of the same recipe is a second kind of luck, and what is known of it belongs here.
    """
    if paired.p >= ALPHA:
        return "cannot be told apart"
    return "better" if paired.only_head > paired.only_base else "worse"


def accuracy(right: int, images: int) -> Accuracy:
    """Return the fraction of images read right, with its Wilson interval (Wilson 1927; Newcombe 1998, method 3)."""
    interval = binomtest(right, images).proportion_ci(confidence_level=0.95, method="wilson")
    return Accuracy(right, right / images, float(interval.low), float(interval.high))


def mcnemar(only_base: int, only_head: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar 1947).

    Images that both models read right, or both wrong, say nothing of which is better. Of two equally good models,
    each of the other images is as likely read right by the one as by the other, as a fair coin falls.
    """
    discordant = only_base + only_head
    return float(binomtest(only_head, discordant, 0.5).pvalue) if discordant else 1.0


def smallest_difference(discordant: int, images: int) -> float | None:
    """Return the smallest difference in accuracy that could have shown, given how many images tell the models apart.

    With n images, of which `discordant` are read right by one model alone, it is the smallest |c - b| / n, over all
    b + c = discordant, for which the exact test gives p < ALPHA. It is None where there is no such b and c: below 6
    discordant images even all of them on one side give p >= 0.0625.

    It is conditional on the count that was observed. It is not a power: a true difference of just this size would have
    shown about every second time.
    """
    fewer = np.arange(discordant // 2 + 1)  # images that the worse model alone reads right
    shown = fewer[2 * binom.cdf(fewer, discordant, 0.5) < ALPHA]
    return float((discordant - 2 * shown[-1]) / images) if shown.size else None
