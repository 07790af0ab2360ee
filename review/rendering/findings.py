"""The verdict of a comparison and the reasons for it, as sentences for every form of output."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import ttest_ind

from review.results.difference import Comparison, Split
from review.results.record import Record, elsewhere, is_of, listed, stale
from review.results.revision import Results
from review.statistics.recipes import ALPHA
from review.statistics.verdict import PROVISIONAL_ALPHA
from review.wording.escaping import quote
from review.wording.notation import in_10_000, limits, p_value, spread

SMOOTHING = "train.label_smoothing"


def conclude(comparison: Comparison) -> str:
    """State the verdict in one sentence: what head is, by how much, and how many seeds say so."""
    base, head, verdict = comparison.base.name, comparison.head.name, comparison.verdict
    split = comparison.splits[comparison.decided_by]
    found = split.estimate
    if comparison.one_recipe:
        return f"verdict: {head} is no worse than {base}: both are runs of one recipe"
    if found is None:
        return f"verdict: undecided: {head} and {base} are two models, one run of each recipe"
    low, high = found.interval()
    by = f"by {comparison.decided_by}, {_seeds(split)}{', provisional' * found.provisional}"
    change = f"{found.difference:+.4f} (95 %: {limits(low, high)})"
    if verdict == "undecided":
        return f"verdict: undecided between {head} and {base}: {change}, {by}"
    if verdict == "no worse":
        return f"verdict: {head} is no worse than {base} by more than {comparison.margin:g}: {change}, {by}"
    kind = "fewer" if found.difference > 0 else "more"
    fewest, most = sorted((abs(low), abs(high)))
    count = f"{in_10_000(found.difference)} {kind} misread in 10,000 (95 %: {in_10_000(fewest)} to {in_10_000(most)})"
    return f"verdict: {head} is {verdict} than {base}: {count}, {by}"


def reasons(comparison: Comparison) -> Iterator[str]:
    """Yield at most eight lines for a reader who is no statistician: what was measured, and what would settle it."""
    split = comparison.splits[comparison.decided_by]
    records = comparison.records
    for label, side, readings, record in (
        ("base", comparison.base, split.base, records[0]),
        ("head", comparison.head, split.head, records[1]),
    ):
        commit = f" ({side.commit[:7]})" if side.commit else ""
        yield f"{label}: {side.name}{commit}: accuracy {spread(readings)}{_source(comparison, side, record)}"
    found, paired = split.estimate, split.paired
    if comparison.one_recipe or found is None:
        change = f"{paired.difference:+.4f} (95 %: {limits(paired.low, paired.high)})"
        counts = f"base alone reads {paired.only_base:,} right, head alone {paired.only_head:,}"
        yield f"these two models: {counts}: {change}; McNemar's exact test, {p_value(paired.p)}"
        if not comparison.one_recipe:
            yield "the recipes: unknown; another seed changes the accuracy too, and `make noise` measures by how much"
    else:
        yield f"difference: {found.difference:+.4f} (95 %: {limits(*found.interval())}), {p_value(found.p)}"
        if found.provisional:
            single, other = ("base", "head") if split.base.seeds < 2 else ("head", "base")
            yield (
                f"provisional: {single} has one seed, and its noise is taken to be that of {other}: better or worse "
                f"takes p < {PROVISIONAL_ALPHA:f}; `make noise` on the side of {single} measures its own"
            )
        elif comparison.verdict == "undecided":
            yield _what_would_settle(split)
        if comparison.recipes > 1:
            level = PROVISIONAL_ALPHA if found.provisional else comparison.alpha
            yield (
                f"{comparison.recipes:,} recipes were judged against base on these images: better takes "
                f"p < {level / comparison.recipes:.2g}"
            )
        looks = records[1].looks if records[1] else ()
        if len(looks) > 1:
            some = looks if len(looks) < 6 else (*looks[:2], "...", *looks[-2:])
            counts = ", then ".join(map(str, some))
            yield f"this is look {len(looks)} at head ({counts} seeds): each look adds risk; `review.decide` plans them"
        yield _loss(comparison)


def _seeds(split: Split) -> str:
    base, head = split.base.seeds, split.head.seeds
    return f"{base} seeds each" if base == head else f"{base} and {head} seeds"


def _source(comparison: Comparison, side: Results, record: Record | None) -> str:
    """Say why a side has a single run, or where its seeds were measured if that was elsewhere."""
    if record:
        keys = elsewhere(record, side)
        return f"; seeds from another machine ({listed(map(quote, keys))})" if keys else ""
    kept = [*side.noise, *comparison.base.noise] if side is comparison.head else side.noise
    own = next((each for each in kept if is_of(each, side)), None)
    why = (stale(own, side) or "`dvc.lock` of head has other commands or another evaluation") if own else ""
    return f"; its measurement is stale: {why}" if own else ""


def _what_would_settle(split: Split) -> str:
    found = split.estimate
    assert found
    most = max(split.base.seeds, split.head.seeds)
    more = next((count for count in (5, 10, 20, 40) if count > most), 2 * most)
    low, high = found.interval()
    width = found.half_width(more)
    least = f"no number of seeds gets below ±{found.least_half_width:.4f} with these {split.paired.images:,} images"
    if width >= (high - low) / 2:
        return f"{more} seeds each would hardly narrow it; {least}"
    return f"{more} seeds each would narrow it to about ±{width:.4f}; {least}"


def _loss(comparison: Comparison) -> str:
    """Compare the losses over seeds, unless the recipes have different label smoothing."""
    sides = (comparison.base, comparison.head)
    smoothing = [repr(side.parameters.get(SMOOTHING)) for side in sides]
    if smoothing[0] != smoothing[1]:
        return "loss: not compared, because the recipes have different label smoothing"
    split = comparison.decided_by
    losses = [
        np.array([run.loss[split] for run in record.runs] if record and split in record.images else [])
        for record in comparison.records
    ]
    if any(len(each) < 2 or np.ptp(each) == 0 for each in losses):
        return "loss: not compared, because that takes at least 2 seeds of each recipe, with different losses"
    test = ttest_ind(losses[1], losses[0], equal_var=False)
    interval = test.confidence_interval(1 - ALPHA)
    change = f"{losses[1].mean() - losses[0].mean():+.4f} (95 %: {limits(interval.low, interval.high)})"
    return f"loss: {change}, over seeds alone (Welch's t-test, {p_value(float(test.pvalue))})"
