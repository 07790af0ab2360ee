"""What the files of a run say: its parameters, metrics, predictions, history and provenance, and its dvc.lock.

Each `parse_...` reads the text of one file. Where that has another form than its stage gives it, it raises ValueError,
TypeError, KeyError or AttributeError.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from classifier.data.data_set import DataSet, parse_data_set
from classifier.parameters import parse_yaml
from review.escaping import shorten

SPLITS = ("validation", "test")  # the first is for model selection, the second for the final estimate


@dataclass(frozen=True)
class Predictions:
    """A model's predictions on one split: int arrays (n,), one row an image, by ascending image."""

    image: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray

    def misread(self) -> np.ndarray:
        """The numbers of the images that are misread: int (errors,), ascending."""
        misread: np.ndarray = self.image[self.actual != self.predicted]
        return misread


@dataclass(frozen=True)
class Entry:
    """What dvc.lock recorded of a stage: parameters as "params.yaml:train.epochs", and the MD5 of each file by path."""

    command: Any
    parameters: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Trained:
    """The training behind a model, the model's MD5 in dvc.lock, its metrics, and its predictions by split.

    `training` has the MD5 of each file that the stage train read, according to dvc.lock; `steps` has those of export
    and evaluate, without the models, and the commands of all three. They are empty and `model` is None if dvc.lock has
    no stage train. `train_images` is how many images trained the model.
    """

    dataset: str
    train_images: int
    parameters: dict[str, Any]
    environment: dict[str, Any]
    training: dict[str, str]
    steps: dict[str, str]
    model: str | None
    metrics: dict[str, float]
    predictions: dict[str, Predictions]


def recipe_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a recipe: all but the seed of training and the section download."""
    return {key: value for key, value in parameters.items() if key != "train.seed" and not key.startswith("download.")}


def parse_predictions(text: str) -> dict[str, Predictions]:
    """Return the predictions of each split that there is."""
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    tables = {
        split: np.array([[int(row[column]) for column in ("image", "actual", "predicted")] for row in rows_of_split])
        for split in SPLITS
        if (rows_of_split := [row for row in rows if row["split"] == split])
    }
    if not tables or sum(map(len, tables.values())) < len(rows):
        raise ValueError("expected rows of the splits validation and test")
    for split, table in tables.items():
        if table.min() < 0 or len(np.unique(table[:, 0])) < len(table):
            raise ValueError(f"expected numbers of at least 0 and each {split} image once")
    tables = {split: table[table[:, 0].argsort()] for split, table in tables.items()}
    return {split: Predictions(*table.T) for split, table in tables.items()}


def parse_parameters(text: str) -> dict[str, Any]:
    """Return each parameter by its dotted key, with the value that DVC sees."""
    document = parse_yaml(text)
    if not isinstance(document, dict | None):
        raise ValueError("expected sections of keys")
    return dict(leaves(document or {}))


def parse_metrics(text: str) -> dict[str, float]:
    """Return each metric by its dotted key."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("expected metrics by split")
    metrics = dict(leaves(document))
    for key, value in metrics.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{key} must be a number, got {shorten(repr(value), 60)}")
    return metrics


def parse_provenance(text: str) -> tuple[str, int, dict[str, Any]]:
    """Return the data set that the model saw, how many images of it trained the model, and all else by dotted key."""
    match json.loads(text):
        case {"dataset": str(dataset), "images": {"train": int(images)}, **environment} if dataset.isprintable():
            return dataset, images, dict(leaves(environment))
    raise ValueError("expected the keys dataset, a name, and images.train, a whole number")


def parse_lock(text: str) -> dict[str, Entry]:
    """Return what dvc.lock recorded of each stage."""
    stages = parse_yaml(text)["stages"] or {}
    return {
        name: Entry(
            entry["cmd"],
            {f"{file}:{key}": value for file, part in entry.get("params", {}).items() for key, value in leaves(part)},
            {file["path"]: file["md5"] for file in entry.get("deps", [])},
            {file["path"]: file["md5"] for file in entry.get("outs", [])},
        )
        for name, entry in stages.items()
    }


def parse_history(text: str) -> dict[str, list[float]]:
    """Return accuracy and loss of each epoch, in order, and of the validation images where there were any."""
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    history = {}
    for name in ("accuracy", "loss", "validation_accuracy", "validation_loss"):
        validation = name.startswith("validation")  # blank where there are no validation images
        if not (validation and all(not row.get(name) for row in rows)):
            history[name] = [float(row[name]) for row in rows]
    if not rows or not all(math.isfinite(value) for values in history.values() for value in values):
        raise ValueError("expected numbers in a row for each epoch")
    return history


def parse_description(text: str) -> list[DataSet]:
    """Return the description of the data set; none if there are only names, as in the project's first versions."""
    document = json.loads(text)
    if isinstance(document, dict) and document.keys() == {"dataset", "requested"}:
        return []
    return [parse_data_set(text.encode())]


def leaves(node: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each leaf of a nested mapping."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
