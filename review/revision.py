"""Read the results of a revision or of this folder: parameters, metrics, predictions and provenance.

Git holds all of these files, so no data, cache or remote is needed.
"""

import csv
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dvc.repo import Repo
from dvc.scm import SCMError
from pygit2 import GitError
from yaml import YAMLError

from classifier.data import delivered
from classifier.data.description import DataSet
from classifier.paths import HISTORY, LOCK, METRICS, NOISE, PARAMS, PREDICTIONS, PROVENANCE, SOURCE
from review.escaping import quote
from review.results import (
    Trained,
    parse_lock,
    parse_metrics,
    parse_parameters,
    parse_predictions,
    parse_provenance,
    rows,
)
from review.seeds import Record, parse_records

# Bytes of a file, many times what the stages write for all of MNIST (160 kB of predictions, 25 kB of noise).
MOST = 2**20
MOST_BYTES = 2**18  # of a YAML file
MOST_PREDICTIONS = 10 * 2**20

COLUMNS = {  # of the history: the form of each, and its name
    "epoch": ("[0-9]{1,9}", "a whole number"),
    "accuracy": (r"0(\.[0-9]+)?|1(\.0+)?", "a number from 0 to 1"),
    "loss": (r"[0-9]{1,15}(\.[0-9]+)?", "a number of at least 0"),
}

MALFORMED = (ValueError, YAMLError, csv.Error, RecursionError)  # what reading a file of another form raises

T = TypeVar("T")


@dataclass(frozen=True)
class Results(Trained):
    """One side of a comparison; `revision` is the user's name for it, None for this folder.

    `history` maps names such as "loss" and "validation_loss" to a value for each epoch; it may be empty. `data_set` is
    None for revisions whose data/raw/dataset.json is not in Git, as in the project's first versions.
    """

    revision: str | None
    commit: str | None
    train_images: int
    noise: list[Record]
    history: dict[str, list[float]]
    data_set: DataSet | None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, or numbers if they are not known."""
        each = self.predictions.values()
        count = 1 + max(int(max(split.actual.max(), split.predicted.max())) for split in each)
        if self.data_set and len(self.data_set.classes) >= count:
            return self.data_set.classes
        return tuple(map(str, range(count)))

    @property
    def name(self) -> str:
        return _name(self.revision)


def load(revision: str | None) -> Results:
    """Read the results of a commit, branch, tag or DVC experiment, or with None those of this folder.

    Raises:
        OSError: there are no predictions or no provenance. ValueError: a file has another form than its stage gives it.
        DvcException, SCMError: there is no such revision, or no repository.
    """
    with open_repo(revision) as repo:
        trained, train_images = load_trained(repo, revision)
        return Results(
            **vars(trained),
            revision=revision,
            commit=None if revision is None else repo.get_rev(),
            train_images=train_images,
            noise=_read(repo, revision, NOISE, parse_records, missing=[]),
            history=_read(repo, revision, HISTORY, parse_history, missing={}),
            data_set=_description(repo, revision, trained.dataset),
        )


def _description(repo: Repo, revision: str | None, name: str) -> DataSet | None:
    none: list[DataSet] = []
    found = _read(repo, revision, SOURCE, parse_description, missing=none)
    return next((data_set for data_set in found if data_set.name == name), None)


def load_trained(repo: Repo, revision: str | None) -> tuple[Trained, int]:
    """Read what the repository, opened at `revision`, holds of its model, and how many images trained it."""
    predictions = _read(repo, revision, PREDICTIONS, parse_predictions, most=MOST_PREDICTIONS)
    dataset, train_images, environment = _read(repo, revision, PROVENANCE, parse_provenance)
    unknown: tuple[dict[str, str], dict[str, str], str | None] = ({}, {}, None)
    training, steps, model = _read(repo, revision, LOCK, parse_lock, missing=unknown, most=MOST_BYTES)
    trained = Trained(
        dataset=dataset,
        parameters=_read(repo, revision, PARAMS, parse_parameters, missing={}, most=MOST_BYTES),
        environment=environment,
        training=training,
        steps=steps,
        model=model,
        metrics=_read(repo, revision, METRICS, parse_metrics, missing={}),
        predictions=predictions,
    )
    return trained, train_images


def open_repo(revision: str | None) -> Repo:
    """Open this folder's repository as it is at `revision`, or with None as the files in the folder are.

    Raises:
        ValueError: `revision` is no commit. DvcException, SCMError: there is no such revision, or no DVC repository.
        OSError: there is no Git repository, or it belongs to another user.
    """
    if revision is not None and not revision.strip():
        raise ValueError(f"unknown Git revision '{revision}'")  # Repo would take an empty one for this folder
    try:
        repo = Repo(rev=revision, uninitialized=revision is not None)  # missing files are reported one by one
    except GitError as error:
        if "not owned" not in str(error):
            raise
        folder = re.sub(".*repository path '(.*)' is not owned.*", r"\1", str(error))
        raise PermissionError(
            f"{folder} belongs to another user: `git config --global --add safe.directory {shlex.quote(folder)}` lets "
            "you read its revisions"
        ) from None
    except SCMError as error:
        if "is not a git repository" not in str(error):
            raise
        raise FileNotFoundError(
            f"{Path.cwd()} is not a git repository: run `git init`, `git add --all` and `git commit` in it first"
        ) from None
    except AttributeError:  # from pygit2, for a folder or a file within a commit
        raise ValueError(f"{quote(revision or '')} is not a commit") from None
    # libgit2 prefers a tag or branch whose name is 40 hex digits to the commit with that hash; git does not.
    if revision and re.fullmatch("[0-9a-f]{40}", revision) and repo.get_rev() != revision:
        repo.close()
        raise ValueError(f"{revision} is not a commit, or a branch or tag of another has that name")
    return repo


def read(repo: Repo, path: str | Path, most: int) -> bytes:
    """Return the bytes of a file in the repository's folder or revision.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it has more than `most` bytes.
    """
    full = repo.fs.join(repo.root_dir, str(path))
    if not repo.fs.isfile(full):
        raise FileNotFoundError(f"there is no {path}")
    check_object(repo, full, most)
    with repo.fs.open(full, "rb") as file:
        content: bytes = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"expected a file of at most {most:,} bytes, found more")
    return content


def check_object(repo: Repo, full: str, most: int) -> None:
    """Refuse a file of a revision with more than `most` bytes, because Git objects are read whole."""
    sha = repo.fs.info(full).get("sha")
    if sha and (size := repo.scm.pygit2.repo.odb.read_header(sha)[1]) > most:
        raise ValueError(f"expected a file of at most {most:,} bytes, found {size:,}")


def parse_description(text: str) -> list[DataSet]:
    """Return the description of the data set; none if there are only names, as in the project's first versions."""
    document = json.loads(text)
    if isinstance(document, dict) and document.keys() == {"dataset", "requested"}:
        return []
    return [delivered.parse(text.encode()).data_set]


def parse_history(text: str) -> dict[str, list[float]]:
    """Return accuracy and loss of each epoch, in order, and of the validation images where there were any."""
    cells: dict[str, list[str]] = {}
    forms = dict(COLUMNS)
    for name in ("accuracy", "loss"):
        form, expected = COLUMNS[name]
        forms[f"validation_{name}"] = (f"({form})?", expected)  # blank where there are no validation images
    for epoch, (where, row) in enumerate(rows(text, COLUMNS, forms), start=1):
        if row.pop("epoch") != str(epoch):
            raise ValueError(f"{where}: expected epoch {epoch}")
        for column, cell in row.items():
            cells.setdefault(column, []).append(cell)
    if not cells:
        raise ValueError("expected a row for each epoch, found none")
    told = {column: values for column, values in cells.items() if any(values)}
    if blank := [column for column, values in told.items() if not all(values)]:
        raise ValueError(f"{blank[0]} must be a number in each row or in none")
    return {column: [float(value) for value in values] for column, values in told.items()}


def _read(
    repo: Repo,
    revision: str | None,
    path: Path,
    parse: Callable[[str], T],
    missing: T | None = None,
    most: int = MOST,
) -> T:
    try:
        return parse(read(repo, path, most).decode("utf-8"))
    except FileNotFoundError:
        if missing is not None:
            return missing
        remedy = "`dvc repro` writes it" if revision is None else "`dvc repro` there and commit it"
        raise FileNotFoundError(f"{_name(revision)} holds no {path}: {remedy}") from None
    except MALFORMED as error:
        raise ValueError(f"{path} of {_name(revision)}: {error}") from None


def _name(revision: str | None) -> str:
    if revision is None:
        return "this folder"
    return quote(revision[:10] if re.fullmatch("[0-9a-f]{40}", revision) else revision)
