"""Whether dvc.lock and the measured noise match the files in this folder or at a revision; no data is needed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import takewhile
from typing import Any

from classifier.parameters import ConflictError
from classifier.paths import LOCK, NOISE, PARAMS, PIPELINE, PROVENANCE, SOURCE
from review.escaping import quote
from review.results import Stage, leaves, name_of, parse_lock
from review.revision import find_commit, read_file, read_noise, read_results, read_yaml
from review.seeds import contradiction, differing_keys, listed


def stage_findings(revision: str | None) -> dict[str, list[str]]:
    """Return each stage of dvc.yaml and dvc.lock, in the order of dvc.yaml, with the reasons why the two do not match.

    Raises OSError or ValueError if one of the two is missing or has another form, or if there is no such revision.
    """
    commit = find_commit(revision)
    recorded, declared = read_lock(commit), read_stages(commit)
    findings = {name: [f"missing from {LOCK}: it has not been run"] for name in declared}
    findings |= {name: [f"in {LOCK}, but not in {PIPELINE}"] for name in recorded}
    for name in declared.keys() & recorded.keys():
        findings[name] = list(_findings(commit, declared[name], recorded[name], recorded))
    return findings


def noise_findings(revision: str | None) -> list[str]:
    """Return the contradictions between the measured noise and the results of a revision or of this folder.

    A record of another recipe, other code or another machine is not false: a branch that changes these may keep it.
    """
    try:
        if not read_noise(revision):
            return []
        results = read_results(revision)
    except (OSError, ValueError) as error:
        return [str(error)]
    reasons = (contradiction(record, results) for record in results.noise if record.recipe == results.recipe)
    return [f"{NOISE}/{results.recipe}.json: {reason}" for reason in reasons if reason]


def mismatches(base: str | None, head: str | None, accepted: bool) -> str:
    """Return in a sentence what review.verify finds about two revisions, or "". Raises ValueError unless `accepted`."""
    found = []
    for revision in (base, head):
        try:
            findings = {**stage_findings(revision), "seed noise": noise_findings(revision)}
            reasons = [f"{name}: {reason}" for name, of_name in findings.items() for reason in of_name]
        except (OSError, ValueError) as error:
            reasons = [str(error)]
        if reasons:
            quoted = listed(quote(reason.replace("`", "'")) for reason in reasons)
            found.append(f"the results of {name_of(revision)} do not match the files beside them: {quoted}")
    if found and not accepted:
        raise ValueError(f"{'; '.join(found)}; run `dvc repro` there, or compare with --stale")
    return "; ".join(found)


def inputs_of_train(commit: str | None) -> dict[str, str | None] | None:
    """Return the MD5 of each file that the stage train would read, or None if an earlier stage would run first."""
    try:
        findings = stage_findings(commit)
    except FileNotFoundError:
        return None
    if any(findings[name] for name in takewhile(lambda name: name != "train", findings)):
        return None
    recorded = read_lock(commit)
    return {path: _written(recorded, commit, path)[1] for path in sorted(read_stages(commit)["train"].inputs)}


def read_lock(commit: str | None) -> dict[str, Stage]:
    """Read the stages of dvc.lock."""
    try:
        return parse_lock(read_yaml(commit, LOCK))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {LOCK}: `dvc repro` writes it") from None
    except ConflictError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{LOCK} is not a whole lock file: run `git checkout {LOCK}`, then `dvc repro`") from None


def read_stages(commit: str | None) -> dict[str, Stage]:
    """Read the stages of dvc.yaml, in its order, with the parameters that are now in params.yaml.

    An input has no MD5, and in place of that of an output stands whether Git holds it rather than DVC's cache.
    Templates are refused: only DVC expands them.
    """
    document = read_yaml(commit, PIPELINE)
    try:
        keys = {key for part in (document, *document["stages"].values()) for key in part}
        if "${" in repr(document) or keys & {"vars", "foreach", "matrix", "wdir"}:
            raise ValueError(f"{PIPELINE}: write the stages out, without vars, foreach, matrix, wdir and ${{...}}")
        return {name: _stage(commit, part) for name, part in document["stages"].items()}
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{PIPELINE}: expected stages with cmd, deps, params and outs: {error}") from None


def _stage(commit: str | None, part: Mapping[str, Any]) -> Stage:
    parameters: dict[str, Any] = {}
    for item in part.get("params", []):
        for file, keys in item.items() if isinstance(item, dict) else [(str(PARAMS), [item])]:
            with suppress(FileNotFoundError):
                values = dict(leaves(read_yaml(commit, file)))
                wanted = tuple(f"{key}." for key in keys)
                parameters |= {f"{file}:{key}": value for key, value in values.items() if f"{key}.".startswith(wanted)}
    outputs = [item for kind in ("outs", "metrics", "plots") for item in part.get(kind, [])]
    options = [item if isinstance(item, dict) else {item: {}} for item in outputs]
    in_git = {path: flags.get("cache") is False for option in options for path, flags in option.items()}
    return Stage(part["cmd"], parameters, dict.fromkeys(part.get("deps", [])), in_git)


def _findings(commit: str | None, declared: Stage, stage: Stage, recorded: Mapping[str, Stage]) -> Iterator[str]:
    """Yield what differs between a stage of dvc.yaml, that stage of dvc.lock, the other stages there and the files."""
    if stage.command != declared.command:
        yield f"changed command: {stage.command} -> {declared.command}"
    for key in differing_keys(stage.parameters, declared.parameters):
        old, new = stage.parameters.get(key, "absent"), declared.parameters.get(key, "absent")
        yield f"changed parameter {key.removeprefix(f'{PARAMS}:')}: {old} -> {new}"
    kinds = {"dependency": (declared.inputs, stage.inputs), "output": (declared.outputs, stage.outputs)}
    for kind, (ours, theirs) in kinds.items():
        for path in sorted(ours.keys() ^ theirs.keys()):
            holds, lacks = (PIPELINE, LOCK) if path in ours else (LOCK, PIPELINE)
            yield f"{kind} {path} is in {holds}, but not in {lacks}"
    for path in sorted(declared.inputs.keys() & stage.inputs.keys()):
        writer, md5 = _written(recorded, commit, path)
        if md5 is None:
            yield f"missing file {path}"
        elif md5 != stage.inputs[path]:
            read = f"{path} was read as {stage.inputs[path][:8]}, but {writer} wrote {md5[:8]}"
            yield read if writer else f"changed file {path}"
    for path in sorted(declared.outputs.keys() & stage.outputs.keys()):
        md5 = _md5(commit, path)
        if md5 is None and declared.outputs[path]:
            yield f"missing output {path}, which Git should hold"
        elif md5 and md5 != stage.outputs[path]:
            way_out = "" if declared.outputs[path] else ": `dvc checkout` or `dvc repro` restores it"
            yield f"{path} is {md5[:8]}, but the stage wrote {stage.outputs[path][:8]}{way_out}"
    if str(PROVENANCE) in stage.outputs:
        yield from _other_training(commit, stage)


def _other_training(commit: str | None, stage: Stage) -> Iterator[str]:
    """Yield what models/provenance.json says of the training that params.yaml or dvc.lock does not.

    This finds stand-in data, a file that was edited while the stage ran, and a dvc.lock of two runs.
    """
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # a broken file has another reason
        provenance, params = json.loads(read_file(commit, PROVENANCE)), read_yaml(commit, PARAMS)
        used, section = provenance["dataset"], f"{PARAMS}:train."
        if used != (wanted := params.get("download", {}).get("dataset", used)):
            source = json.loads(read_file(commit, SOURCE))
            if not source.get("files") or source["requested"] != wanted:  # else a copy of it, with a path of its own
                yield f"the results come from {used}, but {PARAMS} asks for {wanted}"
        trained = {f"{section}{key}": value for key, value in provenance["parameters"].items()}  # not in older files
        trained |= provenance["data"]
        recorded = stage.parameters | stage.inputs
        for key in sorted(trained.keys() | {key for key in recorded if key.startswith(section)}):
            ours, theirs = trained.get(key, "absent"), recorded.get(key, "absent")
            if ours != theirs:
                yield f"the model was trained with {key.removeprefix(f'{PARAMS}:')} {ours}, but {LOCK} has {theirs}"


def _written(recorded: Mapping[str, Stage], commit: str | None, path: str) -> tuple[str | None, str | None]:
    """Return the stage that wrote a file according to dvc.lock, and its MD5; else None, and that of the file itself."""
    writers = ((name, stage.outputs[path]) for name, stage in recorded.items() if path in stage.outputs)
    return next(writers, None) or (None, _md5(commit, path))


def _md5(commit: str | None, path: str) -> str | None:
    """Return the MD5 of a file, as DVC takes it; None where there is no such file."""
    with suppress(FileNotFoundError):
        return hashlib.md5(read_file(commit, path), usedforsecurity=False).hexdigest()
    return None
