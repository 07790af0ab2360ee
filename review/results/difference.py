"""A comparison of two revisions: their parameters and metrics side by side, and their predictions image by image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from review.results.record import SPLITS, Record, stale, unlike
from review.results.revision import Predictions, Results
from review.statistics.paired import Paired, Seeds, Verdict, between_recipes, between_runs, judge, pair


@dataclass(frozen=True)
class Comparison:
    """Two revisions, and each split that both have predictions of; the first of these splits decides."""

    base: Results
    head: Results
    splits: dict[str, Paired]

    @property
    def decided_by(self) -> str:
        return next(iter(self.splits))

    @property
    def verdict(self) -> Verdict:
        return judge(self.splits[self.decided_by])


def compare(base: Results, head: Results) -> Comparison:
    """Compare the predictions of two revisions, split by split.

    Raises:
        ValueError: the two were not tested on the same images, or only one of them on validation images.
    """
    if base.dataset != head.dataset:
        raise ValueError(
            f"{base.name} is of the data set {base.dataset} and {head.name} of {head.dataset}, whose accuracies do not "
            "compare: set download.dataset alike and `dvc repro`"
        )
    common = [split for split in SPLITS if split in base.predictions and split in head.predictions]
    if not common:
        one, other = (f"{side.name} has {' and '.join(side.predictions)}" for side in (base, head))
        raise ValueError(f"no split in common: {one}, {other}")
    judged = [side.name for side in (base, head) if "validation" in side.predictions]
    if len(judged) == 1:
        raise ValueError(
            f"only {judged[0]} has predictions of validation images, and test images are not for choosing among "
            "recipes: hold out as many in both by preprocess.validation_images, and `dvc repro`"
        )
    splits = {}
    for split in common:
        one_split, other_split = base.predictions[split], head.predictions[split]
        if difference := _unlike_images(one_split, other_split):
            raise ValueError(
                f"{base.name} and {head.name} have different {split} images, whose accuracies do not compare: "
                f"{difference}"
            )
        paired = pair(one_split.actual, one_split.predicted, other_split.predicted)
        splits[split] = replace(paired, seeds=_seeds(split, paired, *measured(base, head)))
    return Comparison(base, head, splits)


def measured(base: Results, head: Results) -> tuple[Record | None, Record | None]:
    """Return the record that holds for each side.

    Base is judged by its own file alone, and head by base's file before its own, so a branch cannot change the
    measurement of base.
    """

    def of(side: Results, records: list[Record]) -> Record | None:
        return next((record for record in records if stale(record, side) is None), None)

    return of(base, base.noise), of(head, [*base.noise, *head.noise])


def sides(base: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return for each key its values in "base" and in "head"; a side that lacks the key is left out."""
    both = {"base": base, "head": head}
    return {
        key: {side: values[key] for side, values in both.items() if key in values}
        for key in sorted(base.keys() | head.keys())
    }


def changed_parameters(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Return the `sides` of each parameter whose value differs, if only in type."""
    base, head = comparison.base.parameters, comparison.head.parameters
    every = sides(base, head)
    return {key: every[key] for key in unlike(base, head)}


def metrics(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Return the `sides` of each metric, and of a pair its "difference", head - base."""
    every = sides(comparison.base.metrics, comparison.head.metrics)
    for values in every.values():
        if len(values) == 2:
            values["difference"] = round(values["head"] - values["base"], 10)  # 0.9912 - 0.9893 is 0.0019
    return every


def _seeds(split: str, paired: Paired, base: Record | None, head: Record | None) -> Seeds | None:
    found = [spread for record in (base, head) if record and (spread := record.spread(split))]
    if len(found) == 2 and base is not head:
        return between_recipes(*found)
    return between_runs(paired.difference, found[0]) if found else None


def _unlike_images(base: Predictions, head: Predictions) -> str | None:
    """Say how the images of two splits differ, or return None if they are the same."""
    alone = [len(np.setdiff1d(one.image, other.image)) for one, other in ((base, head), (head, base))]
    if any(alone):
        return f"{alone[0]:,} are only in the first and {alone[1]:,} only in the second"
    rows = np.flatnonzero(base.actual != head.actual)
    if not rows.size:
        return None
    row = rows[0]
    return f"image {base.image[row]} is a {base.actual[row]} in the first and a {head.actual[row]} in the second"
