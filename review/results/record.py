"""evaluation/seed_noise.json: what `review.noise` measured of each recipe, and whether it holds for a revision.

Means and deviations are not kept: they are computed from the values of the seeds.

    {"recipes": [{
      "dataset": "mnist",
      "parameters": {"train.epochs": 2, ...}, those of `recipe_of`,
      "environment": {"kernels": "avx2", ...}, what models/provenance.json says beside the data set, by dotted key,
      "training": {"stages/train.py": MD5, ...}, each file that the stage train reads, as dvc.lock has it,
      "seeds": [{
        "seed": 0,
        "model": MD5 of models/model.keras,
        "validation": {"accuracy": 0.9934, "loss": 0.054}, and so "test"; validation images may be switched off
      }, ...]
    }, ...]}

An older form had "splits" with their means and deviations in place of the last three keys. It is read, but does not say
what trained its models, so it holds for no revision.
"""

import json
import re
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.files.whole_file import whole_file
from review.results.trained import Trained, recipe_of
from review.statistics.paired import Spread
from review.wording.escaping import quote, shorten
from review.wording.notation import shown

SPLITS = ("validation", "test")  # the first is for model selection, the second for the final estimate
LARGEST = {"accuracy": 1, "loss": sys.float_info.max}  # of each metric; the smallest is 0

MOST_NAMED = 5  # parameters, files or keys in one sentence


@dataclass(frozen=True)
class Run:
    """A recipe trained with one seed: the MD5 of the model, and its accuracy and loss by split."""

    seed: int
    model: str
    metrics: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Record:
    """The measurement of one recipe, with at least two runs; a record in the older form has none."""

    dataset: str
    parameters: dict[str, Any]
    environment: dict[str, Any]
    training: dict[str, str]
    runs: tuple[Run, ...]

    def run(self, seed: Any) -> Run | None:
        """Return the run with this seed, if there is one."""
        return next((run for run in self.runs if run.seed == seed), None)

    def spread(self, split: str) -> Spread | None:
        """Return mean and sample standard deviation of accuracy in a split, or None where it was not measured."""
        values = [run.metrics[split]["accuracy"] for run in self.runs if split in run.metrics]
        return Spread(statistics.fmean(values), statistics.stdev(values), len(values)) if values else None


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

    In one environment a seed gives the same model from the same files, and a model the same metrics.
    """
    run = record.run(side.parameters.get("train.seed"))
    if run is None or side.model is None or elsewhere(record, side):
        return None
    if run.model != side.model:
        alike = not unlike(record.training, side.training)
        return f"its seed {run.seed} gave another model from the same files" if alike else None
    for split, metrics in run.metrics.items():
        for name, value in metrics.items():
            found = side.metrics.get(f"{split}.{name}", value)
            if found != value:
                told, measured = shorten(repr(value)), shorten(repr(found))
                return f"it says {split} {name} {told} of the model of which metrics.json says {measured}"
    return None


def elsewhere(record: Record, side: Trained) -> list[str]:
    """Return the keys in which the environments of a record and of a revision differ."""
    return unlike(record.environment, side.environment)


def listed(names: Iterable[str]) -> str:
    """Join names; of a long list, the first ones and the number of the others."""
    names = list(names)
    more = [f"{len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


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
        case {"environment": dict(environment), "training": dict(training), "seeds": list(seeds)}:
            pass
        case {"splits": dict()}:
            return Record(dataset, parameters, {}, {}, ())
        case _:
            raise ValueError(f"{where}: expected the keys environment, training and seeds")
    for name in (*environment, *training):
        _check(name.isprintable() and bool(name), where, "printable names", name)
    for md5 in training.values():
        _check(_is_md5(md5), where, "an MD5 of each file in training", md5)
    _check(bool(training), where, "an MD5 of each file in training", training)
    runs = tuple(_run(run, where) for run in seeds)
    numbers = [run.seed for run in runs]
    _check(len(numbers) > 1 and len(set(numbers)) == len(numbers), where, "at least 2 seeds, each once", numbers)
    splits = [list(run.metrics) for run in runs]
    _check(all(each == splits[0] != [] for each in splits), where, "the same splits of each seed", splits)
    return Record(dataset, parameters, environment, training, runs)


def keep(record: Mapping[str, Any], path: Path) -> None:
    """Write the record in the place of an older one of the same recipe, and leave those of others as they are.

    Raises:
        ValueError: the file has another form, or the record. OSError: it could not be written.
    """
    new = parse_record(record, "the record")
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else '{"recipes": []}'
        records = parse_records(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}; `git checkout {path}` brings back the committed one") from None
    kept = json.loads(text)["recipes"]
    places = [
        place
        for place, old in enumerate(records)
        if old.dataset == new.dataset and not unlike(old.parameters, new.parameters)
    ]
    if places:
        kept[places[0]] = record
    else:
        kept.append(record)
    with whole_file(path) as partial:
        partial.write_text(json.dumps({"recipes": kept}, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _run(each: Any, where: str) -> Run:
    match each:
        case {"seed": seed, "model": model, **rest}:
            _check(type(seed) is int and 0 <= seed < 2**32, where, "a seed from 0 to 4294967295", seed)
            _check(_is_md5(model), where, "the MD5 of a model", model)
            return Run(seed, model, {split: _metrics(rest[split], where) for split in SPLITS if split in rest})
    raise ValueError(f"{where}: expected the keys seed and model of each seed")


def _metrics(metrics: Any, where: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, largest in LARGEST.items():
        value: Any = metrics.get(name) if isinstance(metrics, dict) else None
        # Compared rather than converted: an int may be larger than any float. NaN is not within limits either.
        fits = type(value) in (int, float) and 0 <= value <= largest
        _check(fits, where, f"{name} from 0 to {largest:g} of each seed and split", value)
        found[name] = value
    return found


def _is_md5(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{32}", text) is not None


def _check(holds: bool, where: str, expected: str, found: Any) -> None:
    if not holds:
        raise ValueError(f"{where}: expected {expected}, got {shorten(repr(found))}")


def _value(record: Record, key: str) -> str:
    return shown({"base": record.parameters[key]} if key in record.parameters else {}, "base")
