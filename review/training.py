"""Check changes of parameters before anything runs, as the stages check params.yaml."""

import hashlib
import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count, dropwhile, islice
from pathlib import Path
from shutil import copy
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides
from filelock import FileLock

from classifier import command as processes
from classifier.command import one_line
from classifier.parameters import parse_yaml
from classifier.paths import METRICS, NOISE, PARAMS, PROVENANCE, RAW, SOURCE
from review.escaping import quote
from review.lock import Stage, inputs_of_train, read_lock, read_stages, stage_findings
from review.results import Trained, leaves, recipe_of
from review.revision import find_commit, read_file, read_trained
from review.seeds import (
    Record,
    contradiction,
    differing_keys,
    find_recipe,
    listed,
    parse_recipes,
    parse_record,
    why_stale,
    write_record,
)
from trials.engine import WORKERS, Engine
from trials.git import git, snapshot
from trials.trial import Trial

# A section is checked by the class Parameters of the stage with its name, if there is one.
CHECK = """
import importlib, sys
from pathlib import Path
from classifier.parameters import parse_yaml, read_section
for path in sys.argv[1:]:
    for section in parse_yaml(Path(path).read_bytes()):
        stage = Path(f"stages/{section}.py")
        if not stage.exists() or "class Parameters" not in stage.read_text():
            continue
        try:
            read_section(section, importlib.import_module(f"stages.{section}").Parameters, Path(path))
        except ValueError as error:
            sys.exit(str(error).replace(path, "params.yaml"))
"""


def check_parameters(changes: Iterable[str]) -> None:
    """Check each change of a parameter as the stage would.

    Raises:
        ValueError: there is no such parameter, or the stage refuses the value.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, change in enumerate(sorted(set(changes))):
            paths.append(path := Path(folder) / f"{number}.yaml")
            copy(PARAMS, path)
            try:
                apply_overrides(path, [change])
            except DvcException as error:
                why = str(error.__cause__ or error).splitlines()[0]
                raise ValueError(f"-S {change}: expected KEY=VALUE of a parameter in {PARAMS}: {why}") from None
        command = [sys.executable, "-c", CHECK, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(one_line(done.stderr.strip().rpartition("\n")[2]))


LIBRARIES = ("numpy", "keras", "tensorflow")


@dataclass(frozen=True)
class Recipe:
    """The parameters of a recipe by dotted key, the name of its data set, and the code of a revision or this folder.

    `changes` turn the params.yaml of `tree` into the recipe, but for the seed. `stages` are train and those after it.
    `identity` names all that the runs depend on, but for the seed and the machine.
    """

    parameters: dict[str, Any]
    dataset: str
    revision: str | None
    commit: str
    tree: str
    changes: tuple[str, ...]
    stages: tuple[str, ...]
    identity: str

    def trial(self, seed: int, attempt: int = 0) -> Trial:
        """Return a trial with this seed; all attempts but the first train even if dvc.lock has the results."""
        changes = (*self.changes, f"train.seed={seed}")
        name = f"{self.identity} {seed} {attempt}"
        return Trial(self.commit, self.tree, changes, name, forced=self.stages if attempt else ())


def load_recipe(path: Path = PARAMS, changes: Iterable[str] = (), revision: str | None = None) -> Recipe:
    """Read a params.yaml of this folder, or the one of a revision with the code and the data of that revision.

    Args:
        changes: of parameters of this folder's file, as `dvc exp run -S` takes them: "train.epochs=1".

    Raises:
        OSError: there is no such file, no data set in data/raw, or no commit.
        ValueError: the file is not a params.yaml, or data/raw holds another data set than it asks for.
    """
    if revision is None:
        document = _load(path)
        for change in changes:
            _set(document, change)
        try:
            json.dumps(document, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: expected texts, numbers, lists and true, false or null: {error}") from None
        dataset = _dataset(document, "the recipe")
    held = find_commit(revision)
    with suppress(FileNotFoundError):
        read_lock(held)  # DVC would refuse one that is cut off without a way out
    stages = read_stages(held)
    if held is not None:
        document, dataset = _parse(read_file(held, path), path), _dataset_of(held)
    following = tuple(dropwhile(lambda name: name != "train", stages))
    if not following:
        raise ValueError("dvc.yaml has no stage train")
    commit, tree = snapshot(revision, {} if revision else _committed(NOISE))
    parameters = recipe_of(dict(leaves(document)))
    written: tuple[str, ...] = ()
    if revision is None:
        _dataset(_load(PARAMS), str(PARAMS))  # else a trial would fetch that data set
        written = changes_of(PARAMS, parameters)
    identity = _identity_of(parameters, stages, tree)
    return Recipe(parameters, dataset, revision, commit, tree, written, following, identity)


def changes_of(path: Path, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the changes that give the params.yaml at `path` these parameters, as `dvc exp run -S` takes them.

    Raises:
        ValueError: they cannot be written in this way.
    """
    old = recipe_of(dict(leaves(_load(path))))
    changes = []
    for key in differing_keys(old, parameters):
        if key in parameters:
            changes.append(f"{'' if key in old else '+'}{key}={json.dumps(parameters[key], ensure_ascii=False)}")
        else:
            changes.append(f"~{key}")
    if changes:
        with tempfile.TemporaryDirectory() as folder:
            changed = Path(folder) / PARAMS
            changed.write_bytes(path.read_bytes())
            with suppress(DvcException):
                apply_overrides(changed, changes)
            if keys := differing_keys(recipe_of(dict(leaves(_load(changed)))), parameters):
                raise ValueError(f"`dvc exp run -S` cannot set {listed(keys)}: write them into {path}")
    return tuple(changes)


def _identity_of(parameters: Mapping[str, Any], stages: Mapping[str, Stage], tree: str) -> str:
    """Name the recipe, the stages with their code and data in Git, and the libraries."""
    pipeline = {name: [stage.command, *sorted(stage.inputs)] for name, stage in stages.items()}
    files = git("ls-tree", "-r", tree, "--", *sorted({path for _, *paths in pipeline.values() for path in paths}))
    known = [parameters, pipeline, files, [version(name) for name in LIBRARIES]]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _committed(path: Path) -> dict[str, bytes]:
    """The committed file, which a measurement itself has changed since; none if there is none."""
    with suppress(FileNotFoundError):
        return {str(path): read_file("HEAD", path)}
    return {}


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return _parse(file.read(), path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; it must be a params.yaml") from None


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = parse_yaml(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    match document:
        case {"download": {"dataset": _}, "train": dict()}:
            return dict(document)
    raise ValueError(f"{path}: expected the sections of a params.yaml, download with the key dataset")


def _set(document: dict[str, Any], change: str) -> None:
    """Change the parameter of "train.epochs=1" in the document; its value is read as in params.yaml."""
    key, sign, text = change.partition("=")
    section, _, name = key.partition(".")
    if not sign or not isinstance(document.get(section), dict) or name not in document[section]:
        raise ValueError(f"-S {change}: expected SECTION.KEY=VALUE of a parameter in params.yaml")
    try:
        value = parse_yaml(text.encode())
    except ValueError as error:
        raise ValueError(f"-S {change}: {error}") from None
    document[section] = {**document[section], name: value}


def _dataset(document: Mapping[str, Any], name: str) -> str:
    """The name of the data set in data/raw; refused if the document of this name needs another."""
    if not SOURCE.exists():
        raise FileNotFoundError(f"{SOURCE} is missing: `dvc repro download` fetches the data set first")
    source = json.loads(SOURCE.read_text())
    wanted = document["download"]["dataset"]
    if source["requested"] != wanted:
        held = f"{RAW.parent} holds {source['dataset']}"
        raise ValueError(f"{held}, {name} asks for {wanted}: `dvc repro download` first")
    return str(source["dataset"])


def _dataset_of(revision: str) -> str:
    """The name of the data set of a revision; in the project's first versions, the file of the data was not in Git."""
    with suppress(FileNotFoundError):
        return str(json.loads(read_file(revision, SOURCE))["dataset"])
    return str(json.loads(read_file(revision, PROVENANCE))["dataset"])


LOCKS = Path(".dvc/tmp/noise")
ALIKE = ("environment", "training", "images")  # what all runs of one record have in common
TRIALS = "refs/exps/*/*/sweep-*"
TIMED = range(100)  # the seeds whose trials say how long a training takes

Run = dict[str, Any]


def measure(
    recipe: Recipe, seeds: Iterable[int], anew: bool = False, scheduler: str | None = None, workers: int = WORKERS
) -> Record:
    """Train the recipe with the seeds that are not measured yet, and return the record of all that are.

    Of this folder's recipe the record is written to evaluation/seed_noise.json; a revision's is not.

    Args:
        anew: train the seeds that are measured as well.
        scheduler, workers: where the trials run, as in `Engine`.

    Raises:
        OSError: a stage refused or failed (the message is its last line), or another process measures this recipe.
        ValueError: the environments of two trainings differ, or the file has another form.
    """
    with processes.alone(LOCKS / f"{recipe.identity}.lock", "noise", "this folder with this recipe"):
        runs = _measure(recipe, sorted(seeds), anew, scheduler, workers)
    record = {
        "dataset": recipe.dataset,
        "parameters": recipe.parameters,
        **{key: runs[0][key] for key in ALIKE},
        "looks": [len(runs)],
        "seeds": [{key: value for key, value in run.items() if key not in ALIKE} for run in runs],
    }
    if recipe.revision is None:
        with FileLock(LOCKS / "keep.lock"):  # another recipe may be measured beside this one
            old = _in_file(recipe)
            if old and not anew and not _unlike(old, record):
                record["looks"] = sorted({*old["looks"], len(runs)})
            write_record(record, NOISE)
    return parse_record(record, str(NOISE))


def add_places(parser: ArgumentParser) -> None:
    """Add the options that say where trials run."""
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run on the Dask cluster at tcp://HOST:8786")
    told = f"trials at a time on this machine (default: {WORKERS})"
    parser.add_argument("--workers", type=at_least_one, default=WORKERS, metavar="N", help=told)


def at_least_one(text: str) -> int:
    """Return the whole number that an argument of a command is.

    Raises:
        ArgumentTypeError: it is less than 1. ValueError: it is no whole number.
    """
    if (number := int(text)) < 1:
        raise ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def seconds_a_seed(recipe: Recipe) -> float | None:
    """Return how long a trial of this recipe took, in the mean; None if there was none."""
    stored = _stored()
    trials = [stored[name] for seed in TIMED if (name := recipe.trial(seed).name) in stored]
    return sum(seconds for _, seconds in trials) / len(trials) if trials else None


def _measure(recipe: Recipe, seeds: list[int], anew: bool, scheduler: str | None, workers: int) -> list[Run]:
    """Return a run for each seed, and for the others that were measured before; train those that are missing.

    A training shows the environment of the workers. The runs of another do not count, so their seeds are trained too.
    """
    stored = _stored()
    latest = {} if anew else {seed: attempts - 1 for seed in seeds if (attempts := _attempts(recipe, seed, stored))}
    known = [_run(recipe, seed, stored[recipe.trial(seed, last).name][0]) for seed, last in latest.items()]
    shown = known[0]["training"] if known else None
    if not anew:
        found, training = _earlier(recipe)
        shown = shown or training
        known += [run for run in found if shown is None or not differing_keys(run["training"], shown)]
    # If it is not known what a training would read, one training shows whether the runs in the file are of this code.
    missing = _missing(seeds, known) or ([] if shown else seeds[:1])
    whose = f", {quote(recipe.revision)}" if recipe.revision else ""
    if missing:
        told = f" of {seeds[0]} to {seeds[-1]}{whose}: training"
        with Engine(scheduler, workers) as engine:
            taken = set(stored)
            if anew:  # a colleague may have trained them anew, too
                taken |= {line.rpartition("/")[2] for line in git("ls-remote", engine.origin, TRIALS).splitlines()}
            last: Run | None = None
            missing = missing[: 1 if known else None]  # one shows whether the known runs count
            while missing:
                for run in _train(engine, recipe, missing, taken, told):
                    if last and (names := _unlike(last, run)):
                        both = f"seeds {last['seed']} and {run['seed']}"
                        differ = f"{listed(map(quote, names))} changed between the trainings of {both}"
                        raise ValueError(f"{differ}: measure again, on machines of one kind")
                    known.insert(0, run)
                    last = run
                missing = _missing(seeds, known)
    runs = _alike(known)
    for seed, run in sorted(runs.items()):
        split, images = next(iter(run["images"].items()))  # test images are for the end
        print(f"noise: seed {seed}{whose}: {split} accuracy {1 - len(run[split]['misread']) / images:.4f}", flush=True)
    return [runs[seed] for seed in sorted(runs)]


def _train(engine: Engine, recipe: Recipe, seeds: list[int], taken: set[str], told: str) -> Iterator[Run]:
    """Yield the runs of the next attempts with these seeds, in the order in which they end; `taken` are past trials."""
    trials = {recipe.trial(seed, _attempts(recipe, seed, taken)): seed for seed in seeds}
    there = engine.fetch(trials)  # on a cluster, others may have trained them
    starting = (f"noise: seed {seed}{told}" for trial, seed in trials.items() if trial not in there)
    for line in islice(starting, engine.workers):
        print(line, flush=True)
    for ended in engine.run(trials):
        if ended.revision is None:
            raise OSError(ended.reason)
        taken.add(ended.trial.name)
        for line in islice(starting, ended.trial not in there):
            print(line, flush=True)
        yield _run(recipe, trials[ended.trial], ended.revision)


def _stored() -> dict[str, tuple[str, int]]:
    """The experiments of trials that are here: the commit of each, and how many seconds it took, by name."""
    form = "--format=%(refname:lstrip=-1) %(objectname) %(authordate:unix) %(committerdate:unix)"
    lines = [line.split() for line in git("for-each-ref", form, TRIALS).splitlines()]
    return {name: (commit, int(end) - int(start)) for name, commit, start, end in lines}


def _attempts(recipe: Recipe, seed: int, names: Collection[str]) -> int:
    """How many trials with this seed there are among these names."""
    return next(attempt for attempt in count() if recipe.trial(seed, attempt).name not in names)


def _missing(seeds: list[int], known: list[Run]) -> list[int]:
    return [seed for seed in seeds if seed not in _alike(known)]


def _alike(known: list[Run]) -> dict[int, Run]:
    """The first run of each seed, without those that differ from the first of all."""
    return {run["seed"]: run for run in reversed(known) if not _unlike(run, known[0])}


def _unlike(one: Run, other: Run) -> list[str]:
    return [name for key in ALIKE for name in differing_keys(one[key], other[key])]


def _run(recipe: Recipe, seed: int, revision: str) -> Run:
    """The run that an experiment holds."""
    side = read_trained(revision)
    if side.dataset != recipe.dataset:
        raise ValueError(f"seed {seed} was trained on {side.dataset}, expected {recipe.dataset}")
    if lacking := [f"{split}.loss" for split in side.predictions if f"{split}.loss" not in side.metrics]:
        raise ValueError(f"{METRICS} has no {lacking[0]}: the code of this recipe is too old to be measured")
    return _as_run(side, seed)


def _as_run(side: Trained, seed: int) -> Run:
    read = {
        split: {"loss": side.metrics[f"{split}.loss"], "misread": found.misread().tolist()}
        for split, found in side.predictions.items()
    }
    images = {split: len(found.image) for split, found in side.predictions.items()}
    return {
        "seed": seed,
        "model": side.model,
        **read,
        "environment": side.environment,
        "training": side.training,
        "images": images,
    }


def _earlier(recipe: Recipe) -> tuple[list[Run], dict[str, str | None] | None]:
    """The committed results, if they are a run of this recipe, and the runs in evaluation/seed_noise.json.

    Also the MD5s of the files that a training would read, if dvc.lock has them.
    """
    kept = _in_file(recipe)
    runs = [run | {key: kept[key] for key in ALIKE} for run in kept["seeds"]] if kept else []
    same_data = all(change.startswith("train.") for change in recipe.changes)
    training = inputs_of_train(recipe.revision) if same_data else None
    try:
        side = read_trained(recipe.revision)
        matches = not any(stage_findings(recipe.revision).values())
    except (OSError, ValueError):
        return runs, training
    seed = side.parameters.get("train.seed")
    complete = all(f"{split}.loss" in side.metrics for split in side.predictions)
    same = side.dataset == recipe.dataset and not differing_keys(recipe_of(side.parameters), recipe.parameters)
    if kept and matches and same:
        record = parse_record(kept, str(NOISE))
        if why_stale(record, side) is None:
            # A change of code that leaves the model's bytes as they were leaves those of the other seeds, too.
            runs = [run | {"training": side.training} for run in runs]
        elif contradiction(record, side):
            runs = []  # the same model is read in another way than it was
    if matches and same and side.model and type(seed) is int and complete:
        runs.insert(0, _as_run(side, seed))
    return runs, training


def _in_file(recipe: Recipe) -> dict[str, Any] | None:
    """The recipe's record in evaluation/seed_noise.json, as it stands there; None of an older form."""
    try:
        kept = parse_recipes(read_file(recipe.revision, NOISE).decode("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{NOISE} of {recipe.revision or 'this folder'}: {error}") from None
    place = find_recipe(kept, recipe.dataset, recipe.parameters)
    return kept[place] if place is not None and "images" in kept[place] else None
