"""Measure a recipe: train the seeds that are not measured yet, each as a trial, and keep what their models misread."""

import hashlib
import json
import tempfile
from argparse import ArgumentParser
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from shutil import copy
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml, modify_yaml

from classifier.command import alone
from classifier.parameters import parse_yaml
from classifier.paths import NOISE, PARAMS, PIPELINE, RAW, SOURCE
from review.escaping import quote
from review.lock import inputs_of_train, read_stages, stage_findings
from review.results import Record, Results, leaves, name_of, recipe_of
from review.revision import find_commit, read_file, read_results
from review.seeds import differing_keys, find_recipe, parse_recipes, parse_record, why_stale, write_record
from trials.engine import WORKERS, Engine
from trials.git import git, snapshot
from trials.trial import Trial

LIBRARIES = ("numpy", "keras", "tensorflow")
MEASURING = Path(".dvc/tmp/noise.lock")
ALIKE = ("environment", "training", "images")  # what all runs of one record have in common
TRIALS = "refs/exps/*/*/sweep-*"

Run = dict[str, Any]  # a seed as evaluation/seed_noise.json has it, with the keys of ALIKE


@dataclass(frozen=True)
class Recipe:
    """The parameters of a recipe by dotted key, the name of its data set, and the code of a revision or this folder.

    `params` is the text of its params.yaml, if not that of `tree`. `identity` names all that the runs depend on, but
    for the seed and the machine.
    """

    parameters: dict[str, Any]
    dataset: str
    revision: str | None
    commit: str
    tree: str
    params: str
    identity: str

    def trial(self, seed: int, attempt: int) -> Trial:
        """Return a trial with this seed, which trains even if dvc.lock has the results, perhaps of another machine."""
        name = f"{self.identity} {seed} {attempt}"
        return Trial(self.commit, self.tree, (f"train.seed={seed}",), name, self.params, forced="train")


def load_recipe(path: Path = PARAMS, changes: Iterable[str] = (), revision: str | None = None) -> Recipe:
    """Read a params.yaml of this folder and apply changes, or read that of a revision with its code and its data."""
    held = find_commit(revision)
    if not held and not SOURCE.exists():
        raise FileNotFoundError(f"{SOURCE} is missing: `dvc repro download` fetches the data set first")
    source, stages = json.loads(read_file(held, SOURCE)), read_stages(held)
    if "train" not in stages:
        raise ValueError(f"{PIPELINE} has no stage train")
    params = "" if held else _params_of_folder(path, changes, source)
    document = parse_yaml(params or read_file(held, path))
    commit, tree = snapshot(held, but=NOISE)
    parameters = recipe_of(dict(leaves(document)))
    pipeline = {name: [stage.command, *sorted(stage.inputs)] for name, stage in stages.items()}
    files = git("ls-tree", "-r", tree, "--", *sorted({path for _, *paths in pipeline.values() for path in paths}))
    known = [parameters, pipeline, files, [version(name) for name in LIBRARIES]]
    identity = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return Recipe(parameters, source["dataset"], revision, commit, tree, params, identity)


def _params_of_folder(path: Path, changes: Iterable[str], source: dict[str, str]) -> str:
    """Return the text of a params.yaml with changes, for a trial on the data set in data/raw."""
    match load_yaml(path):
        case {"download": {"dataset": _}, "train": dict()}:
            pass
        case _:
            raise ValueError(f"{path}: expected the sections of a params.yaml, download with the key dataset")
    with changed_params(path, changes) as file:
        with modify_yaml(file) as document:
            dataset = document["download"]["dataset"]
            document["download"] = load_yaml(PARAMS)["download"]  # else a trial would fetch the data set again
        if dataset != source["requested"]:
            raise ValueError(f"{RAW.parent} holds {source['dataset']}, {path} has {dataset}: `dvc repro` first")
        return file.read_text()


@contextmanager
def changed_params(path: Path, changes: Iterable[str]) -> Iterator[Path]:
    """Yield a copy of a params.yaml with changes as `dvc exp run -S` takes them. Raises ValueError for another one."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(copy(path, Path(folder) / PARAMS))
        for change in changes:
            try:
                apply_overrides(copied, [change])
            except DvcException as error:
                why = str(error.__cause__ or error).splitlines()[0]
                raise ValueError(f"-S {change}: expected KEY=VALUE of a parameter in {path}: {why}") from None
        yield copied


def add_places(parser: ArgumentParser) -> None:
    """Add the options that say where trials run."""
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run on the Dask cluster at tcp://HOST:8786")
    meaning = f"trials at a time on this machine (default: {WORKERS})"
    parser.add_argument("--workers", type=int, default=WORKERS, metavar="N", help=meaning)


def measure(
    recipe: Recipe, seeds: Iterable[int], anew: bool = False, scheduler: str | None = None, workers: int = WORKERS
) -> Record:
    """Train the recipe with the seeds that are not measured yet, or with all anew, and return the record of all.

    Of this folder's recipe the record is written to evaluation/seed_noise.json; a revision's is not. `scheduler` and
    `workers` are as in `Engine`. An OSError has the last line of a stage that failed.
    """
    with alone(MEASURING, "noise", "this folder"):
        runs = _measured_runs(recipe, sorted(seeds), anew, scheduler, workers)
        kept = _kept_record(recipe)
        looks = kept["looks"] if kept and not anew and not _differences(kept, runs[0]) else []
        record = {
            "dataset": recipe.dataset,
            "parameters": recipe.parameters,
            **{key: runs[0][key] for key in ALIKE},
            "looks": sorted({*looks, len(runs)}),
            "seeds": [{key: value for key, value in run.items() if key not in ALIKE} for run in runs],
        }
        if recipe.revision is None:
            write_record(record, NOISE)
    return parse_record(record, str(NOISE))


def _measured_runs(recipe: Recipe, seeds: list[int], anew: bool, scheduler: str | None, workers: int) -> list[Run]:
    """Return a run for each seed, and for the others that were measured before; train those that are missing.

    A training shows the environment of the workers. The runs of another do not count, so their seeds are trained too.
    """
    known, trained = [] if anew else _known_runs(recipe, seeds), list[Run]()
    if not _alike(known).keys() >= set(seeds):
        with Engine(scheduler, workers) as engine:
            names = set(_experiments())
            while missing := [seed for seed in seeds if seed not in _alike([*trained, *known])]:
                trained += _train(engine, recipe, missing, names)
                if keys := {quote(key) for run in trained for key in _differences(trained[0], run)}:
                    differ = f"{', '.join(sorted(keys))} changed between two trainings"
                    raise ValueError(f"{differ}: measure again, on machines of one kind")
    return [run for _, run in sorted(_alike([*trained, *known]).items())]


def _train(engine: Engine, recipe: Recipe, seeds: list[int], names: set[str]) -> Iterator[Run]:
    """Yield the runs of the next attempts with these seeds, in the order in which they end; `names` are past trials."""
    print(f"noise: {name_of(recipe.revision)}: training seeds {', '.join(map(str, seeds))}", flush=True)
    trials = {recipe.trial(seed, _attempts(recipe, seed, names)): seed for seed in seeds}
    for trial, commit, reason in engine.run(trials):
        if commit is None:
            raise OSError(reason)
        names.add(trial.name)
        results = read_results(commit)
        if results.dataset != recipe.dataset:
            raise ValueError(f"seed {trials[trial]} was trained on {results.dataset}, expected {recipe.dataset}")
        split, predictions = next(iter(results.predictions.items()))  # test images are for the end
        accuracy = 1 - len(predictions.misread()) / len(predictions.image)
        print(f"noise: seed {trials[trial]}: {split} accuracy {accuracy:.4f}", flush=True)
        yield _run_of(results)


def _known_runs(recipe: Recipe, seeds: list[int]) -> list[Run]:
    """Return the runs of experiments that are here, the committed one, and those in evaluation/seed_noise.json."""
    names = _experiments()
    latest = [recipe.trial(seed, number - 1).name for seed in seeds if (number := _attempts(recipe, seed, names))]
    runs = [_run_of(read_results(names[name])) for name in latest]
    committed, kept = _committed_results(recipe), _kept_record(recipe)
    training: Any = runs[0]["training"] if runs else inputs_of_train(find_commit(recipe.revision))
    holds = kept and kept["training"] == training
    if committed:
        runs.append(_run_of(committed))
        # The record holds after a change of code, too, that leaves the model's bytes as they were.
        training, holds = committed.training, kept and not why_stale(parse_record(kept, str(NOISE)), committed)
    if holds:
        runs += [{**run, **{key: kept[key] for key in ALIKE}, "training": training} for run in kept["seeds"]]
    return runs


def _committed_results(recipe: Recipe) -> Results | None:
    """Return the results of the revision or this folder, if dvc.lock matches them and they are a run of the recipe."""
    try:
        matches = not any(stage_findings(recipe.revision).values())
        results = read_results(recipe.revision)
    except OSError:
        return None
    same = results.dataset == recipe.dataset and not differing_keys(recipe_of(results.parameters), recipe.parameters)
    return results if matches and same and results.model else None


def _kept_record(recipe: Recipe) -> Run:
    """Return the recipe's record in evaluation/seed_noise.json as it stands there; empty if there is none."""
    try:
        recipes = parse_recipes(read_file(find_commit(recipe.revision), NOISE).decode())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{NOISE} of {name_of(recipe.revision)}: {error}") from None
    place = find_recipe(recipes, recipe.dataset, recipe.parameters)
    return {} if place is None or "images" not in recipes[place] else recipes[place]


def _run_of(results: Results) -> Run:
    measured = {
        split: {"loss": results.metrics[f"{split}.loss"], "misread": predictions.misread().tolist()}
        for split, predictions in results.predictions.items()
    }
    images = {split: len(predictions.image) for split, predictions in results.predictions.items()}
    machine = {"environment": results.environment, "training": results.training, "images": images}
    return {"seed": results.parameters["train.seed"], "model": results.model, **measured, **machine}


def _experiments() -> dict[str, str]:
    """Return the commits of the experiments of trials that are here, by name."""
    listed = git("for-each-ref", "--format=%(refname:lstrip=-1) %(objectname)", TRIALS)
    return dict(line.split() for line in listed.splitlines())


def _attempts(recipe: Recipe, seed: int, names: Collection[str]) -> int:
    """Return how many trials with this seed there are among these names."""
    return next(attempt for attempt in count() if recipe.trial(seed, attempt).name not in names)


def _alike(known: list[Run]) -> dict[int, Run]:
    """Return the first run of each seed, without those that differ from the first of all."""
    return {run["seed"]: run for run in reversed(known) if not _differences(run, known[0])}


def _differences(one: Run, other: Run) -> list[str]:
    return [name for key in ALIKE for name in differing_keys(one[key], other[key])]
