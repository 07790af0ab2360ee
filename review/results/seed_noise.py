"""evaluation/seed_noise.json: which images the models of each recipe misread, seed by seed.

Accuracies, means and deviations are not kept: they are computed from these images.

    {"recipes": [{
      "dataset": "mnist",
      "parameters": {"train.epochs": 2, ...}, those of `recipe_of`,
      "environment": {"kernels": "avx2", ...}, what models/provenance.json says beside the data set, by dotted key,
      "training": {"stages/train.py": MD5, ...}, each file that the stage train reads, as dvc.lock has it,
      "images": {"validation": 5000, "test": 10000}; validation images may be switched off,
      "looks": [5, 10], how many seeds there were each time that seeds were added,
      "seeds": [{
        "seed": 0,
        "model": MD5 of models/model.keras,
        "validation": {"loss": 0.054, "misread": [7, 450, ...]}, the images' numbers, ascending; and so "test"
      }, ...]
    }, ...]}

Older forms lack "images". They are read, but hold for no revision.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from classifier.files.whole_file import whole_file
from review.results.predictions import SPLITS
from review.results.record import Record, Run, unlike
from review.wording.escaping import shorten

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


def find(recipes: list[dict[str, Any]], dataset: str, parameters: Mapping[str, Any]) -> int | None:
    """Return the place of a recipe in the list of the file, or None."""
    for place, each in enumerate(recipes):
        if each["dataset"] == dataset and not unlike(each["parameters"], parameters):
            return place
    return None


def parse_file(text: str) -> list[dict[str, Any]]:
    """Check the file, and return its recipes as JSON gives them. Raises ValueError as `parse_records` does."""
    parse_records(text)
    return list(json.loads(text)["recipes"])


def read_file(path: Path) -> list[dict[str, Any]]:
    """Return the recipes of the file as JSON gives them; none of a missing file.

    Raises:
        ValueError: the file has another form.
    """
    try:
        return parse_file(path.read_text(encoding="utf-8")) if path.exists() else []
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}; `git checkout {path}` brings back the committed one") from None


def keep(record: Mapping[str, Any], path: Path) -> None:
    """Write the record in the place of an older one of the same recipe, and leave those of others as they are.

    Raises:
        ValueError: the file has another form, or the record. OSError: it could not be written.
    """
    parse_record(record, "the record")
    kept: list[Any] = read_file(path)
    place = find(kept, record["dataset"], record["parameters"])
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
