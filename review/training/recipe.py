"""A recipe to measure: its parameters and data set, and the trials of sweep.engine that train it."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import dropwhile
from pathlib import Path
from typing import Any

import yaml
from dvc.dependency.param import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.hydra import apply_overrides

from classifier.files.paths import NOISE, PARAMS, PROVENANCE, RAW, SOURCE
from classifier.running.git import git, snapshot
from classifier.running.trial import Trial
from classifier.running.yaml_values import MOST_BYTES, parse
from review.results.lock import load_lock, load_stages
from review.results.record import listed, unlike
from review.results.revision import MOST, open_repo, read
from review.results.trained import leaves, recipe_of

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
    with open_repo(revision) as repo:
        with suppress(FileNotFoundError):
            load_lock(repo)  # DVC would refuse one that is cut off without a way out
        stages = load_stages(repo)
        if revision is not None:
            document, dataset = _parse(read(repo, path, MOST_BYTES), path), _dataset_of(repo)
    following = tuple(str(stage.name) for stage in dropwhile(lambda stage: stage.name != "train", stages))
    if not following:
        raise ValueError("dvc.yaml has no stage train")
    commit, tree = snapshot(revision, {} if revision else _committed(NOISE))
    parameters = recipe_of(dict(leaves(document)))
    written: tuple[str, ...] = ()
    if revision is None:
        _dataset(_load(PARAMS), str(PARAMS))  # else a trial would fetch that data set
        written = changes_of(PARAMS, parameters)
    identity = _identity(parameters, stages, tree)
    return Recipe(parameters, dataset, revision, commit, tree, written, following, identity)


def changes_of(path: Path, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the changes that give the params.yaml at `path` these parameters, as `dvc exp run -S` takes them.

    Raises:
        ValueError: they cannot be written in this way.
    """
    old = recipe_of(dict(leaves(_load(path))))
    changes = []
    for key in unlike(old, parameters):
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
            if keys := unlike(recipe_of(dict(leaves(_load(changed)))), parameters):
                raise ValueError(f"`dvc exp run -S` cannot set {listed(keys)}: write them into {path}")
    return tuple(changes)


def _identity(parameters: Mapping[str, Any], stages: list[PipelineStage], tree: str) -> str:
    """Name the recipe, the stages with their code and data in Git, and the libraries."""
    pipeline = {
        stage.name: [stage.cmd, *sorted(dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency))]
        for stage in stages
    }
    files = git("ls-tree", "-r", tree, "--", *sorted({path for _, *paths in pipeline.values() for path in paths}))
    known = [parameters, pipeline, files, [version(name) for name in LIBRARIES]]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _committed(path: Path) -> dict[str, bytes]:
    """The committed file, which a measurement itself has changed since; none if there is none."""
    with open_repo("HEAD") as repo, suppress(FileNotFoundError):
        return {str(path): read(repo, path, MOST)}
    return {}


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return _parse(file.read(MOST_BYTES + 1), path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; it must be a params.yaml") from None


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = parse(content)
    except (yaml.YAMLError, ValueError) as error:
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
        value = parse(text.encode())
    except (yaml.YAMLError, ValueError) as error:
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


def _dataset_of(repo: Repo) -> str:
    """The name of the data set of a revision; in the project's first versions, the file of the data was not in Git."""
    with suppress(FileNotFoundError):
        return str(json.loads(read(repo, SOURCE, MOST))["dataset"])
    return str(json.loads(read(repo, PROVENANCE, MOST))["dataset"])
