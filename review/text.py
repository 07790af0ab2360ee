"""A comparison in words and tables, for a terminal, for GitHub and for programs."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.stats import ttest_ind

from classifier.files import markdown_table
from review.comparison import Comparison, Split, changed_parameters, metrics
from review.escaping import cell, in_10_000, markdown, p_value, quote, shorten, spread, unquote, with_limits
from review.results import SPLITS, Record, Results
from review.seeds import differing_keys, listed, why_stale
from review.statistics import ALPHA, PROVISIONAL_ALPHA, Estimate, OfClass

Table = list[list[str]]  # the first row is the header

SMOOTHING = "train.label_smoothing"
MOST_IMAGES, MOST_CLASSES = 10, 30  # listed: those on which base and head differ most
WIDTH = 80  # characters of a line in the terminal


def conclude(comparison: Comparison) -> str:
    """State the verdict in one sentence: what head is, by how much, and how many seeds say so."""
    return ", ".join(_verdict(comparison))


def _verdict(comparison: Comparison) -> list[str]:
    """Return what head is, and, unless two models alone are compared, which images and seeds say so."""
    base, head, verdict = comparison.base.name, comparison.head.name, comparison.verdict
    split = comparison.splits[comparison.decided_by]
    if comparison.one_recipe:
        return [f"verdict: {head} is no worse than {base}: both are runs of one recipe"]
    if split.estimate is None:
        return [f"verdict: undecided: {head} and {base} are two models, one run of each recipe"]
    difference, (low, high) = split.estimate.difference, split.estimate.interval()
    of_base, of_head = split.base.seeds, split.head.seeds
    seeds = f"{of_base} seeds each" if of_base == of_head else f"{of_base} and {of_head} seeds"
    by = f"by {comparison.decided_by}, {seeds}" + (", provisional" if split.estimate.provisional else "")
    change = with_limits(difference, low, high)
    if verdict == "undecided":
        return [f"verdict: undecided between {head} and {base}: {change}", by]
    if verdict == "no worse":
        return [f"verdict: {head} is no worse than {base} by more than {comparison.margin:g}: {change}", by]
    count, fewest, most = map(in_10_000, (difference, *sorted((low, high), key=abs)))
    fewer = f"{count} {'fewer' if difference > 0 else 'more'} misread in 10,000 (95 %: {fewest} to {most})"
    return [f"verdict: {head} is {verdict} than {base}: {fewer}", by]


def reasons(comparison: Comparison) -> Iterator[str]:
    """Yield at most nine lines for a reader who is no statistician: what was measured, and what would settle it."""
    split = comparison.splits[comparison.decided_by]
    sides = (comparison.base, split.base), (comparison.head, split.head)
    for label, (side, readings), record in zip(("base", "head"), sides, comparison.records, strict=True):
        commit = f" ({side.commit[:7]})" if side.commit else ""
        yield f"{label}: {side.name}{commit}: accuracy {spread(readings)}{_source(side, record)}"
    if comparison.machines:
        yield f"machines: base and head were trained on two kinds, which changes weights too: {comparison.machines}"
    if split.estimate and not comparison.one_recipe:
        yield from _about_recipes(comparison, split, split.estimate)
        return
    models = split.paired
    counts = f"base alone reads {models.only_base:,} right, head alone {models.only_head:,}"
    change = with_limits(models.difference, models.low, models.high)
    yield f"these two models: {counts}: {change}; McNemar's exact test, {p_value(models.p)}"
    if not comparison.one_recipe:
        yield "the recipes: unknown; another seed changes the accuracy too, and `make noise` measures by how much"


def _about_recipes(comparison: Comparison, split: Split, estimate: Estimate) -> Iterator[str]:
    yield f"difference: {with_limits(estimate.difference, *estimate.interval())}, {p_value(estimate.p)}"
    if estimate.provisional:
        single, other = ("base", "head") if split.base.seeds < 2 else ("head", "base")
        own = f"better or worse takes p < {PROVISIONAL_ALPHA:f}; `make noise` on the side of {single} measures its own"
        yield f"provisional: {single} has one seed, and its noise is taken to be that of {other}: {own}"
    elif comparison.verdict == "undecided":
        yield _what_would_settle(split, estimate)
    if comparison.recipes > 1:
        level = (PROVISIONAL_ALPHA if estimate.provisional else comparison.alpha) / comparison.recipes
        judged = f"{comparison.recipes:,} recipes were judged against base on these images (`--recipes` lists them)"
        yield f"{judged}: better takes p < {level:.2g}"
    looks = comparison.records[1].looks if comparison.records[1] else ()
    if len(looks) > 1:
        counts = ", then ".join(map(str, looks))
        yield f"this is look {len(looks)} at head ({counts} seeds): each look adds risk; `review.decide` plans them"
    yield _loss(comparison)


def _source(side: Results, record: Record | None) -> str:
    """Say where the seeds of a side were measured, if elsewhere, or why its own measurement does not count."""
    if record:
        keys = differing_keys(record.environment, side.environment)
        return f"; seeds from another machine ({listed(map(quote, keys))})" if keys else ""
    stale = [why_stale(kept, side) for kept in side.noise if kept.recipe == side.recipe]
    return f"; its measurement is stale: {stale[0]}" if stale else ""


def _what_would_settle(split: Split, estimate: Estimate) -> str:
    most = max(split.base.seeds, split.head.seeds)
    more = next((count for count in (5, 10, 20, 40) if count > most), 2 * most)
    width, (low, high) = estimate.half_width(more), estimate.interval()
    narrow = "hardly narrow it" if width >= (high - low) / 2 else f"narrow it to about ±{width:.4f}"
    least = f"±{estimate.half_width(np.inf):.4f} with these {split.paired.images:,} images"
    return f"{more} seeds each would {narrow}; no number of seeds gets below {least}"


def _loss(comparison: Comparison) -> str:
    """Compare the losses over seeds, unless the recipes have different label smoothing."""
    if SMOOTHING in changed_parameters(comparison):
        return "loss: not compared, because the recipes have different label smoothing"
    split = comparison.decided_by
    measured = (record.runs if record and split in record.images else () for record in comparison.records)
    losses = [np.array([run.on(split).loss for run in runs]) for runs in measured]
    if any(len(of_recipe) < 2 or np.ptp(of_recipe) == 0 for of_recipe in losses):
        return "loss: not compared, because that takes at least 2 seeds of each recipe, with different losses"
    test = ttest_ind(losses[1], losses[0], equal_var=False)
    change = with_limits(losses[1].mean() - losses[0].mean(), *test.confidence_interval(1 - ALPHA))
    return f"loss: {change}, over seeds alone (Welch's t-test, {p_value(float(test.pvalue))})"


def tables(comparison: Comparison, final: bool) -> Iterator[Table]:
    """Yield parameters that differ, metrics, and what the committed models read right; `final` adds the test images."""
    splits, numbers = visible(comparison, final)
    for header, values in (
        (["parameter", "base", "head"], changed_parameters(comparison)),
        (["metric", "base", "head", "difference"], numbers),
    ):
        if values:
            yield [header, *([quote(key), *(cell(of, side) for side in header[1:])] for key, of in values.items())]
    models = [split.paired for split in splits.values()]
    yield [
        ["the two committed models", *splits],
        ["images", *(f"{model.images:,}" for model in models)],
        ["accuracy of base", *(f"{model.base.accuracy:.4f}" for model in models)],
        ["  95 % interval", *(f"{model.base.low:.4f} to {model.base.high:.4f}" for model in models)],
        ["accuracy of head", *(f"{model.head.accuracy:.4f}" for model in models)],
        ["  95 % interval", *(f"{model.head.low:.4f} to {model.head.high:.4f}" for model in models)],
        ["only base is right", *(f"{model.only_base:,}" for model in models)],
        ["only head is right", *(f"{model.only_head:,}" for model in models)],
        ["McNemar's exact test", *(p_value(model.p) for model in models)],
    ]
    changed = Counter[int]()
    for model in models:
        changed.update({label: of.only_base + of.only_head for label, of in model.classes.items()})
    rows = []
    for label in sorted(label for label, count in changed.most_common(MOST_CLASSES) if count):
        counts = [model.classes.get(label, OfClass(0, 0, 0)) for model in models]
        rows.append([quote(comparison.classes[label]), *(f"+{of.only_head} -{of.only_base}" for of in counts)])
    if rows:
        yield [["class (+ only head, - only base)", *splits], *rows]


def visible(comparison: Comparison, final: bool) -> tuple[dict[str, Split], dict[str, dict[str, float]]]:
    """Return the splits and metrics to show: with `final` all, else none of another split than the one that decides."""
    hidden = [split for split in SPLITS if split != comparison.decided_by and not final]
    numbers = {key: sides for key, sides in metrics(comparison).items() if key.split(".")[0] not in hidden}
    return {name: split for name, split in comparison.splits.items() if name not in hidden}, numbers


def images_that_differ(comparison: Comparison) -> list[dict[str, int]]:
    """Return the images that the seeds of base and head misread most differently, and how the committed models read."""
    split = comparison.splits[comparison.decided_by]
    base, head = (side.predictions[comparison.decided_by] for side in (comparison.base, comparison.head))
    gap = np.abs(split.base.counts / split.base.seeds - split.head.counts / split.head.seeds)
    most = [row for row in np.argsort(-gap, kind="stable")[:MOST_IMAGES] if gap[row]]
    keys = ("image", "actual", "base_reads", "head_reads", "base", "head")
    columns = (base.image, base.actual, base.predicted, head.predicted, split.base.counts, split.head.counts)
    return [dict(zip(keys, row, strict=True)) for row in np.stack(columns, axis=1)[most].tolist()]


def as_text(comparison: Comparison, colour: bool, final: bool = False) -> str:
    """Render for a terminal, in lines of at most 80 characters."""
    verdict, why = wrap(conclude(comparison)), "\n".join(map(wrap, reasons(comparison)))
    if colour:
        red_yellow_or_green = {"worse": 31, "undecided": 33}.get(comparison.verdict, 32)  # of ANSI
        verdict = f"\033[{red_yellow_or_green}m{verdict}\033[0m"
    about = map(wrap, about_test_images(comparison, final))
    return "\n\n".join([verdict, why, *map(as_columns, tables(comparison, final)), *about])


def as_markdown(comparison: Comparison, final: bool = False) -> str:
    """Render for a comment on GitHub, in the same order; the verdict is short, as on a phone it has two lines."""
    verdict, *by = _verdict(comparison)
    blocks = [f"**{markdown(verdict)}**", "\n".join(f"- {markdown(why)}" for why in (*by, *reasons(comparison)))]
    for table in tables(comparison, final):
        blocks.append(markdown_table([[markdown(text.strip()) for text in row] for row in table], alignment="---:"))
    return "\n\n".join([*blocks, *map(markdown, about_test_images(comparison, final))])


def about_test_images(comparison: Comparison, final: bool) -> list[str]:
    """Say that the test images are hidden, or what it costs to look at them; nothing if they alone are there."""
    if comparison.decided_by == "test" or "test" not in comparison.splits:
        return []
    if final:
        return ["test images: each look at them makes their accuracy a worse estimate of the accuracy on new images"]
    return ["test images: not shown; `--final` shows them, once, when the choice is made"]


def as_json(comparison: Comparison, final: bool = False) -> str:
    """Render for programs, without NaN. What a side lacks has no key; "images" are `images_that_differ`.

    A split has the fields of `Paired` as "models" and those of `Estimate` as "recipes", null if both have one seed.
    """
    splits, numbers = visible(comparison, final)
    identity = ("revision", "commit", "dataset", "train_images")
    document = {
        **{key: getattr(comparison, key) for key in ("verdict", "decided_by", "one_recipe", "recipes", "margin")},
        "base": {key: getattr(comparison.base, key) for key in identity},
        "head": {key: getattr(comparison.head, key) for key in identity},
        "parameters": changed_parameters(comparison),
        "metrics": numbers,
        "splits": {name: _split_as_json(split) for name, split in splits.items()},
        "images": images_that_differ(comparison),
        "reasons": [unquote(why) for why in reasons(comparison)],
    }
    return json.dumps(document, indent=2, allow_nan=False, default=repr)  # YAML has dates and sets


def _split_as_json(split: Split) -> dict[str, Any]:
    document: dict[str, Any] = {"models": asdict(split.paired)}
    for label, of in (("base", split.base), ("head", split.head)):
        document[label] = {"seeds": of.seeds, "accuracy": of.accuracy, "standard_deviation": of.deviation}
    if (estimate := split.estimate) is None:
        return document | {"recipes": None}
    low, high = estimate.interval()
    freedom = estimate.freedom if estimate.freedom < 10**9 else None  # without noise of the seed it is infinite
    return document | {"recipes": asdict(estimate) | {"freedom": freedom, "low": low, "high": high, "p": estimate.p}}


def wrap(sentence: str) -> str:
    """Break a sentence into lines for a terminal."""
    return textwrap.fill(sentence, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def as_columns(table: Table) -> str:
    """Align a table; cells of one that is too wide are cut, and `--json` has them whole."""
    rows = [[unquote(text) for text in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        cells = [shorten(text, width).rjust(width) for text, width in zip(row, widths, strict=True)]
        cells[0] = shorten(row[0], widths[0]).ljust(widths[0])
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
