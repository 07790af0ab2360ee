"""evaluation/predictions.csv of a revision: which images of each split its model misreads."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from classifier.parameters import parse_yaml
from classifier.paths import MODEL, ONNX
from review.escaping import brief

SPLITS = ("validation", "test")  # the first is for model selection, the second for the final estimate

COLUMNS = {  # the form of each, and its name
    "split": ("validation|test", "validation or test"),
    "image": ("[0-9]{1,9}", "a whole number"),
    "actual": ("[0-9]{1,3}", "the number of a class, 0 to 999"),
    "predicted": ("[0-9]{1,3}", "the number of a class, 0 to 999"),
    "confidence": (r"0(\.[0-9]+)?|1(\.0+)?", "a number from 0 to 1"),
}


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


def parse_predictions(text: str) -> dict[str, Predictions]:
    """Return the predictions of each split that there is.

    Raises:
        ValueError, csv.Error: the text has another form than evaluate gives it.
    """
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for where, row in rows(text, COLUMNS, COLUMNS):
        images = found.setdefault(row["split"], {})
        if int(row["image"]) in images:
            raise ValueError(f"{where}: {row['split']} image {row['image']} was predicted before")
        images[int(row["image"])] = (int(row["actual"]), int(row["predicted"]))
    if not found:
        raise ValueError("expected a row for each image, found none")
    return {split: _by_image(found[split]) for split in SPLITS if split in found}


def rows(
    text: str, required: Iterable[str], forms: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the line and the cells of each row of a CSV file, those of the columns in `forms`, each of its form."""
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(table, [])
    if absent := [column for column in required if column not in header]:
        raise ValueError(f"column {absent[0]} is missing; expected are {','.join(required)}")
    for cells in table:
        where = f"line {table.line_num}"
        if len(cells) != len(header):
            raise ValueError(f"{where}: expected {len(header)} cells, found {len(cells)}")
        row = {column: cell for column, cell in zip(header, cells, strict=True) if column in forms}
        for column, cell in row.items():
            form, expected = forms[column]
            if not re.fullmatch(form, cell):
                raise ValueError(f"{where}: {column} must be {expected}, got {brief(cell)}")
        yield where, row


def _by_image(images: Mapping[int, tuple[int, int]]) -> Predictions:
    table = np.array([(image, *images[image]) for image in sorted(images)])
    return Predictions(table[:, 0], table[:, 1], table[:, 2])


MOST_KEY = 200  # characters of a dotted key


@dataclass(frozen=True)
class Trained:
    """The training behind a model, the model's MD5 in dvc.lock, its metrics, and its predictions by split.

    `training` has the MD5 of each file that the stage train read, according to dvc.lock; `steps` has those of export
    and evaluate, without the models, and the commands of all three. They are empty and `model` is None if dvc.lock has
    no stage train.
    """

    dataset: str
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


def parse_parameters(text: str) -> dict[str, Any]:
    """Return each parameter by its dotted key, with the value that DVC sees."""
    document = parse_yaml(text.encode())
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
        # Half the largest float: the difference of two is a number as well. This refuses NaN and infinity too.
        if type(value) not in (int, float) or not abs(value) <= sys.float_info.max / 2:
            raise ValueError(f"{key} must be a number, got {brief(value)}")
    return metrics


def parse_provenance(text: str) -> tuple[str, int, dict[str, Any]]:
    """Return the data set that the model saw, how many images of it trained the model, and all else by dotted key."""
    match json.loads(text):
        case {"dataset": str(dataset), "images": {"train": int(images)}, **environment} if dataset.isprintable():
            return dataset, images, dict(leaves(environment))
    raise ValueError("expected the keys dataset, a name, and images.train, a whole number")


def parse_lock(text: str) -> tuple[dict[str, str], dict[str, str], str | None]:
    """Return `training`, `steps` and `model` of a `Trained`."""

    def md5s(files: Any) -> dict[str, str]:
        found = [each for each in files if isinstance(each, dict)] if isinstance(files, list) else []
        return {str(each.get("path")): str(each.get("md5")) for each in found}

    match parse_yaml(text.encode()):
        case {"stages": {"train": {"deps": deps, "outs": outs, **train}, **others}}:
            steps = {"train": str(train.get("cmd"))}
            for name in ("export", "evaluate"):  # older pipelines have no export
                if isinstance(entry := others.get(name), dict):
                    steps |= {name: str(entry.get("cmd")), **md5s(entry.get("deps"))}
            models = {str(MODEL), str(ONNX)}
            return md5s(deps), {key: steps[key] for key in steps if key not in models}, md5s(outs).get(str(MODEL))
    return {}, {}, None


def leaves(node: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each leaf of a nested mapping.

    Raises:
        ValueError: a key has more than MOST_KEY characters; repeated in many dotted keys it would fill memory.
    """
    for key, value in node.items():
        name = key if isinstance(key, str) and key.isprintable() else repr(key)
        if len(prefix) + len(name) > MOST_KEY:
            raise ValueError(f"expected keys of at most {MOST_KEY} characters, found {brief(prefix + name)}")
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
