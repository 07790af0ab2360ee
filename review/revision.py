"""Read files and results of a revision, or of this folder; Git holds them all, so no data, cache or remote is needed.

A revision is a commit, branch, tag or DVC experiment; None stands for the files in this folder.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from classifier.data.data_set import DataSet
from classifier.paths import HISTORY, LOCK, METRICS, MODEL, NOISE, ONNX, PARAMS, PREDICTIONS, PROVENANCE, SOURCE
from review.escaping import quote
from review.results import (
    Entry,
    Trained,
    parse_description,
    parse_history,
    parse_lock,
    parse_metrics,
    parse_parameters,
    parse_predictions,
    parse_provenance,
)
from review.seeds import Record, parse_records

EXPERIMENTS = "refs/exps/*/*/"  # where DVC keeps its experiments, each under its name

T = TypeVar("T")


@dataclass(frozen=True)
class Results(Trained):
    """One side of a comparison; `revision` is the user's name for it, None for this folder.

    `history` maps names such as "loss" and "validation_loss" to a value for each epoch; it may be empty. `data_set` is
    None for revisions whose data/raw/dataset.json is not in Git, as in the project's first versions.
    """

    revision: str | None
    commit: str | None
    noise: list[Record]
    history: dict[str, list[float]]
    data_set: DataSet | None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, or numbers if they are not known."""
        count = 1 + max(int(max(split.actual.max(), split.predicted.max())) for split in self.predictions.values())
        if self.data_set and len(self.data_set.classes) >= count:
            return self.data_set.classes
        return tuple(map(str, range(count)))

    @property
    def name(self) -> str:
        return name_of(self.revision)


def read_results(revision: str | None) -> Results:
    """Read the results of a revision or of this folder.

    Raises:
        OSError: there are no predictions or no provenance, or no Git repository.
        ValueError: there is no such revision, or a file has another form than its stage gives it.
    """
    trained = read_trained(revision)
    source = _Source(revision, find_commit(revision))
    descriptions = source.parse(SOURCE, parse_description, missing=list[DataSet]())
    return Results(
        **vars(trained),
        revision=revision,
        commit=source.commit,
        noise=source.parse(NOISE, parse_records, missing=list[Record]()),
        history=source.parse(HISTORY, parse_history, missing=dict[str, list[float]]()),
        data_set=next((data_set for data_set in descriptions if data_set.name == trained.dataset), None),
    )


def read_trained(revision: str | None) -> Trained:
    """Read what a revision or this folder holds of its model; for the errors see `read_results`."""
    source = _Source(revision, find_commit(revision))
    predictions = source.parse(PREDICTIONS, parse_predictions)
    dataset, train_images, environment = source.parse(PROVENANCE, parse_provenance)
    stages = source.parse(LOCK, parse_lock, missing=dict[str, Entry]())
    train = stages.get("train")
    steps: dict[str, str] = {}
    for name in ("train", "export", "evaluate") if train else ():
        if name in stages:  # older pipelines have no export
            steps |= {name: str(stages[name].command)} | (stages[name].inputs if name != "train" else {})
    return Trained(
        dataset=dataset,
        train_images=train_images,
        parameters=source.parse(PARAMS, parse_parameters, missing=dict[str, Any]()),
        environment=environment,
        training=train.inputs if train else {},
        steps={key: value for key, value in steps.items() if key not in (str(MODEL), str(ONNX))},
        model=train.outputs.get(str(MODEL)) if train else None,
        metrics=source.parse(METRICS, parse_metrics, missing=dict[str, float]()),
        predictions=predictions,
    )


def find_commit(revision: str | None) -> str | None:
    """Return the hash of the commit that a revision names; None for this folder.

    Raises:
        ValueError: there is no such revision. OSError: there is no Git repository, or it belongs to another user.
    """
    if revision is None:
        return None
    done = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode == 0:
        return done.stdout.decode().strip()
    _refuse_folder(done.stderr.decode(errors="replace"))
    experiments = _git("for-each-ref", "--format=%(objectname)", f"{EXPERIMENTS}{revision}").stdout.decode().split()
    if len(experiments) > 1:
        raise ValueError(f"{len(experiments)} experiments have the name {quote(revision)}: name the commit of one")
    if not experiments:
        raise ValueError(f"unknown Git revision '{revision}'")
    return experiments[0]


def read_file(commit: str | None, path: str | Path) -> bytes:
    """Return the bytes of a file at a commit, as Git holds them, or with None of a file in this folder.

    `git cat-file` applies no filters: with core.autocrlf, others would give text files other bytes.

    Raises:
        FileNotFoundError: there is no such file or commit.
    """
    if commit is None:
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no {path}")
        return Path(path).read_bytes()
    done = _git("cat-file", "blob", f"{commit}:./{path}")
    if done.returncode:
        raise FileNotFoundError(f"there is no {path}")
    return done.stdout


def name_of(revision: str | None) -> str:
    """Return a revision for a sentence."""
    if revision is None:
        return "this folder"
    return quote(revision[:10] if re.fullmatch("[0-9a-f]{40}", revision) else revision)


@dataclass(frozen=True)
class _Source:
    """The files of a revision, at its commit, or of this folder."""

    revision: str | None
    commit: str | None

    def parse(self, path: Path, parse: Callable[[str], T], missing: T | None = None) -> T:
        """Return what `parse` reads from a file; if there is none, `missing`, or an error without one."""
        name = name_of(self.revision)
        try:
            return parse(read_file(self.commit, path).decode("utf-8"))
        except FileNotFoundError:
            if missing is not None:
                return missing
            remedy = "`dvc repro` writes it" if self.revision is None else "`dvc repro` there and commit it"
            raise FileNotFoundError(f"{name} holds no {path}: {remedy}") from None
        except KeyError as error:
            raise ValueError(f"{path} of {name}: {error} is missing") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} of {name}: {error}") from None


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git in this folder, with messages in English."""
    return subprocess.run(["git", *arguments], env=os.environ | {"LC_ALL": "C"}, capture_output=True, check=False)


def _refuse_folder(message: str) -> None:
    """Raise an error where git says that this folder is not in a repository of this user."""
    if owned := re.search("dubious ownership in repository at '(.*)'", message):
        raise PermissionError(
            f"{owned[1]} belongs to another user: `git config --global --add safe.directory {shlex.quote(owned[1])}` "
            "lets you read its revisions"
        )
    if "not a git repository" in message:
        raise FileNotFoundError(
            f"{Path.cwd()} is not a git repository: run `git init`, `git add --all` and `git commit` in it first"
        )
