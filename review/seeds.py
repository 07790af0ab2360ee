"""The measurement of a recipe over seeds, and whether it holds for a revision."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifier.files import whole_file
from review.escaping import cell, quote, shorten
from review.results import SPLITS, Trained, recipe_of
from review.statistics import Readings

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


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ, if only in type, or that one of the two lacks."""
    # By repr: 5 == 5.0, and NaN != NaN.
    keys = sorted(one.keys() | other.keys())
    return [key for key in keys if not (key in one and key in other and repr(one[key]) == repr(other[key]))]


def same_recipe(record: Record, side: Trained) -> bool:
    """Whether a record has the data set and the recipe of a revision."""
    return record.dataset == side.dataset and not differing_keys(record.parameters, recipe_of(side.parameters))


def why_stale(record: Record, side: Trained) -> str | None:
    """Say why a record does not hold for a revision, or return None where it does.

    It holds if it has the same recipe and, for the revision's own seed, the same model as dvc.lock: then no change of
    the code has changed the model. In another environment the same code may give other bytes, and for a seed that was
    not measured there is no model; in both cases the files that train reads must be the same.
    """
    if record.dataset != side.dataset:
        return f"it was measured on {quote(record.dataset)}"
    if keys := differing_keys(record.parameters, recipe_of(side.parameters)):
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
    if files := differing_keys(record.training, side.training):
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
    if run is None or side.model is None or differing_environment(record, side):
        return None
    if run.model != side.model:
        alike = not differing_keys(record.training, side.training)
        return f"its seed {run.seed} gave another model from the same files" if alike else None
    for split, loss in run.loss.items():
        if side.metrics.get(f"{split}.loss", loss) != loss:  # without the numbers: test images may be hidden
            return f"it says another {split} loss of the same model than metrics.json"
        if split in side.predictions and not np.array_equal(run.misread[split], side.predictions[split].misread()):
            return f"it says that other {split} images are misread than predictions.csv says of the same model"
    return None


def differing_environment(record: Record, side: Trained) -> list[str]:
    """Return the keys in which the environments of a record and of a revision differ."""
    return differing_keys(record.environment, side.environment)


def listed(names: Iterable[str]) -> str:
    """Join names; of a long list, the first ones and the number of the others."""
    names = list(names)
    more = [f"{len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


def _value(record: Record, key: str) -> str:
    return cell({"base": record.parameters[key]} if key in record.parameters else {}, "base")


MOST_IMAGES = 10**9  # of a split; evaluation/predictions.csv numbers no more
MOST_LOSS = 10**15  # nats, as in evaluation/history.csv; the sum over seeds and its square are numbers as well


def parse_records(text: str) -> list[Record]:
    """Read the file.

    Raises:
        ValueError: it has another form than `review.noise` gives it.
    """
    match json.loads(text):
        case {"recipes": list(recipes)}:
            return [parse_record(each, f"recipe {number}") for number, each in enumerate(recipes, start=1)]
    raise ValueError("expected the key recipes, a list")


def parse_record(each: Any, where: str) -> Record:
    """Check one recipe of the file; `where` is its name in a message.

    Raises:
        ValueError: it has another form.
    """
    match each:
        case {"dataset": str(dataset), "parameters": dict(parameters), **rest}:
            for name in (dataset, *parameters):
                _check(name.isprintable() and bool(name), where, "printable names", name)
        case _:
            raise ValueError(f"{where}: expected the keys dataset, a name, and parameters")
    match rest:
        case {
            "environment": dict(environment),
            "training": dict(training),
            "images": dict(images),
            "looks": list(looks),
            "seeds": list(seeds),
        }:
            pass
        case {"splits": dict()} | {"environment": dict(), "training": dict(), "seeds": list()} if "images" not in rest:
            return Record(dataset, parameters, {}, {}, {}, (), ())
        case _:
            raise ValueError(f"{where}: expected the keys environment, training, images, looks and seeds")
    for name in (*environment, *training):
        _check(name.isprintable() and bool(name), where, "printable names", name)
    for md5 in training.values():
        _check(_is_md5(md5), where, "an MD5 of each file in training", md5)
    _check(bool(training), where, "an MD5 of each file in training", training)
    _check(bool(images) and images.keys() <= set(SPLITS), where, "the splits validation and test in images", images)
    for count in images.values():
        _check(type(count) is int and 0 < count <= MOST_IMAGES, where, "numbers of images", count)
    runs = tuple(_run(run, images, where) for run in seeds)
    numbers = [run.seed for run in runs]
    _check(bool(numbers) and len(set(numbers)) == len(numbers), where, "at least 1 seed, each once", numbers)
    rising = all(type(look) is int and look > 0 for look in looks) and looks == sorted(set(looks))
    rising = rising and looks[-1:] == [len(runs)]
    _check(rising, where, f"looks, rising numbers of seeds up to {len(runs)}", looks)
    return Record(dataset, parameters, environment, training, images, tuple(looks), runs)


def find_recipe(recipes: list[dict[str, Any]], dataset: str, parameters: Mapping[str, Any]) -> int | None:
    """Return the place of a recipe in the list of the file, or None."""
    for place, each in enumerate(recipes):
        if each["dataset"] == dataset and not differing_keys(each["parameters"], parameters):
            return place
    return None


def parse_recipes(text: str) -> list[dict[str, Any]]:
    """Check the file, and return its recipes as JSON gives them. Raises ValueError as `parse_records` does."""
    parse_records(text)
    return list(json.loads(text)["recipes"])


def read_file(path: Path) -> list[dict[str, Any]]:
    """Return the recipes of the file as JSON gives them; none of a missing file.

    Raises:
        ValueError: the file has another form.
    """
    try:
        return parse_recipes(path.read_text(encoding="utf-8")) if path.exists() else []
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}; `git checkout {path}` brings back the committed one") from None


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """Write the record in the place of an older one of the same recipe, and leave those of others as they are.

    Raises:
        ValueError: the file has another form, or the record. OSError: it could not be written.
    """
    parse_record(record, "the record")
    kept: list[Any] = read_file(path)
    place = find_recipe(kept, record["dataset"], record["parameters"])
    if place is None:
        kept.append(record)
    else:
        kept[place] = record
    text = json.dumps({"recipes": kept}, indent=2, allow_nan=False)
    # A list of numbers on one line, so that a seed is a few lines of a diff.
    text = re.sub(r"\[\n\s+([-+\d.eE,\s]+?)\n\s+\]", lambda numbers: f"[{' '.join(numbers[1].split())}]", text)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def _run(each: Any, images: Mapping[str, int], where: str) -> Run:
    match each:
        case {"seed": seed, "model": model, **rest}:
            _check(type(seed) is int and 0 <= seed < 2**32, where, "a seed from 0 to 4294967295", seed)
            _check(_is_md5(model), where, "the MD5 of a model", model)
            _check(rest.keys() & set(SPLITS) == images.keys(), where, "the same splits of each seed", sorted(rest))
            loss = {split: _loss(rest[split], where) for split in images}
            misread = {split: _misread(rest[split], count, where) for split, count in images.items()}
            return Run(seed, model, loss, misread)
    raise ValueError(f"{where}: expected the keys seed and model of each seed")


def _loss(split: Any, where: str) -> float:
    value: Any = split.get("loss") if isinstance(split, dict) else None
    # Compared rather than converted: an int may be larger than any float. NaN is not within limits either.
    fits = type(value) in (int, float) and 0 <= value < MOST_LOSS
    _check(fits, where, "a loss of at least 0 of each seed and split", value)
    return float(value)


def _misread(split: Any, images: int, where: str) -> np.ndarray:
    numbers: Any = split.get("misread")
    fits = isinstance(numbers, list) and all(type(number) is int and 0 <= number < images for number in numbers)
    expected = f"misread images from 0 to {images - 1:,}, ascending"
    _check(fits and numbers == sorted(set(numbers)), where, expected, numbers)
    return np.array(numbers, int)


def _is_md5(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{32}", text) is not None


def _check(holds: bool, where: str, expected: str, found: Any) -> None:
    if not holds:
        raise ValueError(f"{where}: expected {expected}, got {shorten(repr(found))}")
