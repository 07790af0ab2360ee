"""A recipe to train: its parameters, the code of a folder or a revision, and the files that the stage train reads."""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dvc.dependency.param import ParamsDependency

from classifier.files.paths import PARAMS, RAW, SOURCE
from classifier.running.yaml_values import MOST_BYTES, Loader, parse
from review.results.lock import load_lock, load_stages
from review.results.revision import open_repo
from review.results.trained import leaves, recipe_of

RUNS = Path(".dvc/tmp/noise")
ROOMS = ("stages", "classifier")  # the code of the stages


@dataclass(frozen=True)
class Recipe:
    """A params.yaml as a document, the data set in data/raw, and the code at a revision; None is this folder's.

    `project` is the folder that holds the code, `inputs` are the paths of the files that the stage train reads.
    """

    document: dict[str, Any]
    dataset: str
    revision: str | None
    project: Path
    inputs: list[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that make the recipe, by dotted key."""
        return recipe_of(dict(leaves(self.document)))

    def seeded(self, seed: int) -> dict[str, Any]:
        """Return the document with this seed of training."""
        return {**self.document, "train": {**self.document["train"], "seed": seed}}


class Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """PyYAML's safe dumper; it quotes each text that our loader and DVC would read as another value, such as 1e5."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


def load_recipe(path: Path = PARAMS, changes: Iterable[str] = (), revision: str | None = None) -> Recipe:
    """Read a params.yaml of this folder, or of a revision with the code of that revision.

    Args:
        changes: of parameters, as `dvc exp run -S` takes them: "train.epochs=1".

    Raises:
        OSError: there is no such file, or no data set in data/raw.
        ValueError: the file is not a params.yaml, or data/raw holds another data set than it asks for.
    """
    project = Path() if revision is None else _check_out(revision)
    document = _load(project / path)
    for change in changes:
        _set(document, change)
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected texts, numbers, lists and true, false or null: {error}") from None
    return Recipe(document, _dataset(document), revision, project, _inputs(revision))


def dump(document: Mapping[str, Any]) -> str:
    """Write a JSON-like document as YAML that a stage and DVC read with the same values."""
    return str(yaml.dump(dict(document), Dumper=Dumper, sort_keys=False))


def _check_out(revision: str) -> Path:
    """Write the code and params.yaml of a revision into a folder of its own, once."""
    with open_repo(revision) as repo:
        commit = str(repo.get_rev())
    folder = RUNS / f"code-{commit}"
    if not folder.exists():
        git = ["git", "archive", commit, "--", *ROOMS, str(PARAMS)]
        done = subprocess.run(git, capture_output=True, check=False)
        if done.returncode:
            raise OSError(f"{revision}: {done.stderr.decode(errors='replace').strip()}")
        partial = folder.with_name(f".partial-{commit}")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(partial, filter="data")
        partial.rename(folder)
    return folder


def _inputs(revision: str | None) -> list[str]:
    """The files that the stage train reads, according to dvc.yaml."""
    with open_repo(revision) as repo:
        with suppress(FileNotFoundError):
            load_lock(repo)  # DVC would refuse one that is cut off without a way out
        stage = next((stage for stage in load_stages(repo) if stage.name == "train"), None)
        if stage is None:
            raise ValueError("dvc.yaml has no stage train")
        return sorted(dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency))


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = parse(file.read(MOST_BYTES + 1))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; it must be a params.yaml") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    match document:
        case {"download": {"dataset": _}, "train": dict()}:
            pass
        case _:
            raise ValueError(f"{path}: expected the sections of a params.yaml, download with the key dataset")
    return dict(document)


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


def _dataset(document: Mapping[str, Any]) -> str:
    """The name of the data set in data/raw; refused if the recipe needs another."""
    if not SOURCE.exists():
        raise FileNotFoundError(f"{SOURCE} is missing: `dvc repro download` fetches the data set first")
    source = json.loads(SOURCE.read_text())
    wanted = document["download"]["dataset"]
    if source["requested"] != wanted:
        held = f"{RAW.parent} holds {source['dataset']}"
        raise ValueError(f"{held}, the recipe asks for {wanted}: `dvc repro download` first")
    return str(source["dataset"])
