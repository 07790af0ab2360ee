"""How a value, an accuracy or a p-value is written, in sentences and in tables alike."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.stats import ttest_ind

from classifier.files import markdown_table as as_markdown_table
from review.comparison import Comparison, Split, changed_parameters, metrics
from review.escaping import in_10_000, limits, markdown, p_value, quote, shown, spread, unquote
from review.results import SPLITS
from review.revision import Results
from review.seeds import Record, differing_environment, listed, same_recipe, why_stale
from review.statistics import ALPHA, PROVISIONAL_ALPHA, OfClass, Verdict

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
        keys = differing_environment(record, side)
        return f"; seeds from another machine ({listed(map(quote, keys))})" if keys else ""
    kept = [*side.noise, *comparison.base.noise] if side is comparison.head else side.noise
    own = next((each for each in kept if same_recipe(each, side)), None)
    why = (why_stale(own, side) or "`dvc.lock` of head has other commands or another evaluation") if own else ""
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


Table = list[list[str]]  # the first row is the header

MOST_IMAGES = 10  # listed, and drawn in the report
MOST_DISAGREEMENTS = 30  # images that the two committed models read differently, listed and drawn in the report
MOST_CLASSES = 30  # listed: those with the most images that one model alone reads right


def tables(comparison: Comparison, final: bool) -> Iterator[Table]:
    """Yield the parameters that differ, the metrics, and what the committed models read right, by split and by class.

    Args:
        final: show the test images too.
    """
    if parameters := changed_parameters(comparison):
        rows = [[quote(key), shown(values, "base"), shown(values, "head")] for key, values in parameters.items()]
        yield [["parameter", "base", "head"], *rows]
    splits = shown_splits(comparison, final)
    columns = ["base", "head", "difference"]
    yield [
        ["metric", *columns],
        *(
            [quote(key), *(shown(values, column) for column in columns)]
            for key, values in shown_metrics(comparison, final).items()
        ),
    ]
    each = [split.paired for split in splits.values()]
    yield [
        ["the two committed models", *splits],
        ["images", *(f"{split.images:,}" for split in each)],
        ["accuracy of base", *(f"{split.base.accuracy:.4f}" for split in each)],
        ["  95 % interval", *(f"{split.base.low:.4f} to {split.base.high:.4f}" for split in each)],
        ["accuracy of head", *(f"{split.head.accuracy:.4f}" for split in each)],
        ["  95 % interval", *(f"{split.head.low:.4f} to {split.head.high:.4f}" for split in each)],
        ["only base is right", *(f"{split.only_base:,}" for split in each)],
        ["only head is right", *(f"{split.only_head:,}" for split in each)],
        ["McNemar's exact test", *(p_value(split.p) for split in each)],
    ]
    found = {
        label: [split.classes.get(label, OfClass(0, 0, 0)) for split in each]
        for label in sorted({label for split in each for label in split.classes})
    }
    changed = {label: sum(one.only_base + one.only_head for one in ones) for label, ones in found.items()}
    listed = sorted(filter(changed.get, found), key=lambda label: -changed[label])[:MOST_CLASSES]
    if listed:
        yield [
            ["class (+ only head, - only base)", *splits],
            *(
                [name_of(comparison, label), *(f"+{one.only_head} -{one.only_base}" for one in found[label])]
                for label in sorted(listed)
            ),
        ]


def name_of(comparison: Comparison, label: int) -> str:
    """Return the name of a class: its number, or the name that the data set gives to it."""
    name = comparison.classes[label]
    return name if name == str(label) else quote(name)


def shown_splits(comparison: Comparison, final: bool) -> dict[str, Split]:
    """Return the splits to show: the one that decides, and with `final` the others."""
    return comparison.splits if final else {comparison.decided_by: comparison.splits[comparison.decided_by]}


def shown_metrics(comparison: Comparison, final: bool) -> dict[str, dict[str, float]]:
    """Return the metrics to show: with `final` all, else those of no other split than the one that decides."""
    hidden = tuple(f"{split}." for split in SPLITS if split != comparison.decided_by and not final)
    return {key: values for key, values in metrics(comparison).items() if not key.startswith(hidden)}


def images_that_differ(comparison: Comparison) -> Iterator[tuple[int, int, int, int]]:
    """Yield the images that the seeds of the two recipes read most differently: image, actual, seeds that misread it.

    The seeds are counted for base and for head; at most MOST_IMAGES, by the difference of their shares.
    """
    split = comparison.splits[comparison.decided_by]
    base, head = split.base, split.head
    gap = np.abs(base.counts / base.seeds - head.counts / head.seeds)
    predictions = comparison.base.predictions[comparison.decided_by]
    for row in np.argsort(-gap, kind="stable")[:MOST_IMAGES]:
        if gap[row]:
            number, actual = int(predictions.image[row]), int(predictions.actual[row])
            yield number, actual, int(base.counts[row]), int(head.counts[row])


def table_of_images(comparison: Comparison) -> Table:
    """List these images; only the header if there are none."""
    split = comparison.splits[comparison.decided_by]
    rows = [
        [f"{image:,}", name_of(comparison, actual), f"{base} of {split.base.seeds}", f"{head} of {split.head.seeds}"]
        for image, actual, base, head in images_that_differ(comparison)
    ]
    return [[f"{comparison.decided_by} image", "actual", "seeds of base that misread it", "of head"], *rows]


def disagreements(comparison: Comparison) -> np.ndarray:
    """Return the images that the two committed models put into different classes: int (n, 4), by ascending image.

    A row has the image, its actual class, and the classes of base and of head.
    """
    base, head = (side.predictions[comparison.decided_by] for side in (comparison.base, comparison.head))
    rows = np.stack([base.image, base.actual, base.predicted, head.predicted], axis=1)
    found: np.ndarray = rows[base.predicted != head.predicted]
    return found


def table_of_disagreements(comparison: Comparison) -> Table:
    """List the first MOST_DISAGREEMENTS of these images."""
    rows = [
        [f"{image:,}", *(name_of(comparison, each) for each in classes)]
        for image, *classes in disagreements(comparison)[:MOST_DISAGREEMENTS].tolist()
    ]
    return [[f"{comparison.decided_by} image", "actual", "base", "head"], *rows]


COLOURS: dict[Verdict, int] = {"better": 32, "no worse": 32, "worse": 31, "undecided": 33}  # ANSI green, red, yellow

WIDTH = 80  # characters of a line in the terminal

HIDDEN = "test images: not shown; `--final` shows them, once, when the choice is made"
FINAL = "test images: each look at them makes their accuracy a worse estimate of the accuracy on new images"


def as_text(comparison: Comparison, colour: bool, final: bool = False) -> str:
    """Render for a terminal, in lines of at most 80 characters."""
    verdict = wrap(conclude(comparison))
    blocks = [f"\033[{COLOURS[comparison.verdict]}m{verdict}\033[0m" if colour else verdict]
    blocks.append("\n".join(map(wrap, reasons(comparison))))
    blocks += [as_columns(table) for table in tables(comparison, final)]
    if note := about_test_images(comparison, final):
        blocks.append(wrap(note))
    return "\n\n".join(blocks)


def as_markdown(comparison: Comparison, final: bool = False) -> str:
    """Render for a comment on GitHub, in the same order."""
    blocks = [f"**{markdown(conclude(comparison))}**", "\n".join(f"- {markdown(each)}" for each in reasons(comparison))]
    for table in tables(comparison, final):
        blocks.append(as_markdown_table([[markdown(cell.strip()) for cell in row] for row in table], alignment="---:"))
    if note := about_test_images(comparison, final):
        blocks.append(markdown(note))
    return "\n\n".join(blocks)


def about_test_images(comparison: Comparison, final: bool) -> str:
    """Say that the test images are hidden, or what it costs to look at them; nothing if they alone are there."""
    if list(comparison.splits) == ["test"] or "test" not in comparison.splits:
        return ""
    return FINAL if final else HIDDEN


def as_json(comparison: Comparison, final: bool = False) -> str:
    """Render for programs, without NaN. What a side lacks has no key.

    {
      "verdict": "better", "worse", "no worse" or "undecided",
      "decided_by": "validation" or "test",
      "one_recipe": whether the two are runs of one recipe,
      "recipes": how many recipes were judged against base's on these images,
      "margin": 0.002 or null,
      "base": {"revision": "main", "commit": "1a2b...", "dataset": "mnist", "train_images": 55000},
      "head": the same; "revision" and "commit" are null for this folder,
      "parameters": {"train.epochs": {"base": 5, "head": 6}, ...}, those that differ,
      "metrics": {"validation.errors": {"base": 37, "head": 35, "difference": -2}, ...}, those of test only if `final`,
      "splits": {"validation": {
        "models": {the fields of paired.Paired},
        "base": {"seeds": 5, "accuracy": 0.9936, "standard_deviation": 0.0003, null of one seed}, and so "head",
        "recipes": null or {the fields of recipes.Estimate, "low", "high" and "p"}
      }, ...}, "test" only if `final`,
      "images": [{"image": 7, "actual": 3, "base": 0, "head": 5}, ...], which seeds of the two read most differently,
      "reasons": ["base: ...", ...]
    }
    """
    parameters = changed_parameters(comparison)
    splits = shown_splits(comparison, final)
    document = {
        "verdict": comparison.verdict,
        "decided_by": comparison.decided_by,
        "one_recipe": comparison.one_recipe,
        "recipes": comparison.recipes,
        "margin": comparison.margin,
        **{label: _identity(side) for label, side in (("base", comparison.base), ("head", comparison.head))},
        "parameters": {
            key: {side: _plain_number(value) for side, value in found.items()} for key, found in parameters.items()
        },
        "metrics": shown_metrics(comparison, final),
        "splits": {name: _split_as_json(split) for name, split in splits.items()},
        "images": [
            dict(zip(("image", "actual", "base", "head"), each, strict=True)) for each in images_that_differ(comparison)
        ],
        "reasons": [unquote(each) for each in reasons(comparison)],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _split_as_json(split: Split) -> dict[str, Any]:
    found = split.estimate
    recipes = None
    if found:
        low, high = found.interval()
        freedom = found.freedom if found.freedom < 10**9 else None  # without noise of the seed it is infinite
        recipes = asdict(found) | {"freedom": freedom, "low": low, "high": high, "p": found.p}
    return {
        "models": asdict(split.paired),
        **{
            label: {"seeds": side.seeds, "accuracy": side.accuracy, "standard_deviation": side.deviation}
            for label, side in (("base", split.base), ("head", split.head))
        },
        "recipes": recipes,
    }


def _identity(side: Results) -> dict[str, Any]:
    return {key: getattr(side, key) for key in ("revision", "commit", "dataset", "train_images")}


def _plain_number(value: Any) -> Any:
    """Return a value that JSON can hold: of YAML's dates, sets and NaN, their text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value


def wrap(sentence: str) -> str:
    """Break a sentence into lines for a terminal."""
    return textwrap.fill(sentence, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def as_columns(table: Table) -> str:
    """Align a table; cells of one that is too wide are cut, and `--json` has them whole."""
    rows = [[unquote(cell) for cell in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        first, *cells = (_cut(cell, width) for cell, width in zip(row, widths, strict=True))
        padded = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(lines)


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: max(0, width - 3)]}..."[:width]
