"""The plan of looks."""

from itertools import pairwise

import numpy as np
from scipy.stats import binom

from bench.verdict import worlds
from bench.verdict.reviews import follow, simulate
from review.statistics import ALPHA, PLAN, Readings


def test_each_look_has_more_seeds_than_the_last_and_a_level_below_alpha() -> None:
    assert PLAN[0][0] >= 2  # one seed each says nothing of the noise
    assert all(one < other for (one, _), (other, _) in pairwise(PLAN))
    assert all(0 < alpha < ALPHA for _, alpha in PLAN)


def test_looking_more_than_once_rarely_tells_equal_recipes_apart() -> None:
    # 5,000 images: 60 hard ones, and 30 that every second seed misreads; another 90 for the other recipe.
    counts = np.zeros(5000, int)
    counts[:90] = np.repeat([1, 5, 9], 30)
    seeds = np.full(10, 45)
    base, head = Readings(seeds, counts), Readings(seeds, counts[::-1])
    recipes = worlds.recipe(base, 0.0005, base.accuracy), worlds.recipe(head, 0.0005, base.accuracy)
    reviews = simulate(recipes, 200, (2,), [(count, count) for count, _ in PLAN])
    ends = [follow(review) for review in reviews]
    wrong = sum(verdict != "undecided" for verdict, _ in ends)
    assert wrong <= binom.ppf(0.975, len(reviews), ALPHA)
    assert all(seeds == PLAN[-1][0] for verdict, seeds in ends if verdict == "undecided")
