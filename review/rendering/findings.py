"""The findings of a comparison as sentences and tables, for every form of output."""

from collections.abc import Iterator

from review.rendering.seeds import CAUTION, explain_seeds, seed_fact, seed_rows
from review.results.difference import Comparison, changed_parameters, metrics, sides
from review.statistics.paired import ALPHA, Digit, Paired, judge
from review.wording.escaping import quote
from review.wording.notation import interval, p_value, shown, smallest

Table = list[list[str]]  # the first row is the header


def facts(comparison: Comparison) -> Iterator[str]:
    """Yield a line about each side, and a line about each part that is not compared."""
    for label, side in (("base", comparison.base), ("head", comparison.head)):
        commit = f" ({side.commit[:7]})" if side.commit else ""
        yield f"{label}: {side.name}{commit}, trained on {side.train_images:,} images of {quote(side.dataset)}"
    for split, found in sides(comparison.base.predictions, comparison.head.predictions).items():
        if len(found) == 1:
            yield f"{split}: only {next(iter(found))} has predictions of it, so it is not compared"
    if not changed_parameters(comparison):
        yield "parameters: none differs"
    yield seed_fact(comparison)


def tables(comparison: Comparison) -> Iterator[Table]:
    """Yield the parameters that differ, the metrics, the accuracy by split, and the images won and lost by digit."""
    if parameters := changed_parameters(comparison):
        rows = [[quote(key), shown(values, "base"), shown(values, "head")] for key, values in parameters.items()]
        yield [["parameter", "base", "head"], *rows]
    columns = ["base", "head", "difference"]
    rows = [[quote(key), *(shown(values, column) for column in columns)] for key, values in metrics(comparison).items()]
    yield [["metric", *columns], *rows]
    splits = list(comparison.splits.values())
    yield [
        ["same images, paired", *comparison.splits],
        ["images", *(f"{split.images:,}" for split in splits)],
        ["accuracy of base (95 % interval)", *(interval(split.base) for split in splits)],
        ["accuracy of head (95 % interval)", *(interval(split.head) for split in splits)],
        ["difference", *(f"{split.difference:+.4f}" for split in splits)],
        ["smallest difference that can be detected", *(smallest(split) for split in splits)],
        ["images that only base gets right", *(f"{split.only_base:,}" for split in splits)],
        ["images that only head gets right", *(f"{split.only_head:,}" for split in splits)],
        ["McNemar's exact test", *(p_value(split.p) for split in splits)],
        *seed_rows(splits),
    ]
    rows = []
    for digit in sorted({digit for split in splits for digit in split.digits}):
        found = [split.digits.get(digit, Digit(0, 0, 0)) for split in splits]
        if any(each.only_base or each.only_head for each in found):
            rows.append([str(digit), *(f"+{each.only_head} -{each.only_base}" for each in found)])
    if rows:
        yield [["digit (+ only head is right, - only base is)", *comparison.splits], *rows]


def explain(split: str, paired: Paired) -> str:
    """State the verdict on one split and its reasons, for readers who do not know the tests."""
    if not paired.only_base + paired.only_head:
        return f"{split}: cannot be told apart: base and head get the same images right"
    counts = f"head alone gets {paired.only_head:,} images right and base alone {paired.only_base:,}"
    found, limit = ("rare", "below") if paired.p < ALPHA else ("common", "not below")
    reason = f"a split this uneven is {found} between equally good models ({p_value(paired.p)}, {limit} {ALPHA})"
    if paired.smallest_difference is None:
        least = "so few images cannot show any difference"
    else:
        least = f"differences in accuracy below {smallest(paired)} cannot be detected"
    return f"{split}: {judge(paired)}: {counts}; {reason}; {least}{explain_seeds(paired)}"


def reasons(comparison: Comparison) -> list[str]:
    """Return the reasons for the verdict, a line for each split, and a caution where the seeds were not measured."""
    seeds = comparison.splits[comparison.decided_by].seeds
    unknown = [] if seeds and seeds.p is not None else [CAUTION]
    return [*(explain(*each) for each in comparison.splits.items()), *unknown]


def conclude(comparison: Comparison) -> str:
    """State the verdict of the deciding split."""
    base, head, verdict = comparison.base.name, comparison.head.name, comparison.verdict
    said = f"{head} and {base} {verdict}" if verdict == "cannot be told apart" else f"{head} is {verdict} than {base}"
    return f"verdict: {said}, by {comparison.decided_by}"
