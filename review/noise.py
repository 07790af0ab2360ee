"""Measure the noise of a seed: train one recipe with several seeds and keep the model's MD5 and metrics of each.

The runs take place in folders of their own under .dvc/tmp/noise, from a copy of the code and of data/raw, so that the
pipeline's outputs stay as they are. A finished run is kept there, so an interrupted command continues where it stopped.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from dvc.dependency.param import ParamsDependency
from filelock import FileLock

from classifier.files.paths import METRICS, MODEL, NOISE, PARAMS, PROVENANCE, RAW, SOURCE
from classifier.files.whole_file import whole_file
from classifier.model import runtime
from classifier.running import processes
from classifier.running.integrity import digest
from classifier.running.yaml_values import MOST_BYTES, Loader, parse
from review.command import command
from review.results.lock import load_stages
from review.results.record import LARGEST, SPLITS, keep, listed, parse_record, unlike
from review.results.revision import open_repo
from review.results.trained import leaves, parse_provenance, recipe_of
from review.wording.escaping import quote

RUNS = Path(".dvc/tmp/noise")
ROOMS = ("stages", "classifier")  # the code of the stages

LIBRARIES = ("numpy", "keras", "tensorflow")


class Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """PyYAML's safe dumper; it quotes each text that our loader and DVC would read as another value, such as 1e5."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


@command("noise", refused=1)
def main(arguments: list[str] | None = None) -> int:
    """Measure, write evaluation/seed_noise.json and return 0; or say in one line why not, and return 1."""
    parser = argparse.ArgumentParser(prog="python -m review.noise", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", nargs="?", type=Path, default=Path(PARAMS), help="a params.yaml (default: this one)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="train with the seeds 0 to N-1 (default: 5)")
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error("a standard deviation takes at least 2 seeds")
    try:
        document = _load(options.recipe)
        dataset = _dataset(document)
        record = measure(dataset, document, range(options.seeds))
        with FileLock(RUNS / "keep.lock"):  # another recipe may be measured beside this one
            keep(record, Path(NOISE))
    except KeyboardInterrupt:
        print("noise: interrupted; the runs that ended are kept, and the same command goes on", file=sys.stderr)
        return 130
    found = parse_record(record, str(NOISE))
    for split in SPLITS:
        if spread := found.spread(split):
            told = f"{spread.mean:.4f} ± {spread.standard_deviation:.4f} over {spread.n} seeds"
            print(f"noise: {split} accuracy {told} -> {NOISE}")
    return 0


def measure(dataset: str, document: Mapping[str, Any], seeds: range) -> dict[str, Any]:
    """Return the record of a recipe; runs that finished earlier are reused.

    Raises:
        OSError: a stage refused or failed (the message is its last line), or another process measures this recipe.
        ValueError: the earlier runs come from another environment.
    """
    paths = _inputs()
    folder = RUNS / identity(document, paths)
    with processes.alone(folder / "noise.lock", "noise", str(folder)):
        runs = list(_runs(folder, document, seeds, paths))
    alike = {key: runs[0].pop(key) for key in ("environment", "training")}
    for run in runs[1:]:
        for key, first in alike.items():
            if names := unlike(first, run.pop(key)):
                raise ValueError(
                    f"{folder} has runs that differ in their {key} ({listed(map(quote, names))}): "
                    "remove this folder to measure all of them anew"
                )
    return {"dataset": dataset, "parameters": recipe_of(dict(leaves(document))), **alike, "seeds": runs}


def identity(document: Mapping[str, Any], paths: list[str]) -> str:
    """Name what the runs depend on: the recipe, the code of the stages, the data set, libraries and processor.

    Args:
        paths: of the files that training reads.
    """
    machine = [version(name) for name in LIBRARIES]
    machine += [sys.platform, runtime.level(runtime.instruction_sets()), str(runtime.threads())]
    hashed = hashlib.sha256(json.dumps([recipe_of(dict(leaves(document))), paths, machine], sort_keys=True).encode())
    files = [path for path in sorted(RAW.parent.iterdir()) if not path.name.startswith(".")]
    for path in [*sorted(path for room in ROOMS for path in Path(room).rglob("*.py")), *files]:
        hashed.update(f"{path} {digest(path)}\n".encode())
    return hashed.hexdigest()[:16]


def dump(document: Mapping[str, Any]) -> str:
    """Write a JSON-like document as YAML that a stage and DVC read with the same values."""
    return str(yaml.dump(dict(document), Dumper=Dumper, sort_keys=False))


def _runs(folder: Path, document: Mapping[str, Any], seeds: range, paths: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the seed, the model's MD5, metrics, environment and MD5 of what training read, of a run with each seed."""
    ended = {seed: folder / f"seed-{seed}.json" for seed in seeds}
    if not all(path.exists() for path in ended.values()):
        _lay_out(folder)
        _run(folder, "preprocess", document)
    for seed, path in ended.items():
        if not path.exists():
            print(f"noise: seed {seed} of {seeds[0]} to {seeds[-1]}: training", flush=True)
            seeded = {**document, "train": {**document["train"], "seed": seed}}
            for stage in ("train", "evaluate"):
                _run(folder, stage, seeded)
            measured = json.loads((folder / METRICS).read_text())
            _, _, environment = parse_provenance((folder / PROVENANCE).read_text())
            run = {
                "seed": seed,
                "model": digest(folder / MODEL),
                **{split: {name: measured[split][name] for name in LARGEST} for split in SPLITS if split in measured},
                "environment": environment,
                "training": {name: digest(folder / name) for name in paths},
            }
            with whole_file(path) as partial:
                partial.write_text(json.dumps(run, indent=2) + "\n")
        run = json.loads(path.read_text())
        told = ", ".join(f"{split} {run[split]['accuracy']:.4f}" for split in SPLITS if split in run)
        print(f"noise: seed {seed} of {seeds[0]} to {seeds[-1]}: accuracy {told}", flush=True)
        yield run
    for name in ("data", "models"):  # the rest is small, and enough to add more seeds later
        shutil.rmtree(folder / name, ignore_errors=True)


def _inputs() -> list[str]:
    """The files that the stage train reads, according to dvc.yaml."""
    with open_repo(None) as repo:
        stage = next((stage for stage in load_stages(repo) if stage.name == "train"), None)
        if stage is None:
            raise ValueError("dvc.yaml has no stage train")
        return sorted(dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency))


def _load(recipe: Path) -> dict[str, Any]:
    try:
        with recipe.open("rb") as file:
            document = parse(file.read(MOST_BYTES + 1))
    except FileNotFoundError:
        raise FileNotFoundError(f"{recipe}: no such file; it must be a params.yaml") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{recipe}: {error}") from None
    match document:
        case {"download": {"dataset": _}, "train": dict()}:
            pass
        case _:
            raise ValueError(f"{recipe}: expected the sections of a params.yaml, download with the key dataset")
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{recipe}: expected texts, numbers, lists and true, false or null: {error}") from None
    return dict(document)


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


def _lay_out(folder: Path) -> None:
    """Copy the code and the raw data into the folder of the runs."""
    for name in (*ROOMS, str(RAW.parent)):
        shutil.copytree(name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))


def _run(folder: Path, stage: str, document: Mapping[str, Any]) -> None:
    (folder / PARAMS).write_text(dump(document), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    environment[processes.STARTER] = str(os.getpid())
    command = [sys.executable, "-E", "-m", f"stages.{stage}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError((done.stderr.splitlines() or [f"{stage}: ended with {done.returncode}"])[-1])


if __name__ == "__main__":
    sys.exit(main())
