"""Read files and results of a revision, or of this folder; Git holds them all, so no data, cache or remote is needed.

A revision is a commit, branch, tag or DVC experiment; None stands for the files in this folder.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from classifier.parameters import ConflictError, conflict, parse_yaml
from classifier.paths import HISTORY, LOCK, METRICS, MODEL, NOISE, ONNX, PARAMS, PREDICTIONS, PROVENANCE, SOURCE
from review import results
from review.results import Record, Results, Stage, name_of
from trials.git import attempt

T = TypeVar("T")


def read_results(revision: str | None) -> Results:
    """Read the results of a revision or of this folder.

    Raises:
        OSError: there are no predictions or no provenance, or no Git repository.
        ValueError: there is no such revision, or a file has another form than its stage gives it.
    """
    commit = find_commit(revision)
    read = partial(_parse, revision, commit)
    dataset, train_images, environment = read(PROVENANCE, results.parse_provenance)
    stages = read(LOCK, results.parse_lock, {"stages": {}})
    train = stages.get("train", Stage(None, {}, {}, {}))
    inputs = {name: sorted(stage.inputs.items()) for name, stage in stages.items()}
    data_set = read(SOURCE, results.parse_description, "{}")
    return Results(
        revision=revision,
        commit=commit,
        dataset=dataset,
        train_images=train_images,
        parameters=read(PARAMS, results.parse_parameters, {}),
        environment=environment,
        training=train.inputs,
        steps={
            name: (str(stages[name].command), [file for file in inputs[name] if Path(file[0]) not in (MODEL, ONNX)])
            for name in ("train", "export", "evaluate")
            if name in stages  # older pipelines have no export
        },
        model=train.outputs.get(str(MODEL)),
        metrics=read(METRICS, results.parse_metrics, "{}"),
        predictions=read(PREDICTIONS, results.parse_predictions),
        noise=read_noise(revision),
        history=read(HISTORY, results.parse_history, ""),
        data_set=data_set if data_set and data_set.name == dataset else None,
    )


def read_noise(revision: str | None) -> list[Record]:
    """Read the measured recipes of a revision or of this folder. Raises as `read_results` does."""
    commit = find_commit(revision)
    if commit:
        listed = attempt("ls-tree", "--name-only", "-z", commit, f"{NOISE}/").stdout.decode()
        paths = [Path(name) for name in listed.split("\0") if name.endswith(".json")]
    else:
        paths = sorted(NOISE.glob("[!.]*.json"))
    return [_parse(revision, commit, path, partial(msgspec.json.decode, type=Record)) for path in paths]


def find_commit(revision: str | None) -> str | None:
    """Return the hash of the commit that a revision names; None for this folder.

    Raises:
        ValueError: there is no such revision, or a merge left conflicts in this folder. OSError: there is no Git
            repository, or it belongs to another user.
    """
    if revision is None:
        if reason := conflict():
            raise ValueError(reason)
        return None
    done = attempt("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode == 0:
        return done.stdout.decode().strip()
    message = " ".join(done.stderr.decode(errors="replace").split())
    if "not a git repository" in message:
        message = f"{Path.cwd()} is not a git repository: run `git init`, `git add --all` and `git commit` in it first"
    if message:  # as of a repository of another user, to which git names the way out
        raise OSError(message)
    experiments = attempt("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{revision}").stdout.decode().split()
    if len(experiments) != 1:
        shallow = attempt("rev-parse", "--is-shallow-repository").stdout == b"true\n"
        way_out = ": the clone is shallow, and `git fetch --unshallow` may fetch it" if shallow else ""
        raise ValueError(f"{'ambiguous' if experiments else 'unknown'} Git revision '{revision}'{way_out}")
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
    done = attempt("cat-file", "blob", f"{commit}:./{path}")
    if done.returncode:
        raise FileNotFoundError(f"there is no {path}")
    return done.stdout


def read_yaml(commit: str | None, path: str | Path) -> Any:
    """Return the value of a YAML or JSON file, as `read_file` does. Raises ValueError if it is neither."""
    return parse_yaml(read_file(commit, path), path)


def _parse(revision: str | None, commit: str | None, path: Path, parse: Callable[[Any], T], missing: Any = None) -> T:
    """Return what `parse` makes of a file, or of `missing` if there is no file; an error names the file."""
    name = name_of(revision)
    try:
        content = read_file(commit, path)
        if path in (LOCK, PARAMS):
            return parse(parse_yaml(content, path))
        if markers := conflict(path, content):
            raise ConflictError(markers)
        return parse(content.decode())
    except FileNotFoundError:
        if missing is not None:
            return parse(missing)
        remedy = "`dvc repro` writes it" if revision is None else "`dvc repro` there and commit it"
        raise FileNotFoundError(f"{name} holds no {path}: {remedy}") from None
    except ConflictError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} of {name}: {reason}") from None
