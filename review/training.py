"""Measure a recipe: train the seeds that are not measured yet, each as a trial, and keep what their models misread."""

import hashlib
import json
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from math import ceil
from pathlib import Path
from shutil import copy
from time import monotonic
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml, modify_yaml
from msgspec.structs import replace

from classifier.command import alone
from classifier.parameters import parse_yaml
from classifier.paths import NOISE, PARAMS, PIPELINE, RAW, SOURCE
from review.escaping import quote
from review.lock import inputs_of_train, read_stages, stage_findings
from review.results import Measured, Record, Results, Run, leaves, name_of, name_recipe, recipe_of
from review.revision import find_commit, read_noise, read_results, read_yaml
from review.seeds import differing_keys, why_stale, why_unused, write_record
from trials.engine import WAIT, WORKERS, Engine
from trials.git import git, snapshot
from trials.trial import Trial
from trials.worker import versions

LIBRARIES = ("numpy", "keras", "tensorflow", "tensorflow-cpu")  # one of the last two is installed
MEASURING = Path(".dvc/tmp/noise.lock")
ALIKE = ("environment", "training", "images")  # of the record of one run; they are the same in the record of all
TRIALS = "refs/exps/*/*/sweep-*"


@dataclass(frozen=True)
class Recipe:
    """The parameters of a recipe by dotted key, its data set and its name, and the code of a revision or this folder.

    `params` is the text of its params.yaml, if not that of `tree`. `identity` names all that the runs depend on, but
    for the seed and the machine.
    """

    parameters: dict[str, Any]
    dataset: str
    name: str
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
    source, stages = read_yaml(held, SOURCE), read_stages(held)
    if "train" not in stages:
        raise ValueError(f"{PIPELINE} has no stage train")
    params = "" if held else _params_of_folder(path, changes, source)
    document = parse_yaml(params.encode()) if params else read_yaml(held, path)
    commit, tree = snapshot(held, but=NOISE)
    parameters, dataset = recipe_of(dict(leaves(document))), source["dataset"]
    pipeline = {name: [stage.command, *sorted(stage.inputs)] for name, stage in stages.items()}
    files = git("ls-tree", "-r", tree, "--", *sorted({path for _, *paths in pipeline.values() for path in paths}))
    known = [parameters, pipeline, files, [*map(versions().get, LIBRARIES)]]
    identity = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return Recipe(parameters, dataset, name_recipe(dataset, parameters), revision, commit, tree, params, identity)


def _params_of_folder(path: Path, changes: Iterable[str], source: dict[str, str]) -> str:
    """Return the text of a params.yaml with changes, for a trial on the data set in data/raw."""
    with changed_params(path, changes) as file:
        with modify_yaml(file) as document:
            match document:
                case {"download": {"dataset": dataset}, "train": dict()}:
                    document["download"] = load_yaml(PARAMS)["download"]  # else a trial would fetch the data set again
                case _:
                    raise ValueError(f"{path}: expected the sections of a params.yaml, download with the key dataset")
        if dataset != source["requested"]:
            raise ValueError(f"{RAW.parent} holds {source['dataset']}, {path} has {dataset}: `dvc repro` first")
        return file.read_text()


@contextmanager
def changed_params(path: Path, changes: Iterable[str]) -> Iterator[Path]:
    """Yield a copy of a params.yaml with changes as `dvc exp run -S` takes them. Raises ValueError for another one."""
    with tempfile.TemporaryDirectory() as folder:
        read_yaml(find_commit(None), path)  # refuses conflicts
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
    meaning = f"for the first worker of the cluster (default: {WAIT})"
    parser.add_argument("--wait", type=int, default=WAIT, metavar="MINUTES", help=meaning)


def place_of(options: Namespace) -> dict[str, Any]:
    """Return what these options say, as `Engine` takes it."""
    return {"scheduler": options.scheduler, "workers": options.workers, "wait": options.wait}


def measure(recipe: Recipe, seeds: Iterable[int], anew: bool = False, **place: Any) -> Record:
    """Train the recipe with the seeds that are not measured yet, or with all anew, and return the record of all.

    Of this folder's recipe the record is written to its file; a revision's is not. `place` is as in `Engine`.
    An OSError has the last line of a stage that failed.
    """
    with alone(MEASURING, "noise", "this folder"):
        records = [] if anew else read_noise(recipe.revision)
        kept = next((record for record in records if record.recipe == recipe.name), None)
        runs = _measured_runs(recipe, sorted(seeds), anew, kept, place)
        looks = kept.looks if kept and not _differences(kept, runs[0]) else ()
        looks, alike = tuple(sorted({*looks, len(runs)})), tuple(run for one in runs for run in one.runs)
        record = replace(runs[0], parameters=recipe.parameters, looks=looks, runs=alike)
        if recipe.revision is None:
            write_record(record)
    return record


def _measured_runs(
    recipe: Recipe, seeds: list[int], anew: bool, kept: Record | None, place: dict[str, Any]
) -> list[Record]:
    """Return records of one run, of each seed and of others that were measured before; train those that are missing.

    A training shows the environment of the workers. The runs of another do not count, so their seeds are trained too.
    """
    known, trained = [] if anew else _known_runs(recipe, seeds, kept), list[Record]()
    if not _alike(known).keys() >= set(seeds):
        with Engine(**place) as engine:
            names = set(_experiments())
            while missing := [seed for seed in seeds if seed not in _alike([*trained, *known])]:
                if kept and (why := why_unused(kept, list(_alike([*trained, *known]).values()))):
                    file = f"{NOISE}/{recipe.name}.json"
                    print(f"noise: the {len(kept.runs)} seeds in {file} are not used: {why}", flush=True)
                    kept = None
                trained += _train(engine, recipe, missing, names)
                if keys := {quote(key) for run in trained for key in _differences(trained[0], run)}:
                    differ = f"{', '.join(sorted(keys))} changed between two trainings"
                    raise ValueError(f"{differ}: measure again, on machines of one kind")
    return [run for _, run in sorted(_alike([*trained, *known]).items())]


def _train(engine: Engine, recipe: Recipe, seeds: list[int], names: set[str]) -> Iterator[Record]:
    """Yield records of the next attempts with these seeds, in the order in which they end; `names` are past trials."""
    print(f"noise: {name_of(recipe.revision)}: training seeds {', '.join(map(str, seeds))}", flush=True)
    start, left = monotonic(), len(seeds)
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
        left -= 1
        minutes = ceil((monotonic() - start) / (len(seeds) - left) * left / 60)
        rest = f"; {left} left, about {minutes} min" if left else ""
        print(f"noise: seed {trials[trial]}: {split} accuracy {accuracy:.4f}{rest}", flush=True)
        yield _run_of(results)


def _known_runs(recipe: Recipe, seeds: list[int], kept: Record | None) -> list[Record]:
    """Return records of one run: of the experiments that are here, of the committed results, of the kept record."""
    names = _experiments()
    latest = [recipe.trial(seed, number - 1).name for seed in seeds if (number := _attempts(recipe, seed, names))]
    runs = [_run_of(read_results(names[name])) for name in latest]
    committed = _committed_results(recipe)
    training: Any = runs[0].training if runs else inputs_of_train(find_commit(recipe.revision))
    holds = kept and kept.training == training
    if committed:
        runs.append(_run_of(committed))
        # The record holds after a change of code, too, that leaves the model's bytes as they were.
        training, holds = committed.training, kept and not why_stale(kept, committed)
    if kept and holds:
        runs += [replace(kept, training=training, looks=(1,), runs=(run,)) for run in kept.runs]
    return runs


def _committed_results(recipe: Recipe) -> Results | None:
    """Return the results of the revision or this folder, if dvc.lock matches them and they are a run of the recipe."""
    try:
        matches = not any(stage_findings(recipe.revision).values())
        results = read_results(recipe.revision)
    except OSError:
        return None
    return results if matches and results.recipe == recipe.name and results.model else None


def _run_of(results: Results) -> Record:
    """Return the record of the one run that these results are of."""
    measured = {
        split: Measured(results.metrics[f"{split}.loss"], tuple(predictions.misread().tolist()))
        for split, predictions in results.predictions.items()
    }
    images: Any = {split: len(predictions.image) for split, predictions in results.predictions.items()}
    run = Run(results.parameters["train.seed"], str(results.model), **measured)
    recipe, machine = recipe_of(results.parameters), (results.environment, results.training)
    return Record(results.dataset, recipe, *machine, images, (1,), (run,))


def _experiments() -> dict[str, str]:
    """Return the commits of the experiments of trials that are here, by name."""
    listed = git("for-each-ref", "--format=%(refname:lstrip=-1) %(objectname)", TRIALS)
    return dict(line.split() for line in listed.splitlines())


def _attempts(recipe: Recipe, seed: int, names: Collection[str]) -> int:
    """Return how many trials with this seed there are among these names."""
    return next(attempt for attempt in count() if recipe.trial(seed, attempt).name not in names)


def _alike(known: list[Record]) -> dict[int, Record]:
    """Return the first run of each seed, without those that differ from the first of all."""
    return {one.runs[0].seed: one for one in reversed(known) if not _differences(one, known[0])}


def _differences(one: Record, other: Record) -> list[str]:
    return [name for key in ALIKE for name in differing_keys(getattr(one, key), getattr(other, key))]
