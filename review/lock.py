"""Whether dvc.lock and the measured noise match the files in this folder or at a revision; no data is needed."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from classifier.parameters import parse_yaml
from classifier.paths import LOCK, NOISE, PAGE, PARAMS, PIPELINE, PROVENANCE
from review.results import Entry, leaves, parse_lock
from review.revision import find_commit, read_file, read_trained
from review.seeds import contradiction, parse_records, same_recipe

UNFINISHED = (
    "is not a whole lock file, perhaps because dvc was killed while it wrote this; run `git checkout dvc.lock` to "
    "restore the committed one, then `dvc repro`"
)
TEMPLATES = {"vars", "foreach", "matrix", "wdir"}

Files = Mapping[str, tuple[str, str]]  # the stage that wrote a file, and the MD5 that it had then, by path


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml; `parameters` are keys by file, and an output is true if Git holds it and DVC's cache not."""

    command: Any
    parameters: dict[str, list[str]]
    inputs: list[str]
    outputs: dict[str, bool]


def stage_findings(revision: str | None) -> dict[str, list[str]]:
    """Return each stage of dvc.yaml and dvc.lock, in the order of dvc.yaml, with the reasons for each mismatch.

    Raises:
        OSError: there is no dvc.lock or dvc.yaml. ValueError: one has another form, or there is no such revision.
    """
    commit = find_commit(revision)
    entries = read_lock(commit)
    written = {path: (name, md5) for name, entry in entries.items() for path, md5 in entry.outputs.items()}
    findings = {}
    for name, stage in read_stages(commit).items():
        if name not in entries:
            findings[name] = [f"missing from {LOCK}: it has not been run"]
            continue
        entry = entries.pop(name)
        findings[name] = [
            *_command_findings(stage, entry),
            *_parameter_findings(commit, stage, entry),
            *_input_findings(commit, stage, entry, written),
            *_output_findings(commit, stage, entry),
            *(_data_set_findings(commit) if name == "download" else []),
        ]
    return findings | {name: [f"in {LOCK}, but not in dvc.yaml"] for name in entries}


def noise_findings(revision: str | None) -> list[str]:
    """Return the contradictions between evaluation/seed_noise.json and the results of a revision or of this folder.

    A record of another recipe, other code or another machine is not false: a branch that changes these may keep it.
    """
    try:
        records = parse_records(read_file(find_commit(revision), NOISE).decode("utf-8"))
    except FileNotFoundError:
        return []
    except ValueError as error:
        return [f"{NOISE}: {error}"]
    try:
        trained = read_trained(revision)
    except (OSError, ValueError) as error:
        return [f"{NOISE} cannot be compared with the results: {error}"]
    reasons = (contradiction(record, trained) for record in records if same_recipe(record, trained))
    return [f"{NOISE}: {reason}" for reason in reasons if reason]


def inputs_of_train(commit: str | None) -> dict[str, str | None] | None:
    """Return the MD5 of each file that the stage train would read, or None if an earlier stage would run first."""
    with suppress(FileNotFoundError):
        for name, reasons in stage_findings(commit).items():
            if name == "train":
                break
            if reasons:
                return None
        written = {path: md5 for entry in read_lock(commit).values() for path, md5 in entry.outputs.items()}
        return {path: written.get(path) or _md5(commit, path) for path in sorted(read_stages(commit)["train"].inputs)}
    return None


def read_lock(commit: str | None) -> dict[str, Entry]:
    """Read the stages of dvc.lock.

    Raises:
        OSError: there is no dvc.lock. ValueError: it has another form than DVC gives it.
    """
    try:
        content = read_file(commit, LOCK)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {LOCK}: `dvc repro` writes it") from None
    try:
        return parse_lock(content.decode("utf-8"))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{LOCK} {UNFINISHED if commit is None else 'is not a whole lock file'}") from None


def read_stages(commit: str | None) -> dict[str, Stage]:
    """Read the stages of dvc.yaml, in its order.

    Raises:
        OSError: there is no dvc.yaml. ValueError: it has another form, or templates, which only DVC expands.
    """
    content = read_file(commit, PIPELINE)
    try:
        document = parse_yaml(content)
        parts = [document, *document["stages"].values()]
        if any(TEMPLATES & part.keys() for part in parts) or b"${" in content:
            raise ValueError(f"stages must be written out, without {', '.join(sorted(TEMPLATES))} or ${{...}}")
        return {name: _stage(part) for name, part in document["stages"].items()}
    except ValueError as error:
        raise ValueError(f"{PIPELINE}: {error}") from None
    except (TypeError, KeyError, AttributeError):
        raise ValueError(f"{PIPELINE}: expected stages with commands, files and parameters") from None


def _stage(part: Mapping[str, Any]) -> Stage:
    parameters: dict[str, list[str]] = {}
    for item in part.get("params", []):
        for file, keys in item.items() if isinstance(item, dict) else [(str(PARAMS), [item])]:
            parameters.setdefault(file, []).extend(keys)
    outputs = [item for kind in ("outs", "metrics", "plots") for item in part.get(kind, [])]
    options = {
        path: flags for item in outputs for path, flags in (item if isinstance(item, dict) else {item: {}}).items()
    }
    in_git = {path: flags.get("cache") is False for path, flags in options.items()}
    return Stage(part["cmd"], parameters, list(part.get("deps", [])), in_git)


def _command_findings(stage: Stage, entry: Entry) -> Iterator[str]:
    if entry.command != stage.command:
        yield f"changed command: {entry.command} -> {stage.command}"


def _parameter_findings(commit: str | None, stage: Stage, entry: Entry) -> Iterator[str]:
    present: dict[str, Any] = {}
    for file, keys in stage.parameters.items():
        try:
            document = parse_yaml(read_file(commit, file))
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        for key in keys:
            with suppress(KeyError, TypeError):
                value = reduce(lambda node, part: node[part], key.split("."), document)
                present |= {f"{file}:{name}": value for name, value in leaves({key: value})}
    for key in sorted(entry.parameters.keys() | present.keys()):
        old, new = (str(values[key]) if key in values else "absent" for values in (entry.parameters, present))
        if old != new:
            yield f"changed parameter {key.removeprefix(f'{PARAMS}:')}: {old} -> {new}"


def _input_findings(commit: str | None, stage: Stage, entry: Entry, written: Files) -> Iterator[str]:
    yield from _unlisted(stage.inputs, entry.inputs, "dependency")
    for path in sorted(set(stage.inputs) & entry.inputs.keys()):
        recorded = entry.inputs[path]
        if path in written:
            writer, md5 = written[path]
            if recorded != md5:
                yield f"{path} was read as {recorded[:8]}, but {writer} wrote {md5[:8]}"
        elif (md5_now := _md5(commit, path)) is None:
            yield f"missing file {path}"
        elif md5_now != recorded:
            yield f"changed file {path}"


def _output_findings(commit: str | None, stage: Stage, entry: Entry) -> Iterator[str]:
    yield from _unlisted(stage.outputs, entry.outputs, "output")
    for path in sorted(stage.outputs.keys() & entry.outputs.keys()):
        md5 = _md5(commit, path)
        if md5 is None and stage.outputs[path]:
            yield f"missing output {path}, which Git should hold"
        elif md5 is not None and md5 != entry.outputs[path]:
            yield f"{path} is {md5[:8]}, but the stage wrote {entry.outputs[path][:8]}"


def _data_set_findings(commit: str | None) -> Iterator[str]:
    """Report a stand-in data set: the lock matches, but the results are not of the data set in params.yaml."""
    with suppress(OSError, ValueError, KeyError, TypeError):  # the stage of a broken file reports its own reason
        used = json.loads(read_file(commit, PROVENANCE))["dataset"]
        wanted = parse_yaml(read_file(commit, PARAMS))["download"]["dataset"]
        if used != wanted:
            yield f"the results come from {used}, but params.yaml asks for {wanted}"


def _unlisted(declared: Iterable[str], recorded: Iterable[str], kind: str) -> Iterator[str]:
    yield from (f"{kind} {path} is in dvc.yaml, but not in {LOCK}" for path in sorted(set(declared) - set(recorded)))
    yield from (f"{kind} {path} is in {LOCK}, but not in dvc.yaml" for path in sorted(set(recorded) - set(declared)))


def _md5(commit: str | None, path: str) -> str | None:
    """Return the MD5 of a file, as DVC takes it; None where there is no such file."""
    with suppress(FileNotFoundError):
        if commit is not None:
            return hashlib.md5(read_file(commit, path), usedforsecurity=False).hexdigest()
        with Path(path).open("rb") as file:  # in blocks: data may be larger than memory
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None


def read_page(revision: str | None) -> bytes | None:
    """Return the page to draw on of a revision or of this folder; None if its file is not on this machine.

    The page of a revision is the one whose MD5 its dvc.lock names. Nothing is fetched.
    """
    if revision is None:
        return PAGE.read_bytes() if PAGE.is_file() else None
    try:
        entries = read_lock(find_commit(revision)).values()
    except (OSError, ValueError):
        return None
    from dvc.repo import Repo

    for md5 in [entry.outputs[str(PAGE)] for entry in entries if str(PAGE) in entry.outputs]:
        for path in (PAGE, Path(Repo().cache.local.oid_to_path(md5))):
            if path.is_file() and _md5(None, str(path)) == md5:
                return path.read_bytes()
    return None
