"""Simulate reviews, and print how often they are decided: recipes of equal accuracy wrongly, others rightly.

    python -m bench.verdict

The worlds come from the runs in evaluation/noise: those of params.yaml, and of the recipe whose accuracy
differs most. They say how often seeds misread each image. The probability of an image is drawn from what its count
leaves open (beta-binomial, fitted to all images), and the images are drawn with replacement. A seed multiplies the odds
of all images by a log-normal factor, whose size gives accuracy the standard deviation tau over seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import betaln

from classifier.files import markdown_table
from review.revision import read_results
from review.statistics import PLAN, Estimate, Readings, estimate, judge

SPLIT = "validation"
WORLDS = 1000  # simulated reviews of each pair of recipes
QUIET, NOISY = 0.0005, 0.0014  # tau of params.yaml, whose estimate is 0 to 0.0007, and of the notebook's recipe
TIMES = 4  # as much noise as base, as a standard deviation, that a single run of head may have
GAINS = (-0.0010, -0.0015, -0.0020, -0.0036, 0.0015, -0.0080)  # of head's accuracy
MARGIN = 0.002
PAIRS = ((3, 3), (5, 5), (10, 10), (5, 1), (10, 1))  # seeds of base and of head

Review = Mapping[tuple[int, int], Estimate]  # by the seeds of base and head

# Whether each rule says "better" or "worse", and whether the gate with a margin passes.
RULES: dict[str, Callable[[Review], bool]] = {
    "5 and 5 seeds": lambda review: judge(review[5, 5]) != "undecided",
    "10 and 10 seeds": lambda review: judge(review[10, 10]) != "undecided",
    "`review.decide`": lambda review: any(judge(review[k, k], alpha=alpha) != "undecided" for k, alpha in PLAN),
    "5 seeds and 1": lambda review: judge(review[5, 1]) != "undecided",
    "10 seeds and 1": lambda review: judge(review[10, 1]) != "undecided",
    f"`--margin {MARGIN}`, 5 and 5": lambda review: judge(review[5, 5], MARGIN) in ("better", "no worse"),
    f"`--margin {MARGIN}`, 10 and 10": lambda review: judge(review[10, 10], MARGIN) in ("better", "no worse"),
}


@dataclass(frozen=True)
class Recipe:
    """A recipe to draw seeds of: its real readings, the beta distribution (a, b) of its images, and its factors.

    `alike` is the share of the images that are as hard as for base. `shift` is added to the log odds of all images, and
    `effect` is the standard deviation of what a seed adds to them.
    """

    real: Readings
    a: float
    b: float
    alike: float = 0.0
    shift: float = 0.0
    effect: float = 0.0

    def probabilities(self, random: np.random.Generator, images: np.ndarray) -> np.ndarray:
        """Draw the probability that an average seed misreads an image, for each of these real images."""
        counts = self.real.counts[images]
        return np.asarray(random.beta(self.a + counts, self.b + self.real.seeds - counts))

    def readings(self, random: np.random.Generator, probabilities: np.ndarray) -> dict[int, Readings]:
        """Draw which images 10 seeds misread; return the readings of the first 1, 3, 5 and 10 seeds."""
        factors = np.exp(self.shift + self.effect * random.standard_normal(10))
        odds = np.outer(factors, odds_of(probabilities)).astype(np.float32)
        misread = random.random(odds.shape, np.float32) * (1 + odds) < odds
        return {seeds: Readings(misread[:seeds].sum(axis=1), misread[:seeds].sum(axis=0)) for seeds in (1, 3, 5, 10)}


def main() -> None:
    """Simulate, and print a row for each head and a column for each rule."""
    base, other = real_recipes()
    rows = [["head", *RULES]]
    for kind, recipes in enumerate((equal_recipes(base, other), different_recipes(base, other))):
        for case, (name, pair) in enumerate(recipes.items()):
            reviews = simulate(*pair, WORLDS, (kind, case))
            rows.append([name, *(f"{np.mean([rule(review) for review in reviews]):.1%}" for rule in RULES.values())])
    print(markdown_table(rows, "---:"))


def real_recipes() -> tuple[Readings, Readings]:
    """Return the readings of the recipe in params.yaml, and of that whose accuracy differs most from it."""
    results = read_results(None)
    records = [record for record in results.noise if len(record.runs) >= 5]
    (base,) = (record for record in records if record.recipe == results.recipe)
    same = [record for record in records if (record.dataset, record.images) == (base.dataset, base.images)]
    first, *others = (readings for record in (base, *same) if (readings := record.readings(SPLIT)))
    return first, max(others, key=lambda other: abs(other.accuracy - first.accuracy))


def equal_recipes(base: Readings, other: Readings) -> dict[str, tuple[Recipe, Recipe]]:
    """Return base and head in seven ways to be equally accurate; `other` is a real recipe that fails on other images.

    In the last one, the accuracy of head varies TIMES as much over seeds as that of base.
    """
    flips = base.residual / base.images
    times = sqrt(TIMES**2 * (QUIET**2 + flips) - flips)
    quiet, noisy, still = (recipe_like(base, tau, base.accuracy, base, 1.0) for tau in (QUIET, NOISY, 0.0))
    elsewhere, noisy_elsewhere, four_times = (recipe_like(other, tau, base.accuracy) for tau in (QUIET, NOISY, times))
    return {
        "same recipe": (quiet, quiet),
        "unequal noise": (quiet, noisy),
        "other images": (quiet, elsewhere),
        "both": (quiet, noisy_elsewhere),
        "tau = 0": (still, still),
        "much noise": (noisy, noisy),
        f"{TIMES} times the noise": (quiet, four_times),
    }


def different_recipes(base: Readings, other: Readings) -> dict[str, tuple[Recipe, Recipe]]:
    """Return base and a head of other accuracy, to which the same images are hard, by the gain in accuracy."""
    quiet = recipe_like(base, QUIET, base.accuracy)
    return {f"{gain:+.4f}": (quiet, recipe_like(other, QUIET, base.accuracy + gain, base, 1.0)) for gain in GAINS}


def recipe_like(
    real: Readings, tau: float, accuracy: float, base: Readings | None = None, alike: float = 0.0
) -> Recipe:
    """Return a recipe like a real one, with these tau and accuracy; the share `alike` is as hard as for `base`."""
    random, images = np.random.default_rng(0), np.tile(np.arange(real.images), 20)
    a, b = fit(real)
    drawn = Recipe(real, a, b).probabilities(random, images)
    if base is not None:
        of_base = Recipe(base, *fit(base)).probabilities(random, images)
        drawn = np.where(random.random(len(images)) < alike, of_base, drawn)
    odds = odds_of(drawn[drawn > 1e-9])  # the others are misread in no simulation
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)  # over the seed's effect

    def moments(shift: float, effect: float) -> tuple[float, float]:
        scaled = [odds * exp(shift + effect * node) for node in nodes]
        errors = np.array([(values / (1 + values)).sum() / len(drawn) for values in scaled])
        mean = float(np.average(errors, weights=weights))
        return mean, sqrt(np.average((errors - mean) ** 2, weights=weights))

    shift = effect = 0.0
    for _ in range(3):  # each depends little on the other
        if tau:
            effect = brentq(lambda size, at=shift: moments(at, size)[1] - tau, 0.0, 3.0, xtol=1e-4)
        shift = brentq(lambda at, size=effect: moments(at, size)[0] - (1 - accuracy), -12.0, 12.0, xtol=1e-6)
    return Recipe(real, a, b, alike, shift, effect)


def fit(real: Readings) -> tuple[float, float]:
    """Return a and b of the beta distribution of the images' probabilities, by maximum likelihood."""
    counts = np.arange(real.seeds + 1)
    images = np.bincount(real.counts, minlength=len(counts))

    def loss(logs: np.ndarray) -> float:
        a, b = np.exp(logs)
        return float(-(images * (betaln(a + counts, b + real.seeds - counts) - betaln(a, b))).sum())

    a, b = np.exp(minimize(loss, np.log([0.01, 1.0]), method="Nelder-Mead").x)
    return float(a), float(b)


def odds_of(probabilities: np.ndarray) -> np.ndarray:
    """Return p / (1 - p)."""
    return np.asarray(probabilities / np.maximum(1 - probabilities, 1e-12))


def simulate(base: Recipe, head: Recipe, worlds: int, seed: Sequence[int]) -> list[Review]:
    """Draw reviews of base and head, each of other images and other seeds."""
    random, reviews = np.random.default_rng(seed), list[Review]()
    for _ in range(worlds):
        images = random.integers(base.real.images, size=base.real.images)
        of_base, own = base.probabilities(random, images), head.probabilities(random, images)
        of_head = np.where(random.random(len(images)) < head.alike, of_base, own)
        readings, others = base.readings(random, of_base), head.readings(random, of_head)
        reviews.append({(one, other): estimate(readings[one], others[other]) for one, other in PAIRS})
    return reviews


if __name__ == "__main__":
    main()
