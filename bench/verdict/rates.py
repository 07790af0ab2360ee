"""How often each rule is right on simulated reviews: the tables of bench/verdict/rates.md, and what they mean."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from scipy.stats import binomtest, chi2

from bench.verdict import reviews, worlds
from bench.verdict.reviews import Review, Rule
from classifier.files import markdown_table
from review.statistics import PLAN, PROVISIONAL_ALPHA, Readings, Verdict

TAU = 0.0005  # of the default recipe: between the estimate, 0, and the upper limit that its seeds leave open
DIFFERENCES = (-0.0010, -0.0015, -0.0020, -0.0036, 0.0015)
LOSSES = (-0.0015, -0.0020, -0.0036)
GROSS = (-0.004, -0.006, -0.008, -0.010, -0.012)
ONE_RUN = ((5, 1), (10, 1))
MARGIN = 0.002
LEVELS = (0.01, 0.001, 1e-4, 1e-5, 3e-6, 1e-6)
PLANS = (
    PLAN,
    ((3, 0.01), (5, 0.02), (10, 0.03)),
    ((2, 0.001), (3, 0.005), (5, 0.01), (10, 0.03)),
    ((5, 0.015), (10, 0.035)),
    ((10, 0.05),),
)

Reviews = Mapping[str, Sequence[Review]]

TABLE = """\
Written by `python -m bench.verdict`: {count:,} simulated reviews a rate, {images:,} images. In brackets are the 95 %
limits of Clopper and Pearson. A false positive is the verdict better or worse on recipes of equal accuracy; "finds" is
the verdict worse on a head that is less accurate by this."""

NOISIER = """\
That is with tau {tau} on both sides. Of a head with tau {noisy}, seeds and images together find these losses in
{worse}."""

EQUAL = """\
- same recipe: both are the default recipe, with tau {tau}.
- unequal noise: the same images are hard for both; tau is {tau} and {noisy}.
- other images: head is as noisy, but each image has a probability of its own, drawn as those of the other real recipe.
- both: other images, and head's tau is {noisy}.
- tau = 0: the default recipe, whose seeds differ only by single images that flip.
- much noise: the same images are hard for both; tau is {noisy} on both sides."""

WORLDS = """\
For each real recipe: its seeds, and as many seeds in each of {worlds} simulated worlds with the recipe's own tau. s is
the standard deviation of accuracy over seeds, r / sqrt(n) the part of it that single images make, and tau what remains
(cut at 0). An image flips if some seeds misread it and some do not. In the tables above the default has tau {tau}: the
estimate is uncertain, and the last column has the upper 95 % limit that its seeds leave open. The other recipe is the
one of `evaluation/seed_noise.json` whose accuracy differs most; it has {changes}."""

IMAGES = """\
What separates two recipes on single images, whatever the number of seeds, is the standard error that the images leave.
Of the two real recipes it is {real:.5f}. The simulated ones have {simulated:.5f} if {alike:.0%} of the images are as
hard for both, which is so where a difference is to be found, and {none:.5f} if each image has a probability of its own
for each recipe, which is so in the null of other images."""

ONE = """\
A single run does not show how noisy its recipe is. The estimate takes the noise to be that of the other side. The last
null is the worst that it should stand: head fails on other images, and the standard deviation of its accuracy is
{times} times that of base. The rule takes p < {level:g} now. "Noise times {times}" instead puts {times} times the
standard deviation of base into the variance and the degrees of freedom, and takes p < 0.05. "Half" is the difference
that is found half of the time, of a head that is as noisy as base."""

SEQUENTIAL = """\
Both sides have as many seeds at each look, and the first look at which p is below its level decides. False positives
are those of all looks together. Then follow, for each true difference, the share of reviews that are decided and the
mean number of seeds of each side; "equal" is the null of other images. The first plan is that of
review/statistics.py, and the last one has a single look."""

GATES = """\
Shares of reviews in which `--fail-if worse` fails, and in which `--margin {margin} --fail-unless no-worse` passes. The
second should pass at no loss and stop a loss of {margin} or more. "Equal" is the null of other images."""


def document(
    real: Mapping[str, Sequence[Readings]], alike: float, drawn: Mapping[str, Reviews], count: int, changes: str
) -> str:
    """Return the whole document.

    Args:
        real: the readings of the two real recipes by name, of each split; the worlds are drawn from the first.
        alike: the share of the images that are as hard for both, where head is less accurate.
        drawn: `count` reviews of each case. changes: what separates the two recipes.
    """
    base, other = (splits[0] for splits in real.values())
    rules: dict[str, Rule] = {
        "McNemar on one run each, noise unknown": reviews.one_run,
        "McNemar on one run and Welch on seeds, 5 and 5": reviews.both_tests(5),
        "the same, 10 and 10": reviews.both_tests(10),
        "Welch on seeds alone, 5 and 5": reviews.welch(5),
        "Welch on seeds alone, 10 and 10": reviews.welch(10),
        "**seeds and images together, 5 and 5**": reviews.together(5, 5),
        "**the same, 10 and 10**": reviews.together(10, 10),
        "the same, 3 and 3": reviews.together(3, 3),
        "the same, 2 and 2": reviews.together(2, 2),
        "the same, 10 of base and 5 of head": reviews.together(10, 5),
        "the same, 5 of base and 10 of head": reviews.together(5, 10),
        "the same, 5 of base and 1 of head (provisional)": reviews.together(5, 1),
        "the same, 10 of base and 1 of head (provisional)": reviews.together(10, 1),
    }
    equal, different = drawn["equal"], drawn["different"]
    losses = [f"{loss:+.4f}" for loss in LOSSES]
    power = [["verdict", "false positives, worst of 6", *(f"finds {name}" for name in losses)]]
    errors = [["verdict", *equal]]
    for name, rule in rules.items():
        wrong = {null: decided(rule, each) for null, each in equal.items()}
        rates = [max(wrong.values()), *(found(rule, different, loss) for loss in losses)]
        power.append([name, *(_rate(rate, count) for rate in rates)])
        errors.append([name, *(f"{rate:.1%}" for rate in wrong.values())])
    return (
        "\n\n".join(
            [
                "# The verdict, on simulated reviews",
                TABLE.format(count=count, images=base.images),
                markdown_table(power, "---:"),
                NOISIER.format(tau=TAU, noisy=reviews.NOISY, worse=noisier(drawn["noisy"])),
                "## The six ways to be equal",
                EQUAL.format(tau=TAU, noisy=reviews.NOISY),
                markdown_table(errors, "---:"),
                "## Are the worlds like the real runs?",
                WORLDS.format(tau=TAU, worlds=worlds.WORLDS, changes=changes),
                agreement(real),
                IMAGES.format(
                    alike=alike,
                    real=sqrt(max(0.0, worlds.between_images(base, other))),
                    simulated=sqrt(worlds.simulated_between_images(base, other, alike)),
                    none=sqrt(worlds.simulated_between_images(base, other, 0.0)),
                ),
                "## One run of head",
                ONE.format(times=reviews.TIMES, level=PROVISIONAL_ALPHA),
                provisional(drawn),
                "## Adding seeds until it is decided",
                SEQUENTIAL,
                sequential(equal, different, count),
                "## The two gates",
                GATES.format(margin=MARGIN),
                gates(equal, different),
            ]
        )
        + "\n"
    )


def decided(rule: Rule, each: Sequence[Review]) -> float:
    """Return how often a rule says better or worse."""
    return _share(each, rule, "better", "worse")


def found(rule: Rule, different: Reviews, name: str) -> float:
    """Return how often a rule gives the difference the right sign."""
    return _share(different[name], rule, "worse" if name.startswith("-") else "better")


def noisier(noisy: Reviews) -> str:
    """Say how often the same losses of a noisy head are found."""
    told = []
    for seeds in (5, 10):
        rates = [found(reviews.together(seeds, seeds), noisy, loss) for loss in noisy]
        told.append(f"{', '.join(f'{rate:.0%}' for rate in rates)} with {seeds} and {seeds} seeds")
    return " and ".join(told)


def agreement(recipes: Mapping[str, Sequence[Readings]]) -> str:
    """Return the table of real and simulated recipes."""
    rows = [["recipe", "", "accuracy", "s", "r / sqrt(n)", "tau", "images that flip", "tau at most"]]
    for name, splits in recipes.items():
        real, tau = splits[0], worlds.pooled_tau(splits)
        recipe, random = worlds.recipe(real, tau, real.accuracy), np.random.default_rng(0)
        drawn = [worlds.draw(random, recipe, recipe, real.seeds)[0] for _ in range(worlds.WORLDS)]
        upper = real.variance * (real.seeds - 1) / chi2.ppf(0.025, real.seeds - 1) - real.residual / real.images
        rows.append([f"{name}, {real.seeds} seeds", "real", *_facts([real]), f"{sqrt(max(0.0, upper)):.5f}"])
        simulated = [worlds.first(each, real.seeds) for each in drawn]
        rows.append(["", f"simulated, tau {tau:.5f}", *_facts(simulated), ""])
    return markdown_table(rows, "---:")


def provisional(drawn: Mapping[str, Reviews]) -> str:
    """Return the table of rules for one run of head."""
    rows = [["rule", "seeds of base", "worst of the six", "4 times the noise", "finds -0.0036", "half"]]
    for seeds, _ in ONE_RUN:
        rules = {f"p < {level:g}": reviews.provisional(seeds, level) for level in LEVELS}
        for name, rule in (rules | {f"noise times {reviews.TIMES}, p < 0.05": reviews.cautious(seeds)}).items():
            rates = [0.0, *(found(rule, drawn["gross"], f"{gain:+.3f}") for gain in GROSS)]
            half = np.interp(0.5, rates, [0.0, *(abs(gain) for gain in GROSS)]) if rates[-1] >= 0.5 else None
            worst = max(decided(rule, each) for each in drawn["equal"].values())
            extreme = decided(rule, drawn["four times"]["4 times the noise"])
            gain = found(rule, drawn["different"], "-0.0036")
            told = f"{half:.4f}" if half else f"over {abs(GROSS[-1])}"
            rows.append([name, str(seeds), f"{worst:.1%}", f"{extreme:.1%}", f"{gain:.0%}", told])
    return markdown_table(rows, "---:")


def sequential(equal: Reviews, different: Reviews, count: int) -> str:
    """Return the table of plans."""
    rows = [["seeds: level", "false positives, worst of 6", "which", "equal", *different]]
    for plan in PLANS:
        ends = {name: [reviews.follow(each, plan) for each in group] for name, group in {**equal, **different}.items()}
        rates = {name: float(np.mean([verdict != "undecided" for verdict, _ in each])) for name, each in ends.items()}
        worst = max(equal, key=lambda name: rates[name])
        rows.append(
            [
                ", ".join(f"{seeds}: {alpha:g}" for seeds, alpha in plan),
                _rate(rates[worst], count),
                worst,
                *(
                    f"{rates[name]:.0%}, {np.mean([seeds for _, seeds in ends[name]]):.1f}"
                    for name in ("other images", *different)
                ),
            ]
        )
    return markdown_table(rows, "---:")


def gates(equal: Reviews, different: Reviews) -> str:
    """Return the table of what the gates do."""
    names = ["equal", *different]
    rows = [["gate", "seeds", *names]]
    groups = [equal["other images"], *different.values()]
    for seeds in (5, 10):
        rule = reviews.together(seeds, seeds)
        rates = [_share(each, rule, "worse") for each in groups]
        rows.append(["`--fail-if worse` fails", str(seeds), *(f"{rate:.0%}" for rate in rates)])
    for seeds in (5, 10):
        rule = reviews.together(seeds, seeds, margin=MARGIN)
        rates = [_share(each, rule, "better", "no worse") for each in groups]
        rows.append([f"`--margin {MARGIN}` passes", str(seeds), *(f"{rate:.0%}" for rate in rates)])
    return markdown_table(rows, "---:")


def _facts(of: Sequence[Readings]) -> list[str]:
    s2 = float(np.mean([each.variance for each in of]))
    r2 = float(np.mean([each.residual / each.images for each in of]))
    flips = float(np.mean([((each.counts > 0) & (each.counts < each.seeds)).mean() for each in of]))
    accuracy = float(np.mean([each.accuracy for each in of]))
    figures = [accuracy, sqrt(s2), sqrt(r2), sqrt(max(0.0, s2 - r2))]
    return [*(f"{figure:.5f}" for figure in figures), f"{flips:.2%}"]


def _share(each: Sequence[Review], rule: Rule, *verdicts: Verdict) -> float:
    return float(np.mean([rule(review) in verdicts for review in each]))


def _rate(rate: float, count: int) -> str:
    limits = binomtest(round(rate * count), count).proportion_ci(confidence_level=0.95)
    return f"{rate:.1%} ({limits.low:.1%} to {limits.high:.1%})"
