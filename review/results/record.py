"""The measurement of a recipe over seeds, and whether it holds for a revision."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from review.results.trained import Trained, recipe_of
from review.statistics.recipes import Readings
from review.wording.escaping import quote
from review.wording.notation import shown

MOST_NAMED = 5  # parameters, files or keys in one sentence


@dataclass(frozen=True)
class Run:
    """A recipe trained with one seed: the MD5 of the model; by split its loss, and the images that it misreads."""

    seed: int
    model: str
    loss: dict[str, float]
    misread: dict[str, np.ndarray]


@dataclass(frozen=True)
class Record:
    """The measurement of one recipe; a record in an older form has no runs."""

    dataset: str
    parameters: dict[str, Any]
    environment: dict[str, Any]
    training: dict[str, str]
    images: dict[str, int]
    looks: tuple[int, ...]
    runs: tuple[Run, ...]

    def run(self, seed: Any) -> Run | None:
        """Return the run with this seed, if there is one."""
        return next((run for run in self.runs if run.seed == seed), None)

    def readings(self, split: str) -> Readings | None:
        """Return which images of a split the seeds misread, or None where the split was not measured."""
        if split not in self.images:
            return None
        return Readings.of([run.misread[split] for run in self.runs], self.images[split])


def unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ, if only in type, or that one of the two lacks."""
    # By repr: 5 == 5.0, and NaN != NaN.
    keys = sorted(one.keys() | other.keys())
    return [key for key in keys if not (key in one and key in other and repr(one[key]) == repr(other[key]))]


def is_of(record: Record, side: Trained) -> bool:
    """Whether a record has the data set and the recipe of a revision."""
    return record.dataset == side.dataset and not unlike(record.parameters, recipe_of(side.parameters))


def stale(record: Record, side: Trained) -> str | None:
    """Say why a record does not hold for a revision, or return None where it does.

    It holds if it has the same recipe and, for the revision's own seed, the same model as dvc.lock: then no change of
    the code has changed the model. In another environment the same code may give other bytes, and for a seed that was
    not measured there is no model; in both cases the files that train reads must be the same.
    """
    if record.dataset != side.dataset:
        return f"it was measured on {quote(record.dataset)}"
    if keys := unlike(record.parameters, recipe_of(side.parameters)):
        return f"it was measured at {listed(f'{quote(key)} {_value(record, key)}' for key in keys)}"
    if not record.runs:
        return "it was measured in an older form"
    if reason := contradiction(record, side):
        return reason
    run = record.run(side.parameters.get("train.seed"))
    if run and run.model == side.model:
        return None
    if not side.training:
        return "`dvc.lock` does not say what trained the model"
    if files := unlike(record.training, side.training):
        return f"it was measured with other files: {listed(map(quote, files))}"
    return None


def contradiction(record: Record, side: Trained) -> str | None:
    """Say why a record of a revision's recipe contradicts the revision, or return None if it does not.

    One recipe reads the same images. In one environment a seed gives the same model from the same files, and a model
    the same predictions.
    """
    for split, images in record.images.items():
        if split in side.predictions and (count := len(side.predictions[split].image)) != images:
            return f"it says {images:,} {split} images, of which predictions.csv has {count:,}"
    run = record.run(side.parameters.get("train.seed"))
    if run is None or side.model is None or elsewhere(record, side):
        return None
    if run.model != side.model:
        alike = not unlike(record.training, side.training)
        return f"its seed {run.seed} gave another model from the same files" if alike else None
    for split, loss in run.loss.items():
        if side.metrics.get(f"{split}.loss", loss) != loss:  # without the numbers: test images may be hidden
            return f"it says another {split} loss of the same model than metrics.json"
        if split in side.predictions and not np.array_equal(run.misread[split], side.predictions[split].misread()):
            return f"it says that other {split} images are misread than predictions.csv says of the same model"
    return None


def elsewhere(record: Record, side: Trained) -> list[str]:
    """Return the keys in which the environments of a record and of a revision differ."""
    return unlike(record.environment, side.environment)


def listed(names: Iterable[str]) -> str:
    """Join names; of a long list, the first ones and the number of the others."""
    names = list(names)
    more = [f"{len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


def _value(record: Record, key: str) -> str:
    return shown({"base": record.parameters[key]} if key in record.parameters else {}, "base")
