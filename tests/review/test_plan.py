"""The plan of looks."""

from itertools import pairwise

from review.statistics import ALPHA, PLAN


def test_each_look_has_more_seeds_than_the_last_and_a_level_below_alpha() -> None:
    assert PLAN[0][0] >= 2  # one seed each says nothing of the noise
    assert all(one < other for (one, _), (other, _) in pairwise(PLAN))
    assert all(0 < alpha < ALPHA for _, alpha in PLAN)
