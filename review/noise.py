"""Measure the noise of a seed: train one recipe with several seeds and keep mean and deviation of what they reach.

The runs take place in folders of their own under .dvc/tmp/noise, from a copy of the code and of data/raw, so that the
pipeline's outputs stay as they are. A run that ended is kept there: cut off and started again, the command goes on.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from review.command import command
from review.revision import NOISE, PARAMS, SPLITS, leaves, recipe_of
from stages.parameters import MOST_BYTES, parse

RAW = Path("data/raw")
SOURCE = RAW / "dataset.json"
RUNS = Path(".dvc/tmp/noise")

METRICS = ("accuracy", "loss")


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
        by_seed = list(measure(document, range(options.seeds)))
        record = summarize(dataset, document, by_seed)
        keep(record, Path(NOISE))
    except KeyboardInterrupt:
        print("noise: interrupted; the runs that ended are kept, and the same command goes on", file=sys.stderr)
        return 130
    for split, metrics in record["splits"].items():
        spread = metrics["accuracy"]
        told = f"{spread['mean']:.4f} ± {spread['standard_deviation']:.4f} over {options.seeds} seeds"
        print(f"noise: {split} accuracy {told} -> {NOISE}")
    return 0


def measure(document: Mapping[str, Any], seeds: range) -> Iterator[dict[str, Any]]:
    """Yield what metrics.json holds after a run with each seed, run now or, where it ended before, then.

    Raises:
        OSError: a stage refused or failed; the message is its last line.
    """
    folder = RUNS / identity(document)
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
            (folder / "metrics.json").replace(path)
        metrics = json.loads(path.read_text())
        told = ", ".join(f"{split} {metrics[split]['accuracy']:.4f}" for split in SPLITS if split in metrics)
        print(f"noise: seed {seed} of {seeds[0]} to {seeds[-1]}: accuracy {told}", flush=True)
        yield metrics
    for name in ("data", "models"):  # what remains is small, and enough to go on with more seeds
        shutil.rmtree(folder / name, ignore_errors=True)


def identity(document: Mapping[str, Any]) -> str:
    """Name what the runs depend on: the recipe, the code of the stages and the data set."""
    digest = hashlib.sha256(json.dumps(recipe_of(dict(leaves(document))), sort_keys=True).encode())
    for path in [*sorted(Path("stages").glob("*.py")), SOURCE]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def summarize(dataset: str, document: Mapping[str, Any], by_seed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the record of one recipe: of each split and metric the mean, the sample standard deviation, the values."""
    splits: dict[str, Any] = {}
    for split in SPLITS:
        for metric in METRICS if split in by_seed[0] else ():
            values = [metrics[split][metric] for metrics in by_seed]
            splits.setdefault(split, {})[metric] = {
                "mean": round(statistics.fmean(values), 8),
                "standard_deviation": round(statistics.stdev(values), 8),
                "by_seed": values,
            }
    return {"dataset": dataset, "parameters": recipe_of(dict(leaves(document))), "splits": splits}


def keep(record: Mapping[str, Any], path: Path) -> None:
    """Write the record in the place of an older one of the same recipe, and leave those of others as they are."""

    def recipe(each: Mapping[str, Any]) -> tuple[Any, Any]:
        return each["dataset"], each["parameters"]

    kept = json.loads(path.read_text())["recipes"] if path.exists() else []
    if any(recipe(each) == recipe(record) for each in kept):
        kept = [record if recipe(each) == recipe(record) else each for each in kept]
    else:
        kept = [*kept, record]
    partial = path.with_name(f".partial-{path.name}")
    partial.write_text(json.dumps({"recipes": kept}, indent=2) + "\n")
    partial.replace(path)


def _load(recipe: Path) -> dict[str, Any]:
    try:
        with recipe.open("rb") as file:
            document = parse(file.read(MOST_BYTES + 1))
    except FileNotFoundError:
        raise FileNotFoundError(f"{recipe}: no such file; it must be a params.yaml") from None
    except (YAMLError, ValueError) as error:
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
    """The name of the data set in data/raw, if it is what the recipe asks for."""
    if not SOURCE.exists():
        raise FileNotFoundError(f"{SOURCE} is missing: `dvc repro download` fetches the data set first")
    source = json.loads(SOURCE.read_text())
    wanted = document["download"]["dataset"]
    if source["requested"] != wanted:
        raise ValueError(f"{RAW} holds {source['dataset']}, the recipe asks for {wanted}: `dvc repro download` first")
    return str(source["dataset"])


def _lay_out(folder: Path) -> None:
    """Copy the code and the raw data into the folder of the runs."""
    for name in ("stages", str(RAW)):
        shutil.copytree(name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))


def _run(folder: Path, stage: str, document: Mapping[str, Any]) -> None:
    with (folder / PARAMS).open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(dict(document), file)
    environment = {name: value for name, value in os.environ.items() if name not in ("DVC_STAGE", "PYTHONPATH")}
    command = [sys.executable, "-m", f"stages.{stage}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError((done.stderr.splitlines() or [f"{stage}: ended with {done.returncode}"])[-1])


if __name__ == "__main__":
    sys.exit(main())
