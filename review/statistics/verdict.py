"""The verdict on two recipes: the one place that decides."""

from typing import Literal

from review.statistics.recipes import ALPHA, Estimate

# Of a comparison in which one side has a single seed, and its noise is taken to be the other side's. At this level the
# verdict is wrong in at most 5 % of reviews even if its noise is four times as large (bench/verdict/rates.md).
PROVISIONAL_ALPHA = 1e-6

Verdict = Literal["better", "worse", "no worse", "undecided"]


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
