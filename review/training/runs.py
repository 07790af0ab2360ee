"""Train a recipe with several seeds in a folder of its own, and keep what each model misreads.

A seed is trained once: those that evaluation/seed_noise.json or the committed results have from the same code, data and
environment are used, and runs that ended before an interruption too.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from classifier.files.paths import METRICS, MODEL, NOISE, PARAMS, PREDICTIONS, PROVENANCE, RAW
from classifier.files.whole_file import whole_file
from classifier.model import runtime
from classifier.running import processes
from classifier.running.integrity import digest
from review.results.lock import check
from review.results.predictions import Predictions, parse_predictions
from review.results.record import Record, contradiction, listed, stale, unlike
from review.results.revision import MOST, load_trained, open_repo, read
from review.results.seed_noise import find, keep, parse_file, parse_record
from review.results.trained import parse_metrics, parse_provenance, recipe_of
from review.training.recipe import ROOMS, RUNS, Recipe, dump
from review.wording.escaping import quote

LIBRARIES = ("numpy", "keras", "tensorflow")
ALIKE = ("environment", "training", "images")  # what all runs of one record have in common
LOCAL = ("seconds", *ALIKE)  # of a run, but not kept for each seed

Run = dict[str, Any]


def measure(recipe: Recipe, seeds: Iterable[int], anew: bool = False) -> Record:
    """Train the recipe with the seeds that are not measured yet, and return the record of all that are.

    Of this folder's recipe the record is written to evaluation/seed_noise.json; a revision's is not.

    Args:
        anew: train the seeds that are measured as well.

    Raises:
        OSError: a stage refused or failed (the message is its last line), or another process measures this recipe.
        ValueError: the environment changed from one training to the next, or the file has another form.
    """
    folder = RUNS / identity(recipe)
    with processes.alone(folder / "noise.lock", "noise", str(folder)):
        if anew:
            for path in folder.glob("seed-*.json"):
                path.unlink()
        runs = _train(folder, recipe, sorted(seeds), [] if anew else _earlier(recipe))
    record = {
        "dataset": recipe.dataset,
        "parameters": recipe.parameters,
        **{key: runs[0][key] for key in ALIKE},
        "looks": [len(runs)],
        "seeds": [{key: value for key, value in run.items() if key not in LOCAL} for run in runs],
    }
    if recipe.revision is None:
        with FileLock(RUNS / "keep.lock"):  # another recipe may be measured beside this one
            old = _in_file(recipe)
            if old and not anew and not _unlike(old, record):
                record["looks"] = sorted({*old["looks"], len(runs)})
            keep(record, NOISE)
    return parse_record(record, str(NOISE))


def seconds_a_seed(recipe: Recipe) -> float | None:
    """Return how long a training of this recipe took here, in the mean; None if none took place here."""
    runs = _ended(RUNS / identity(recipe))
    return sum(run["seconds"] for run in runs) / len(runs) if runs else None


def identity(recipe: Recipe) -> str:
    """Name what the runs depend on: the recipe, the code of the stages, the data set, libraries and processor."""
    machine = [version(name) for name in LIBRARIES]
    machine += [sys.platform, runtime.level(runtime.instruction_sets()), str(runtime.threads())]
    hashed = hashlib.sha256(json.dumps([recipe.parameters, recipe.inputs, machine], sort_keys=True).encode())
    code = [path for room in ROOMS for path in (recipe.project / room).rglob("*.py")]
    for path in sorted(code):
        hashed.update(f"{path.relative_to(recipe.project)} {digest(path)}\n".encode())
    for path in sorted(path for path in RAW.parent.iterdir() if not path.name.startswith(".")):
        hashed.update(f"{path} {digest(path)}\n".encode())
    return hashed.hexdigest()[:16]


def _train(folder: Path, recipe: Recipe, seeds: list[int], earlier: list[Run]) -> list[Run]:
    """Return a run for each seed, and for the others that were measured before; train those that are missing.

    A training shows the environment of this machine. The runs of another do not count, so their seeds are trained too.
    """
    ended = [run for run in _ended(folder) if run["seed"] in seeds]
    complete = len(_alike(ended)) == len(seeds)
    training = ended[0]["training"] if complete else _prepare(folder, recipe)
    known = [*ended, *(run for run in earlier if not unlike(run["training"], training))]
    whose = f", {quote(recipe.revision)}" if recipe.revision else ""
    last: Run | None = None
    while missing := [seed for seed in seeds if seed not in _alike(known)]:
        print(f"noise: seed {missing[0]} of {seeds[0]} to {seeds[-1]}{whose}: training", flush=True)
        run = _run_seed(folder, recipe, missing[0], training)
        with whole_file(folder / f"seed-{missing[0]}.json") as partial:
            partial.write_text(json.dumps(run, indent=2) + "\n")
        if last and (names := _unlike(last, run)):
            both = f"seeds {last['seed']} and {run['seed']}"
            raise ValueError(f"{listed(map(quote, names))} changed between the trainings of {both}: measure again")
        last = run
        known.insert(0, run)
    runs = _alike(known)
    for name in ("data", "models"):  # the rest is small, and enough to add more seeds later
        shutil.rmtree(folder / name, ignore_errors=True)
    for seed, run in sorted(runs.items()):
        split, images = next(iter(run["images"].items()))  # test images are for the end
        print(f"noise: seed {seed}{whose}: {split} accuracy {1 - len(run[split]['misread']) / images:.4f}", flush=True)
    return [runs[seed] for seed in sorted(runs)]


def _alike(known: list[Run]) -> dict[int, Run]:
    """The first run of each seed, without those that differ from the first of all."""
    return {run["seed"]: run for run in reversed(known) if not _unlike(run, known[0])}


def _ended(folder: Path) -> list[Run]:
    """The runs that took place here; those of an older form lack what is needed of them."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("seed-*.json"))]
    return [run for run in runs if "images" in run]


def _prepare(folder: Path, recipe: Recipe) -> dict[str, str]:
    """Lay out the folder and preprocess; return the MD5 of each file that the stage train reads."""
    _lay_out(folder, recipe)
    _run(folder, "preprocess", recipe.document)
    return {name: digest(folder / name) for name in recipe.inputs}


def _run_seed(folder: Path, recipe: Recipe, seed: int, training: Mapping[str, str]) -> Run:
    start = time.monotonic()
    for stage in ("train", "export", "evaluate"):
        if (folder / f"stages/{stage}.py").exists():  # an older revision has no export
            _run(folder, stage, recipe.seeded(seed))
    seconds = time.monotonic() - start
    metrics = parse_metrics((folder / METRICS).read_text())
    _, _, environment = parse_provenance((folder / PROVENANCE).read_text())
    predictions = parse_predictions((folder / PREDICTIONS).read_text())
    if lacking := [f"{split}.loss" for split in predictions if f"{split}.loss" not in metrics]:
        raise ValueError(f"{METRICS} has no {lacking[0]}: the code of this recipe is too old to be measured")
    losses = {split: metrics[f"{split}.loss"] for split in predictions}
    return _as_run(seed, digest(folder / MODEL), losses, predictions, environment, training) | {"seconds": seconds}


def _as_run(
    seed: int,
    model: str,
    losses: Mapping[str, float],
    predictions: Mapping[str, Predictions],
    environment: Mapping[str, Any],
    training: Mapping[str, str],
) -> Run:
    read = {split: {"loss": losses[split], "misread": found.misread().tolist()} for split, found in predictions.items()}
    images = {split: len(found.image) for split, found in predictions.items()}
    return {
        "seed": seed,
        "model": model,
        **read,
        "environment": dict(environment),
        "training": dict(training),
        "images": images,
    }


def _earlier(recipe: Recipe) -> list[Run]:
    """The committed results, if they are a run of this recipe, and the runs in evaluation/seed_noise.json."""
    kept = _in_file(recipe)
    runs = [run | {key: kept[key] for key in ALIKE} for run in kept["seeds"]] if kept else []
    with open_repo(recipe.revision) as repo:
        try:
            side, _ = load_trained(repo, recipe.revision)
            matches = not any(reasons for _, reasons in check(repo))
        except (OSError, ValueError):
            return runs
    seed = side.parameters.get("train.seed")
    losses = {split: side.metrics.get(f"{split}.loss") for split in side.predictions}
    found = {split: loss for split, loss in losses.items() if loss is not None}
    same = side.dataset == recipe.dataset and not unlike(recipe_of(side.parameters), recipe.parameters)
    if kept and matches and same:
        record = parse_record(kept, str(NOISE))
        if stale(record, side) is None:
            # A change of code that leaves the model's bytes as they were leaves those of the other seeds, too.
            runs = [run | {"training": side.training} for run in runs]
        elif contradiction(record, side):
            runs = []  # the same model is read in another way than it was
    if matches and same and side.model and type(seed) is int and found.keys() == losses.keys():
        runs.insert(0, _as_run(seed, side.model, found, side.predictions, side.environment, side.training))
    return runs


def _in_file(recipe: Recipe) -> dict[str, Any] | None:
    """The recipe's record in evaluation/seed_noise.json, as it stands there; None of an older form."""
    with open_repo(recipe.revision) as repo:
        try:
            kept = parse_file(read(repo, NOISE, MOST).decode("utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{NOISE} of {recipe.revision or 'this folder'}: {error}") from None
    place = find(kept, recipe.dataset, recipe.parameters)
    return kept[place] if place is not None and "images" in kept[place] else None


def _unlike(one: Run, other: Run) -> list[str]:
    return [name for key in ALIKE for name in unlike(one[key], other[key])]


def _lay_out(folder: Path, recipe: Recipe) -> None:
    """Copy the code and the raw data into the folder of the runs."""
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for name in ROOMS:
        shutil.copytree(recipe.project / name, folder / name, dirs_exist_ok=True, ignore=ignore)
    shutil.copytree(RAW.parent, folder / RAW.parent, dirs_exist_ok=True, ignore=ignore)


def _run(folder: Path, stage: str, document: Mapping[str, Any]) -> None:
    (folder / PARAMS).write_text(dump(document), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    environment[processes.STARTER] = str(os.getpid())
    command = [sys.executable, "-E", "-m", f"stages.{stage}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError((done.stderr.splitlines() or [f"{stage}: ended with {done.returncode}"])[-1])
