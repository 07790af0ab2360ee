"""The tables of a comparison, for every form of output."""

from collections.abc import Iterator

import numpy as np

from review.results.difference import Comparison, Split, changed_parameters, metrics
from review.results.predictions import SPLITS
from review.statistics.paired import OfClass
from review.wording.escaping import quote
from review.wording.notation import p_value, shown

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
