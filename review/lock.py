"""Whether dvc.lock and the measured noise match the files in a checkout or at a revision; no data is needed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dvc.dependency.param import ParamsDependency
from dvc.output import Output
from dvc.repo import Repo
from dvc.repo.index import Index
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.stage import PipelineStage
from dvc.utils.strictyaml import YAMLValidationError, validate
from yaml import YAMLError

from classifier.parameters import parse_yaml
from classifier.paths import LOCK, NOISE, PAGE, PARAMS, PIPELINE, PROVENANCE
from review.results import leaves
from review.revision import MALFORMED, MOST, MOST_BYTES, check_object, load_trained, read
from review.seeds import contradiction, is_of, parse_records

UNFINISHED = (
    "is not a whole lock file, perhaps because dvc was killed while it wrote this; run `git checkout dvc.lock` to "
    "restore the committed one, then `dvc repro`"
)

MOST_IN_GIT = 100 * 2**20  # bytes of a file; GitHub takes no larger ones

Entry = Mapping[str, Any]


def check(repo: Repo) -> Iterator[tuple[str, list[str]]]:
    """Yield each stage of dvc.yaml and dvc.lock, in the order of dvc.yaml, with the reasons for each mismatch.

    Raises:
        OSError: there is no dvc.lock. ValueError: it is not a lock file. DvcException: DVC refuses dvc.yaml.
    """
    entries = load_lock(repo)
    stages = load_stages(repo)
    written = {out["path"]: (name, out.get("md5")) for name, entry in entries.items() for out in entry.get("outs", [])}
    for stage in stages:
        name = str(stage.name)
        entry = entries.pop(name, None)
        if entry is None:
            yield name, [f"missing from {LOCK}: it has not been run"]
            continue
        reasons = [*_command(stage, entry), *_parameters(stage, entry)]
        reasons += [*_inputs(repo, stage, entry, written), *_outputs(repo, stage, entry)]
        yield name, reasons + ([*_data_set(repo)] if name == "download" else [])
    for name in entries:
        yield name, [f"in {LOCK}, but not in dvc.yaml"]


def inputs_of_train(repo: Repo) -> dict[str, str | None] | None:
    """Return the MD5 of each file that the stage train would read, or None if an earlier stage would run first."""
    with suppress(FileNotFoundError):
        for name, reasons in check(repo):
            if name == "train":
                break
            if reasons:
                return None
        written = {out["path"]: out.get("md5") for entry in load_lock(repo).values() for out in entry.get("outs", [])}
        train = next(stage for stage in load_stages(repo) if stage.name == "train")
        paths = sorted(dep.def_path for dep in train.deps if not isinstance(dep, ParamsDependency))
        return {path: written.get(path) or _md5(repo, path) for path in paths}
    return None


def check_noise(repo: Repo, revision: str | None) -> list[str]:
    """Return the contradictions between evaluation/seed_noise.json and the results at the repository's `revision`.

    A record of another recipe, other code or another machine is not false: a branch that changes these may keep it.
    """
    try:
        records = parse_records(read(repo, NOISE, MOST).decode("utf-8"))
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError) as error:
        return [f"{NOISE}: {error}"]
    try:
        side, _ = load_trained(repo, revision)
    except (OSError, *MALFORMED) as error:
        return [f"{NOISE} cannot be compared with the results: {error}"]
    reasons = (contradiction(record, side) for record in records if is_of(record, side))
    return [f"{NOISE}: {reason}" for reason in reasons if reason]


def load_lock(repo: Repo) -> dict[str, Entry]:
    """Read the stages of dvc.lock from the repository's checkout or revision.

    Raises:
        OSError: there is no dvc.lock. ValueError: it has another form than DVC gives it.
    """
    try:
        document = _bounded(repo, LOCK)
        validate(document, COMPILED_LOCKFILE_SCHEMA)
        return dict(document["stages"])
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {LOCK}: `dvc repro` writes it") from None
    except (YAMLError, YAMLValidationError, TypeError, KeyError):
        told = UNFINISHED if repo.fs.protocol == "local" else "is not a whole lock file"
        raise ValueError(f"{LOCK} {told}") from None


def load_stages(repo: Repo) -> list[PipelineStage]:
    """Read the stages of dvc.yaml from the repository's checkout or revision, in its order.

    DVC expands this file and params.yaml without a limit, so their sizes are checked first. Templates (vars, foreach,
    matrix and ${...}) are refused, because the size of their expansion is not known before.
    """
    document = _bounded(repo, PIPELINE)
    stages = document.get("stages") if isinstance(document, dict) else None
    each = [document, *(stages.values() if isinstance(stages, dict) else [])]
    rules = {key for entry in each if isinstance(entry, dict) for key in entry} & {"vars", "foreach", "matrix"}
    if rules or "${" in repr(document):
        raise ValueError(f"{PIPELINE}: stages must be written out, without {', '.join(sorted(rules)) or '${...}'}")
    with suppress(FileNotFoundError):
        _bounded(repo, PARAMS)
    found = Index.from_file(repo, repo.fs.join(repo.root_dir, str(PIPELINE))).stages
    return [stage for stage in found if isinstance(stage, PipelineStage)]


def _bounded(repo: Repo, path: str | Path) -> Any:
    """Read a file that DVC takes for YAML, or check the size of one that it does not, before DVC expands it."""
    try:
        content = read(repo, path, MOST_BYTES)
        return None if Path(path).suffix in (".json", ".toml", ".py") else parse_yaml(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _command(stage: PipelineStage, entry: Entry) -> Iterator[str]:
    if entry.get("cmd") != stage.cmd:
        yield f"changed command: {entry.get('cmd')} -> {stage.cmd}"


def _parameters(stage: PipelineStage, entry: Entry) -> Iterator[str]:
    locked: dict[str, Any] = {}
    present: dict[str, Any] = {}
    for file, values in entry.get("params", {}).items():
        locked |= {f"{file}:{key}": value for key, value in leaves(values)}
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            with suppress(FileNotFoundError):
                _bounded(dep.repo, dep.def_path)
            present |= {f"{dep.def_path}:{key}": value for key, value in leaves(dep.read_params())}
    for key in sorted(locked.keys() | present.keys()):
        if locked.get(key) != present.get(key) or (key in locked) != (key in present):
            old, new = (str(values[key]) if key in values else "absent" for values in (locked, present))
            yield f"changed parameter {key.removeprefix('params.yaml:')}: {old} -> {new}"


def _inputs(
    repo: Repo, stage: PipelineStage, entry: Entry, written: Mapping[str, tuple[str, str | None]]
) -> Iterator[str]:
    locked = {dep["path"]: dep.get("md5") for dep in entry.get("deps", [])}
    declared = [dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    yield from _unlike(declared, locked, "dependency")
    for path in sorted(set(declared) & set(locked)):
        writer, made = written.get(path, (None, None))
        if writer:
            if locked[path] != made:
                yield f"{path} was read as {_short(locked[path])}, but {writer} wrote {_short(made)}"
            continue
        found = _md5(repo, path)
        if found is None:
            yield f"missing file {path}"
        elif found != locked[path]:
            yield f"changed file {path}"


def _outputs(repo: Repo, stage: PipelineStage, entry: Entry) -> Iterator[str]:
    locked = {out["path"]: out.get("md5") for out in entry.get("outs", [])}
    declared: dict[str, Output] = {out.def_path: out for out in stage.outs}
    yield from _unlike(declared, locked, "output")
    for path in sorted(set(declared) & set(locked)):
        found = _md5(repo, path)
        if found is None:
            if not declared[path].use_cache:
                yield f"missing output {path}, which Git should hold"
        elif found != locked[path]:
            yield f"{path} is {_short(found)}, but the stage wrote {_short(locked[path])}"


def _data_set(repo: Repo) -> Iterator[str]:
    """Report a stand-in data set: the lock matches, but the results are not of the data set in params.yaml."""
    try:
        used = json.loads(read(repo, PROVENANCE, MOST))["dataset"]
        asked = _bounded(repo, PARAMS)["download"]["dataset"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # the stage that writes or reads the file reports its own reason
    if used != asked:
        yield f"the results come from {used}, but params.yaml asks for {asked}"


def _unlike(declared: Any, locked: Any, kind: str) -> Iterator[str]:
    for path in sorted(set(declared) - set(locked)):
        yield f"{kind} {path} is in dvc.yaml, but not in {LOCK}"
    for path in sorted(set(locked) - set(declared)):
        yield f"{kind} {path} is in {LOCK}, but not in dvc.yaml"


def _md5(repo: Repo, path: str) -> str | None:
    """The MD5 of a file in the checkout or revision, as DVC 3 takes it; None where there is no such file."""
    full = repo.fs.join(repo.root_dir, path)
    if not repo.fs.isfile(full):
        return None
    try:
        check_object(repo, full, MOST_IN_GIT)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    digest = hashlib.md5(usedforsecurity=False)
    with repo.fs.open(full, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _short(md5: str | None) -> str:
    return md5[:8] if md5 else "nothing"


MOST_PAGE = 2**24  # bytes; the page of the default recipe has 0.86 MB, that of the accurate recipe 2.3 MB


def load_page(repo: Repo, revision: str | None) -> bytes | None:
    """Return the page of the repository, opened at `revision`; None if its file is not on this machine.

    The page of a revision is the one whose MD5 its dvc.lock names. Nothing is fetched. The current folder is that of
    the project.
    """
    if revision is None:
        return _page_at(PAGE)
    try:
        outs = [out for entry in load_lock(repo).values() for out in entry.get("outs", [])]
    except (OSError, ValueError):
        return None
    md5 = next((str(out.get("md5")) for out in outs if out["path"] == str(PAGE)), "")
    for path in (PAGE, Path(repo.cache.local.oid_to_path(md5))) if md5 else ():
        content = _page_at(path)
        if content is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
            return content
    return None


def _page_at(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_PAGE + 1)
    except OSError:
        return None
    return content if len(content) <= MOST_PAGE else None
