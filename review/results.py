"""What the files of a run say: its parameters, metrics, predictions, history and provenance, and its dvc.lock.

Each `parse_...` takes the text of one file, or its value if it is YAML. If it has another form than its stage gives it,
it raises ValueError, TypeError, KeyError or AttributeError.
"""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from classifier.data.data_set import DataSet, parse_data_set
from classifier.model.learning import COLUMNS
from review.escaping import quote
from review.statistics import Readings

SPLITS = ("validation", "test")  # the first is for model selection, the second for the final estimate


@dataclass(frozen=True)
class Predictions:
    """A model's predictions on one split: int arrays (n,), one row an image, by ascending image."""

    image: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray

    def misread(self) -> np.ndarray:
        """The numbers of the images that are misread: int (errors,), ascending."""
        return np.asarray(self.image[self.actual != self.predicted])


class Measured(msgspec.Struct, frozen=True):
    """What a model does on one split: its loss in nats, and the numbers of the images that it misreads, ascending."""

    loss: float
    misread: tuple[int, ...]


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recipe trained with one seed: the MD5 of the model, and what it does on the splits that there are."""

    seed: int
    model: str
    validation: Measured | None = None
    test: Measured | None = None

    def on(self, split: str) -> Measured:
        measured: Measured = getattr(self, split)
        return measured


class Record(msgspec.Struct, frozen=True):
    """The measurement of one recipe over seeds, as its file has it.

    `images` is the number of images by split, and `looks` are the numbers of seeds at which somebody looked.
    """

    dataset: str
    parameters: dict[str, Any]
    environment: dict[str, Any]
    training: dict[str, str]
    images: dict[Literal["validation", "test"], int]
    looks: tuple[int, ...]
    runs: tuple[Run, ...] = msgspec.field(name="seeds")

    def __post_init__(self) -> None:
        seeds = len({run.seed for run in self.runs})
        rising = list(self.looks) == sorted({*self.looks, seeds}) and 0 not in self.looks
        if not (rising and seeds == len(self.runs)):
            raise ValueError(f"expected each seed once, and looks, rising numbers of seeds up to {seeds}")
        for split, count in self.images.items():
            for run in self.runs:
                measured = run.on(split)
                ascending = measured and np.all(np.diff(measured.misread, prepend=-1, append=count) > 0)
                if not (ascending and measured.loss >= 0):
                    raise ValueError(f"expected a loss and misread {split} images from 0 to {count - 1:,}, ascending")

    @property
    def recipe(self) -> str:
        return name_recipe(self.dataset, self.parameters)

    def run(self, seed: Any) -> Run | None:
        """Return the run with this seed, if there is one."""
        return next((run for run in self.runs if run.seed == seed), None)

    def readings(self, split: str) -> Readings | None:
        """Return which images of a split the seeds misread, or None where the split was not measured."""
        if split not in self.images:
            return None
        return Readings.of([run.on(split).misread for run in self.runs], self.images[split])


@dataclass(frozen=True)
class Stage:
    """A stage in dvc.lock: parameters as "params.yaml:train.epochs", and the MD5 of each file; see lock.read_stages."""

    command: Any
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    outputs: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """What a revision or this folder holds of its run; `revision` is the user's name for it, None for this folder.

    `training` has the MD5 of each file that the stage train read, according to dvc.lock. `steps` has the commands of
    train, export and evaluate, and what they read but the models. Without dvc.lock they are empty and `model`, the MD5
    of the model, is None. `noise` are the records of all recipes. `history` maps names such as "validation_loss" to a
    value for each epoch. `data_set` is None for the project's first versions, which do not describe it.
    """

    revision: str | None
    commit: str | None
    dataset: str
    train_images: int
    parameters: dict[str, Any]
    environment: dict[str, Any]
    training: dict[str, str]
    steps: dict[str, Any]
    model: str | None
    metrics: dict[str, float]
    predictions: dict[str, Predictions]
    noise: list[Record]
    history: dict[str, list[float]]
    data_set: DataSet | None

    @property
    def name(self) -> str:
        return name_of(self.revision)

    @property
    def recipe(self) -> str:
        return name_recipe(self.dataset, self.parameters)


def name_of(revision: str | None) -> str:
    """Return a revision for a sentence."""
    if revision is None:
        return "this folder"
    return quote(revision[:10] if re.fullmatch("[0-9a-f]{40}", revision) else revision)


def recipe_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a recipe: all but the seed of training and the section download."""
    return {key: value for key, value in parameters.items() if key != "train.seed" and not key.startswith("download.")}


def name_recipe(dataset: str, parameters: Mapping[str, Any]) -> str:
    """Return a name that no other recipe has: letters of its data set, and a hash of that and of all its parameters."""
    known = json.dumps([dataset, recipe_of(parameters)], sort_keys=True, default=repr)
    letters = re.sub("[^a-z0-9]+", "-", Path(dataset).stem.lower())[:40].strip("-")
    return f"{letters or 'data'}-{hashlib.sha256(known.encode()).hexdigest()[:12]}"


def parse_predictions(text: str) -> dict[str, Predictions]:
    """Return the predictions of each split that there is, validation first."""
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    splits = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    if not rows or sum(map(len, splits.values())) < len(rows):
        raise ValueError("expected a row for each image of the splits validation and test")
    return {split: _predictions(of_split) for split, of_split in splits.items() if of_split}


def _predictions(rows: list[dict[str, str]]) -> Predictions:
    table = np.array([[int(row["image"]), int(row["actual"]), int(row["predicted"])] for row in rows])
    image, actual, predicted = table[table[:, 0].argsort()].T
    if table.min() < 0 or not np.diff(image).all():
        raise ValueError("expected each image once, and numbers of at least 0")
    return Predictions(image, actual, predicted)


def parse_history(text: str) -> dict[str, list[float]]:
    """Return accuracy and loss of each epoch, in order, and of the validation images where there were any."""
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    names = [name for name in COLUMNS if any(row[name] for row in rows if name in row)]
    if rows and not {"accuracy", "loss"} <= set(names):
        raise ValueError("expected the accuracy and the loss of each epoch")
    return {name: [float(row[name]) for row in rows] for name in names}


def parse_parameters(document: Any) -> dict[str, Any]:
    """Return each parameter of a params.yaml by its dotted key."""
    return dict(leaves(document or {}))


def parse_metrics(text: str) -> dict[str, float]:
    """Return each metric by its dotted key."""
    metrics = dict(leaves(json.loads(text)))
    for key, value in metrics.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{key} must be a number, got {value!r}")
    return metrics


def parse_provenance(text: str) -> tuple[str, int, dict[str, Any]]:
    """Return the data set that the model saw, how many images of it trained the model, and the environment by key."""
    match json.loads(text):
        case {"dataset": str(dataset), "images": {"train": int(images)}, **rest} if dataset.isprintable():
            return dataset, images, dict(leaves({key: rest[key] for key in rest if key not in ("parameters", "data")}))
    raise ValueError("expected the keys dataset, a name, and images.train, a whole number")


def parse_lock(document: Any) -> dict[str, Stage]:
    """Return what a dvc.lock recorded of each stage."""
    stages = {}
    for name, stage in (document["stages"] or {}).items():
        files = stage.get("params", {}).items()
        parameters = {f"{file}:{key}": value for file, values in files for key, value in leaves(values)}
        inputs, outputs = ({one["path"]: str(one["md5"]) for one in stage.get(kind, [])} for kind in ("deps", "outs"))
        stages[name] = Stage(stage["cmd"], parameters, inputs, outputs)
    return stages


def parse_description(text: str) -> DataSet | None:
    """Return the description of the data set; None if there are only names, as in the project's first versions."""
    return None if json.loads(text).keys() <= {"dataset", "requested"} else parse_data_set(text.encode())


def leaves(node: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each leaf of a nested mapping."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
