"""A comparison of two revisions: parameters and metrics side by side, and what their recipes and models misread."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from review.results import Record, Results, recipe_of
from review.seeds import differences, differing_keys, why_stale
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
    recipe, and `judged` has the parameters of each recipe that was judged against base's on these images, by its name.
    `margin` and `alpha` are those of `judge`.
    """

    base: Results
    head: Results
    splits: dict[str, Split]
    records: Records
    one_recipe: bool
    judged: dict[str, dict[str, Any]]
    margin: float | None
    alpha: float

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, or numbers if neither side describes its data set."""
        sides = (self.base, self.head)
        splits = [split for side in sides for split in side.predictions.values()]
        count = 1 + max(int(max(split.actual.max(), split.predicted.max())) for split in splits)
        named = (side.data_set.classes for side in sides if side.data_set and len(side.data_set.classes) >= count)
        return next(named, tuple(map(str, range(count))))

    @property
    def recipes(self) -> int:
        return len(self.judged)

    @property
    def machines(self) -> str:
        """Name what differs between the environments of the seeds of base and head, or else of their models, or ""."""
        base, head = self.base.environment, self.head.environment
        measured = [record.environment if record else None for record in self.records]
        return differences(measured[0] or base, measured[1] or head) or differences(base, head)

    @property
    def decided_by(self) -> str:
        return next(iter(self.splits))

    @property
    def verdict(self) -> Verdict:
        if self.one_recipe:
            return "no worse"
        estimate = self.splits[self.decided_by].estimate
        return judge(estimate, self.margin, self.recipes, self.alpha) if estimate else "undecided"


def compare_results(
    base: Results, head: Results, margin: float | None = None, records: Records | None = None, alpha: float = ALPHA
) -> Comparison:
    """Compare two revisions, split by split.

    Args:
        records: the measurements of base and head; without them, those that Git holds.

    Raises:
        ValueError: the two were not tested on the same images, or only one of them on validation images.
    """
    _refuse_incomparable(base, head)
    records = records or holding_records(base, head)
    splits = {}
    for split, predictions in base.predictions.items():
        if split in head.predictions:
            of_base, of_head = readings_of(base, records[0], split), readings_of(head, records[1], split)
            paired = pair(predictions.actual, predictions.predicted, head.predictions[split].predicted)
            measured = of_base.seeds > 1 or of_head.seeds > 1
            splits[split] = Split(paired, of_base, of_head, estimate(of_base, of_head) if measured else None)
    one_recipe, judged = _are_one_recipe(base, head), _judged_recipes(base, head)
    return Comparison(base, head, splits, records, one_recipe, judged, margin, alpha)


def holding_records(base: Results, head: Results) -> Records:
    """Return the record in base's file that holds for base, and the one in head's file that holds for head."""
    holding = [next((kept for kept in side.noise if why_stale(kept, side) is None), None) for side in (base, head)]
    return holding[0], holding[1]


def readings_of(side: Results, record: Record | None, split: str) -> Readings:
    """Return what the seeds of a side's recipe misread: those of its record, and the committed run."""
    predictions = side.predictions[split]
    runs: list[Any] = [np.flatnonzero(predictions.actual != predictions.predicted)]
    if record and split in record.images:
        committed = [] if record.run(side.parameters.get("train.seed")) else runs
        runs = [*(run.on(split).misread for run in record.runs), *committed]
    return Readings.of(runs, len(predictions.image))


def side_by_side(base: Mapping[str, Any], head: Mapping[str, Any], keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return for each key its values in "base" and in "head"; a side that lacks the key is left out."""
    both = {"base": base, "head": head}
    return {key: {side: values[key] for side, values in both.items() if key in values} for key in keys}


def changed_parameters(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Return `side_by_side` the parameters whose values differ, if only in type."""
    base, head = comparison.base.parameters, comparison.head.parameters
    return side_by_side(base, head, differing_keys(base, head))


def metrics(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Return the metrics `side_by_side`, and of a pair its "difference", head - base."""
    base, head = comparison.base.metrics, comparison.head.metrics
    metrics = side_by_side(base, head, sorted(base.keys() | head.keys()))
    for values in metrics.values():
        if len(values) == 2:
            values["difference"] = round(values["head"] - values["base"], 10)  # 0.9912 - 0.9893 is 0.0019
    return metrics


def _are_one_recipe(base: Results, head: Results) -> bool:
    """Whether both sides are runs of one recipe, according to their dvc.lock.

    They have the same parameters but the seed, and the same files and commands, or the same model and predictions.
    """
    if base.recipe != head.recipe:
        return False
    if base.training and base.training == head.training and base.steps == head.steps:
        return True
    predicted = [{split: of.predicted.tolist() for split, of in side.predictions.items()} for side in (base, head)]
    return base.model is not None and base.model == head.model and predicted[0] == predicted[1]


def _judged_recipes(base: Results, head: Results) -> dict[str, dict[str, Any]]:
    """Return the recipes that were judged against base's on the same images: head's, and those on record."""
    judged = {head.recipe: recipe_of(head.parameters)}
    for record in (*base.noise, *head.noise):
        keys = differing_keys(record.parameters, base.parameters)
        same_images = record.dataset == base.dataset and not any(key.startswith("preprocess.") for key in keys)
        if same_images and record.recipe != base.recipe:
            judged[record.recipe] = record.parameters
    return judged


def _refuse_incomparable(base: Results, head: Results) -> None:
    """Raise ValueError, with the way out, if the accuracies of the two do not compare."""
    both = f"{base.name} and {head.name} have"
    if base.dataset != head.dataset:
        named = f"{base.name} is of the data set {base.dataset} and {head.name} of {head.dataset}"
        raise ValueError(f"{named}, whose accuracies do not compare: set download.dataset alike and `dvc repro`")
    if base.data_set and head.data_set and (changed := differing_keys(base.data_set.arrays, head.data_set.arrays)):
        raise ValueError(f"{both} two versions of the data set {base.dataset}: {' and '.join(changed)} differ")
    with_validation = [side.name for side in (base, head) if "validation" in side.predictions]
    if len(with_validation) == 1:
        alone = f"only {with_validation[0]} has predictions of validation images, and test images are not for choosing"
        remedy = "hold out as many in both by preprocess.validation_images, and `dvc repro`"
        raise ValueError(f"{alone} among recipes: {remedy}")
    for split, of_base in base.predictions.items():
        of_head = head.predictions.get(split, of_base)
        if not (np.array_equal(of_base.image, of_head.image) and np.array_equal(of_base.actual, of_head.actual)):
            raise ValueError(f"{both} different {split} images: set the section preprocess alike and `dvc repro`")
