"""The measurement of a recipe over seeds, and whether it holds for a revision."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from classifier.files import whole_file
from review.escaping import cell, quote
from review.results import Record, Results, Run, recipe_of

MOST_NAMED = 5  # parameters, files or keys in one sentence


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ, if only in type, or that one of the two lacks."""
    both = one.keys() & other.keys()
    return sorted(key for key in one.keys() | other.keys() if key not in both or repr(one[key]) != repr(other[key]))


def same_recipe(record: Record, side: Results) -> bool:
    """Whether a record has the data set and the recipe of a revision."""
    return record.dataset == side.dataset and not differing_keys(record.parameters, recipe_of(side.parameters))


def why_stale(record: Record, side: Results) -> str | None:
    """Say why a record does not hold for a revision, or return None where it does.

    It holds if it has the same recipe and, for the revision's own seed, the same model as dvc.lock: then no change of
    the code has changed the model. In another environment the same code may give other bytes, and for a seed that was
    not measured there is no model; in both cases the files that train reads must be the same.
    """
    if record.dataset != side.dataset:
        return f"it was measured on {quote(record.dataset)}"
    if keys := differing_keys(record.parameters, recipe_of(side.parameters)):
        return f"it was measured at {listed(f'{quote(key)} {cell(record.parameters, key)}' for key in keys)}"
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


def contradiction(record: Record, side: Results) -> str | None:
    """Say why a record of a revision's recipe contradicts the revision, or return None if it does not.

    One recipe reads the same images. In one environment a seed gives the same model from the same files, and a model
    the same predictions.
    """
    for split, images in record.images.items():
        if split in side.predictions and (count := len(side.predictions[split].image)) != images:
            return f"it says {images:,} {split} images, of which predictions.csv has {count:,}"
    run = record.run(side.parameters.get("train.seed"))
    if run is None or side.model is None or differing_keys(record.environment, side.environment):
        return None
    if run.model != side.model:
        same_files = not differing_keys(record.training, side.training)
        return f"its seed {run.seed} gave another model from the same files" if same_files else None
    for split, loss in run.loss.items():
        if side.metrics.get(f"{split}.loss", loss) != loss:  # without the numbers: test images may be hidden
            return f"it says another {split} loss of the same model than metrics.json"
        if split in side.predictions and not np.array_equal(run.misread[split], side.predictions[split].misread()):
            return f"it says that other {split} images are misread than predictions.csv says of the same model"
    return None


def listed(names: Iterable[str]) -> str:
    """Join names; of a long list, the first ones and the number of the others."""
    names = list(names)
    more = [f"{len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


def parse_records(text: str) -> list[Record]:
    """Read evaluation/seed_noise.json. Raises ValueError if it has another form than `review.noise` gives it."""
    return [parse_record(recipe, "recipe") for recipe in parse_recipes(text)]


def parse_recipes(text: str) -> list[dict[str, Any]]:
    """Return the recipes of the file as JSON gives them. Raises ValueError as `parse_records` does."""
    match json.loads(text):
        case {"recipes": list(recipes)}:
            for number, recipe in enumerate(recipes, start=1):
                parse_record(recipe, f"recipe {number}")
            return recipes
    raise ValueError("expected the key recipes, a list")


def parse_record(recipe: Any, where: str) -> Record:
    """Check one recipe of the file; `where` is its name in a message. Raises ValueError if it has another form."""
    match recipe:
        case {
            "dataset": str(dataset),
            "parameters": dict(parameters),
            "environment": dict(environment),
            "training": dict(training),
            "images": dict(images),
            "looks": list(looks),
            "seeds": list(seeds),
        }:
            try:
                runs = tuple(_run(run, images) for run in seeds)
                _refuse_impossible_runs(images, looks, runs)
            except (KeyError, ValueError, TypeError) as error:
                raise ValueError(f"{where}: {type(error).__name__}: {error}") from None
            return Record(dataset, parameters, environment, training, images, tuple(looks), runs)
        case {"dataset": str(dataset), "parameters": dict(parameters)} if "images" not in recipe:
            return Record(dataset, parameters, {}, {}, {}, (), ())  # an older form
    raise ValueError(f"{where}: expected the keys dataset, parameters, environment, training, images, looks and seeds")


def find_recipe(recipes: list[dict[str, Any]], dataset: str, parameters: Mapping[str, Any]) -> int | None:
    """Return the place of a recipe in the list of the file, or None."""
    for place, recipe in enumerate(recipes):
        if recipe["dataset"] == dataset and not differing_keys(recipe["parameters"], parameters):
            return place
    return None


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """Write the record in the place of an older one of the same recipe, and leave those of others as they are.

    Raises:
        ValueError: the file has another form, or the record. OSError: it could not be written.
    """
    parse_record(record, "the record")
    try:
        recipes = parse_recipes(path.read_text(encoding="utf-8")) if path.exists() else []
    except ValueError as error:
        raise ValueError(f"{path}: {error}; `git checkout {path}` brings back the committed one") from None
    if (place := find_recipe(recipes, record["dataset"], record["parameters"])) is None:
        recipes.append(dict(record))
    else:
        recipes[place] = dict(record)
    text = json.dumps({"recipes": recipes}, indent=2, allow_nan=False)
    # A list of numbers on one line, so that a seed is a few lines of a diff.
    text = re.sub(r"\[\n\s+([-+\d.eE,\s]+?)\n\s+\]", lambda numbers: f"[{' '.join(numbers[1].split())}]", text)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def _run(run: Mapping[str, Any], images: Mapping[str, int]) -> Run:
    loss = {split: float(run[split]["loss"]) for split in images}
    return Run(run["seed"], run["model"], loss, {split: np.array(run[split]["misread"], int) for split in images})


def _refuse_impossible_runs(images: Mapping[str, int], looks: list[int], runs: tuple[Run, ...]) -> None:
    seeds = [run.seed for run in runs]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError("expected at least 1 seed, each once")
    if looks != sorted(set(looks)) or looks[-1:] != [len(runs)]:
        raise ValueError(f"expected looks, rising numbers of seeds up to {len(runs)}")
    for split, count in images.items():
        for run in runs:
            if not run.loss[split] >= 0 or not np.all(np.diff(run.misread[split], prepend=-1, append=count) > 0):
                raise ValueError(f"expected a loss and misread {split} images from 0 to {count - 1:,}, ascending")
