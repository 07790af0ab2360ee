"""A comparison of two revisions: parameters and metrics side by side, and what their recipes and models misread."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from review.results import SPLITS, Predictions, recipe_of
from review.revision import Results
from review.seeds import Record, Run, differing_keys, why_stale
from review.statistics import ALPHA, Estimate, Paired, Readings, Verdict, estimate, judge, pair

Records = tuple[Record | None, Record | None]  # of base and of head


@dataclass(frozen=True)
class Split:
    """One split: the committed models on the same images, and the recipes over their seeds.

    `estimate` is None if both recipes have a single seed: then nothing is known of the recipes.
    """

    paired: Paired
    base: Readings
    head: Readings
    estimate: Estimate | None


@dataclass(frozen=True)
class Comparison:
    """Two revisions, and each split that both have predictions of; the first of these splits decides.

    `records` are the measurements that hold for base and for head. `one_recipe` says that the two are runs of one
    recipe, and `recipes` how many recipes were judged against base's on these images. `margin` and `alpha` are those of
    `judge`.
    """

    base: Results
    head: Results
    splits: dict[str, Split]
    records: Records
    one_recipe: bool
    recipes: int
    margin: float | None
    alpha: float

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, or numbers if neither side describes its data set."""
        described = max((self.base, self.head), key=lambda side: (len(side.classes), side.data_set is not None))
        return described.classes

    @property
    def decided_by(self) -> str:
        return next(iter(self.splits))

    @property
    def verdict(self) -> Verdict:
        if self.one_recipe:
            return "no worse"
        found = self.splits[self.decided_by].estimate
        return judge(found, self.margin, self.recipes, self.alpha) if found else "undecided"


def compare_results(
    base: Results,
    head: Results,
    margin: float | None = None,
    records: Records | None = None,
    alpha: float = ALPHA,
) -> Comparison:
    """Compare two revisions, split by split.

    Args:
        records: the measurements of base and head; without them, those that Git holds.

    Raises:
        ValueError: the two were not tested on the same images, or only one of them on validation images.
    """
    if base.dataset != head.dataset:
        raise ValueError(
            f"{base.name} is of the data set {base.dataset} and {head.name} of {head.dataset}, whose accuracies do not "
            "compare: set download.dataset alike and `dvc repro`"
        )
    if changed := _changed_arrays(base, head):
        raise ValueError(
            f"{base.name} and {head.name} have two versions of the data set {base.dataset}, whose accuracies do not "
            f"compare: {' and '.join(changed)} differ"
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
    records = records or holding_records(base, head)
    splits = {}
    for split in common:
        one_split, other_split = base.predictions[split], head.predictions[split]
        if difference := _unlike_images(one_split, other_split):
            raise ValueError(
                f"{base.name} and {head.name} have different {split} images, whose accuracies do not compare: "
                f"{difference}"
            )
        of_base, of_head = readings_of(base, records[0], split), readings_of(head, records[1], split)
        paired = pair(one_split.actual, one_split.predicted, other_split.predicted)
        known = of_base.seeds > 1 or of_head.seeds > 1
        splits[split] = Split(paired, of_base, of_head, estimate(of_base, of_head) if known else None)
    one_recipe = _one_recipe(base, head, records[0])
    return Comparison(base, head, splits, records, one_recipe, _recipes(base, head), margin, alpha)


def holding_records(base: Results, head: Results) -> Records:
    """Return the record that holds for each side.

    Base is judged by its own file alone, so a branch cannot change the measurement of base. Head is judged by base's
    file too, unless its own has all that base's has and more seeds. If head has base's parameters, but other commands
    or another evaluation, a record must hold the very run that head committed.
    """

    def of(side: Results, records: list[Record]) -> Record | None:
        return next((record for record in records if why_stale(record, side) is None), None)

    known, own = of(head, base.noise), of(head, head.noise)
    if known and differing_keys(base.steps, head.steps):  # head may have inherited base's file
        known, own = (record if record and _holds(record, head) else None for record in (known, own))
    if known and own and len(own.runs) > len(known.runs):
        runs = {run.seed: run for run in own.runs}
        if all(run.seed in runs and _same(run, runs[run.seed]) for run in known.runs):
            known = own
    return of(base, base.noise), known or own


def readings_of(side: Results, record: Record | None, split: str) -> Readings:
    """Return what the seeds of a side's recipe misread: those of its record, and the committed run."""
    predictions = side.predictions[split]
    committed = np.flatnonzero(predictions.actual != predictions.predicted)
    if record is None or split not in record.images:
        return Readings.of([committed], len(predictions.image))
    runs = [run.misread[split] for run in record.runs]
    if record.run(side.parameters.get("train.seed")) is None:
        runs.append(committed)
    return Readings.of(runs, len(predictions.image))


def side_by_side(base: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return for each key its values in "base" and in "head"; a side that lacks the key is left out."""
    both = {"base": base, "head": head}
    return {
        key: {side: values[key] for side, values in both.items() if key in values}
        for key in sorted(base.keys() | head.keys())
    }


def changed_parameters(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Return the values `side_by_side` of each parameter whose value differs, if only in type."""
    base, head = comparison.base.parameters, comparison.head.parameters
    every = side_by_side(base, head)
    return {key: every[key] for key in differing_keys(base, head)}


def metrics(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Return the values `side_by_side` of each metric, and of a pair its "difference", head - base."""
    every = side_by_side(comparison.base.metrics, comparison.head.metrics)
    for values in every.values():
        if len(values) == 2:
            values["difference"] = round(values["head"] - values["base"], 10)  # 0.9912 - 0.9893 is 0.0019
    return every


def _one_recipe(base: Results, head: Results, record: Record | None) -> bool:
    """Whether both sides are runs of one recipe, according to their dvc.lock and the `record` that base has of itself.

    They have the same parameters but the seed, and either the same files and commands, or head's model and its
    predictions are those of base or of a seed in the record.
    """
    if differing_keys(recipe_of(base.parameters), recipe_of(head.parameters)):
        return False
    if (
        base.training
        and not differing_keys(base.training, head.training)
        and not differing_keys(base.steps, head.steps)
    ):
        return True
    alike = base.predictions.keys() == head.predictions.keys() and all(
        np.array_equal(found.predicted, head.predictions[split].predicted) for split, found in base.predictions.items()
    )
    return (base.model is not None and base.model == head.model and alike) or (
        record is not None and _holds(record, head)
    )


def _holds(record: Record, side: Results) -> bool:
    """Whether a record holds the committed run of a side: its seed, its model, and what that misreads."""
    run = record.run(side.parameters.get("train.seed"))
    return (run is not None and run.model == side.model) and all(
        np.array_equal(numbers, side.predictions[split].misread())
        for split, numbers in run.misread.items()
        if split in side.predictions
    )


def _same(one: Run, other: Run) -> bool:
    """Whether two runs have the same model, which misreads the same images of all splits that both have."""
    splits = one.misread.keys() & other.misread.keys()
    return one.model == other.model and all(np.array_equal(one.misread[each], other.misread[each]) for each in splits)


def _recipes(base: Results, head: Results) -> int:
    """Count the recipes that were judged against base's on the same images: head's, and those on record."""

    def items(parameters: Mapping[str, Any], start: str = "") -> frozenset[tuple[str, str]]:
        # By repr, as in `differing_keys`.
        return frozenset((key, repr(value)) for key, value in parameters.items() if key.startswith(start))

    own, of_head = (recipe_of(side.parameters) for side in (base, head))
    images = items(own, "preprocess.")
    others = {
        items(record.parameters)
        for record in (*base.noise, *head.noise)
        if record.dataset == base.dataset and items(record.parameters, "preprocess.") == images
    }
    return len((others - {items(own)}) | {items(of_head)})


def _changed_arrays(base: Results, head: Results) -> list[str]:
    if not (base.data_set and head.data_set):
        return []
    return [name for name, array in base.data_set.arrays.items() if array != head.data_set.arrays[name]]


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
