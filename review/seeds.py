"""The measurement of a recipe over seeds, and whether it holds for a revision."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from classifier.files import save
from classifier.paths import NOISE
from review.escaping import cell, quote
from review.results import Record, Results, recipe_of

MOST_NAMED = 5  # parameters, files or keys in one sentence


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ, if only in type, or that one of the two lacks."""
    both = one.keys() & other.keys()
    return sorted(key for key in one.keys() | other.keys() if key not in both or repr(one[key]) != repr(other[key]))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Name the keys whose values differ, each with both: `kernels` `avx2` -> `avx512_core`; "" where none does."""
    values = ((key, *(str(of.get(key, "absent")) for of in (one, other))) for key in differing_keys(one, other))
    return listed(f"{quote(key)} {quote(old)} -> {quote(new)}" for key, old, new in values)


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
    if reason := contradiction(record, side):
        return reason
    run = record.run(side.parameters.get("train.seed"))
    if run and run.model == side.model:
        return None
    if not side.training:
        return "`dvc.lock` does not say what trained the model"
    if files := differing_keys(record.training, side.training):
        if machines := differences(record.environment, side.environment):
            return f"it comes from another machine ({machines}), and no model shows that it holds for this code"
        return f"it was measured with other files: {listed(map(quote, files))}"
    return None


def why_unused(kept: Record, runs: list[Record]) -> str:
    """Say why none of these records of one run is of the kept record; "" if one is."""
    if not runs:
        return "the files that train reads have changed"
    if any(run.runs[0] in kept.runs and run.environment == kept.environment for run in runs):
        return ""
    if machines := differences(kept.environment, runs[0].environment):
        return f"they come from another machine ({machines})"
    return f"they were trained with other files: {listed(map(quote, differing_keys(kept.training, runs[0].training)))}"


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
    for split in record.images:
        measured = run.on(split)
        if side.metrics.get(f"{split}.loss", measured.loss) != measured.loss:  # no numbers: tests may be hidden
            return f"it says another {split} loss of the same model than metrics.json"
        if split in side.predictions and not np.array_equal(measured.misread, side.predictions[split].misread()):
            return f"it says that other {split} images are misread than predictions.csv says of the same model"
    return None


def listed(names: Iterable[str]) -> str:
    """Join names; of a long list, the first ones and the number of the others."""
    names = list(names)
    more = [f"{len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


def write_record(record: Record) -> None:
    """Write the file of the recipe, or replace it. Raises OSError if it cannot be written."""
    text = json.dumps(msgspec.to_builtins(record), indent=2, allow_nan=False)
    # A list of numbers on one line, so that a seed is a few lines of a diff.
    text = re.sub(r"\[\n\s+([-+\d.eE,\s]+?)\n\s+\]", lambda numbers: f"[{' '.join(numbers[1].split())}]", text)
    save(NOISE / f"{record.recipe}.json", text + "\n")
