"""Tell whether dvc.lock belongs to the dvc.yaml, params.yaml and code beside it, in a checkout or at a revision.

It needs no data, cache or remote: it compares what dvc.lock recorded of each stage's command, parameters, files and
outputs with what Git holds, and follows each output from the stage that wrote it to those that read it. Outputs that
are present are hashed too. `dvc status` and `dvc repro --dry` answer other questions: see treeverse/dvc#5369, #9818 and
#9861.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from dvc.dependency.param import ParamsDependency
from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from scmrepo.exceptions import SCMError

from review.revision import PROVENANCE, leaves, open_repo

LOCK = "dvc.lock"

Entry = Mapping[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Print a line a stage, and return 0 if all of dvc.lock is true, else 1."""
    parser = argparse.ArgumentParser(prog="python -m review.verify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", nargs="?", help="a commit, branch or tag; without it, the files in this folder")
    revision = parser.parse_args(arguments).revision
    try:
        with open_repo(revision) as repo:
            findings = dict(check(repo))
    except (DvcException, SCMError, YAMLError, ValueError, OSError) as error:
        print(f"verify: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    for name, reasons in findings.items():
        print(f"verify: {name}: {'; '.join(reasons) or 'true'}")
    false = sum(bool(reasons) for reasons in findings.values())
    verdict = f"is not true of {false} of" if false else "is true of all"
    print(f"verify: {LOCK} of {revision or 'this folder'} {verdict} {len(findings)} stages")
    return 1 if false else 0


def check(repo: Repo) -> Iterator[tuple[str, list[str]]]:
    """Yield each stage of dvc.yaml and of dvc.lock, in the order of dvc.yaml, with the reasons why its entry is false.

    Raises:
        OSError: there is no dvc.lock. ValueError: it is not a lock file. DvcException: DVC refuses dvc.yaml.
    """
    entries = load_lock(repo)
    stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
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


def load_lock(repo: Repo) -> dict[str, Entry]:
    """Read the stages of dvc.lock from the repository's checkout or revision."""
    try:
        document = YAML(typ="safe").load(repo.fs.read_text(repo.fs.join(repo.root_dir, LOCK), encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {LOCK}: `dvc repro` writes it") from None
    if not isinstance(document, dict) or not isinstance(document.get("stages"), dict):
        raise ValueError(f"{LOCK} must hold the key stages, as DVC writes it")
    return dict(document["stages"])


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
    """A lock may be true of a stand-in data set; the results are then not those that params.yaml asks for."""
    root = repo.root_dir
    try:
        used = json.loads(repo.fs.read_text(repo.fs.join(root, PROVENANCE)))["dataset"]
        asked = YAML(typ="safe").load(repo.fs.read_text(repo.fs.join(root, "params.yaml")))["download"]["dataset"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # the stage that writes the one, or reads the other, has its own reason
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
    digest = hashlib.md5(usedforsecurity=False)
    with repo.fs.open(full, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _short(md5: str | None) -> str:
    return md5[:8] if md5 else "nothing"


if __name__ == "__main__":
    sys.exit(main())
