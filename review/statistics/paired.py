"""Two models on the same images: is one better, or is the difference due to the choice of images or of the seed?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import binom, binomtest, t, ttest_ind_from_stats

ALPHA = 0.05  # the p-value below which a difference counts as shown; convention since Fisher (1925)

NO_DEVIATION = 1e-10  # two accuracies of the same images differ by 1 / images, and there are fewer than 10**9

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
class Spread:
    """Accuracies of one recipe trained with n seeds, at least 2: their mean and sample standard deviation."""

    mean: float
    standard_deviation: float
    n: int


@dataclass(frozen=True)
class Seeds:
    """How likely the seed alone makes a difference as large as this one.

    `of` is "recipes" where each of the two was measured, and `difference` is between the means over their seeds; or
    "runs" where one measurement serves both, and it is between two runs. Only then is there a `limit`, the largest
    difference that two runs of one recipe have in 95 of 100 cases.

    `p` and `limit` are None where the seeds of a recipe all reach the same accuracy: no test can rest on a deviation
    of 0, which says that any other difference is impossible.
    """

    of: Literal["recipes", "runs"]
    base: Spread
    head: Spread
    difference: float
    limit: float | None
    p: float | None


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
    seeds: Seeds | None = None


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

    Both tests must be significant. McNemar's test takes the two models as they are and accounts for the choice of
    images. `seeds`, where measured, accounts for the seed: another seed gives another model of the same recipe.
    """
    ahead = paired.only_head - paired.only_base
    if paired.p >= ALPHA:
        return "cannot be told apart"
    if (seeds := paired.seeds) and seeds.p is not None and (seeds.p >= ALPHA or seeds.difference * ahead <= 0):
        return "cannot be told apart"
    return "better" if ahead > 0 else "worse"


def between_runs(difference: float, spread: Spread) -> Seeds:
    """Judge the difference in accuracy of two runs by the spread of runs of one recipe.

    If the seed alone divides them, the difference of two has the standard deviation of one times the root of 2; divided
    by its estimate from n seeds it follows Student's t with n - 1 degrees of freedom (Student 1908).
    """
    deviation = spread.standard_deviation * 2**0.5
    if deviation < NO_DEVIATION:
        return Seeds("runs", spread, spread, difference, None, None)
    limit = float(t.ppf(1 - ALPHA / 2, spread.n - 1) * deviation)
    p = float(2 * t.sf(abs(difference) / deviation, spread.n - 1))
    return Seeds("runs", spread, spread, difference, limit, p)


def between_recipes(base: Spread, head: Spread) -> Seeds:
    """Judge the difference of two means over seeds by Welch's t-test, for spreads that may differ (Welch 1947)."""
    difference = head.mean - base.mean
    if min(base.standard_deviation, head.standard_deviation) < NO_DEVIATION:
        return Seeds("recipes", base, head, difference, None, None)
    sides = ((side.mean, side.standard_deviation, side.n) for side in (head, base))
    p = float(ttest_ind_from_stats(*next(sides), *next(sides), equal_var=False).pvalue)
    return Seeds("recipes", base, head, difference, None, p)


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
