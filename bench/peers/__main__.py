"""Train params.yaml here, in PyTorch and in JAX in turn, a seed a round, and write bench/peers/peers.md and peers.json.

    python -m bench.peers --environment FOLDER [--examples]

With --examples: the MNIST examples that PyTorch and Flax publish instead, and bench/peers/examples.md.
"""

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

import msgspec
import numpy as np
import psutil
import yaml

from bench import machine
from bench.pages import save
from bench.peers import report
from bench.peers.recipe import Recipe
from bench.peers.report import Results, Round, Run
from bench.run import BUSY_SECONDS, FIT, find_archive, head, seconds_an_epoch
from bench.sandbox import Sandbox, fresh_clone, prepare, run_command
from classifier.parameters import read_section
from stages import train

FOLDER = Path("bench/peers")

OURS = {report.OURS: "auto", f"{report.OURS}, float32": "float32"}  # the precision of each

PEERS = {
    "PyTorch, float32": ["in_torch"],
    "PyTorch, float32, compiled": ["in_torch", "--compile"],
    "PyTorch, bfloat16": ["in_torch", "--precision=bfloat16"],
    "PyTorch, bfloat16, loader process": ["in_torch", "--precision=bfloat16", "--workers=1"],
    "PyTorch, bfloat16, compiled": ["in_torch", "--precision=bfloat16", "--compile"],
    "JAX, float32": ["in_jax"],
}

EXAMPLES = {"PyTorch's example": ["torch_example"], "Flax's example": ["flax_example"]}

PACKAGES = ("torch", "jax", "jaxlib", "flax", "optax")


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the results; return 0, or 1 if the arguments are wrong or a run fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--environment", type=Path, required=True, help="where bench/peers/requirements.txt is installed"
    )
    parser.add_argument("--mirror", default=os.environ.get("DATASET_MIRROR"), help="mnist.npz ($DATASET_MIRROR)")
    parser.add_argument("--rounds", type=int, help="number of rounds, each with another seed (3; 1 with --examples)")
    parser.add_argument("--examples", action="store_true", help="the published examples instead of the peers")
    parser.add_argument("--output", type=Path, help="the table; a .json goes beside it")
    options = parser.parse_args(arguments)
    rounds = options.rounds if options.rounds is not None else 1 if options.examples else 3
    output = options.output or FOLDER / ("examples.md" if options.examples else "peers.md")
    try:
        archive, commit = find_archive(options.mirror), head()
        if rounds < 1:
            raise ValueError(f"--rounds must be at least 1, got {rounds}")
        python = options.environment.absolute() / "bin/python"
        if not python.is_file():
            raise FileNotFoundError(f"{python}: no such file; bench/README.md says how to make the environment")
        command = "python -m bench.peers" + (" --examples" if options.examples else "")
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            sandbox = prepare(Path(folder), archive)
            versions = machine.versions() | peer_versions(sandbox, python)
            results = Results(command, commit, machine.describe(), versions, [])
            for each in measure(sandbox, python, rounds, options.examples):
                results = replace(results, rounds=[*results.rounds, each])
                save(output, report.markdown_table(results), results)
    except (ValueError, OSError) as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; only the rounds before were written", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells report it
    print(f"bench: each {len(results.rounds)} times in turn -> {output}")
    return 0


def peer_versions(sandbox: Sandbox, python: Path) -> dict[str, str]:
    """Return the versions of the peers' libraries, and import them once, so that they are read from the disk before.

    Raises:
        OSError: one is not installed.
    """
    code = f"import importlib; [print(importlib.import_module(name).__version__) for name in {PACKAGES}]"
    lines, _ = run_command(sandbox, [str(python), "-c", code], sandbox.folder)
    return dict(zip(PACKAGES, (line for _, line in lines[-len(PACKAGES) :]), strict=True))


def measure(sandbox: Sandbox, python: Path, rounds: int, examples: bool) -> Iterator[Round]:
    """Yield each round: this project, then each peer or example, all in one clone with the same arrays.

    Raises:
        OSError: a command failed. ValueError: params.yaml has something that the peers do not implement.
    """
    clone = fresh_clone(sandbox)
    recipe = peer_recipe()
    for stage in ("download", "preprocess"):
        run_command(sandbox, ["python", "-m", f"stages.{stage}"], clone)
    run_command(sandbox, ["python", "-c", "import keras, tensorflow"], clone)
    ours = {report.OURS: "auto"} if examples else OURS
    for seed in range(rounds):
        busy = psutil.cpu_percent(interval=BUSY_SECONDS) / 100
        runs = {}
        for name, precision in ours.items():
            runs[name] = run_ours(sandbox, clone, precision, seed)
            _print_run(seed, name, runs[name])
        for name, (module, *flags) in (EXAMPLES if examples else PEERS).items():
            text = json.dumps(asdict(replace(recipe, seed=seed)))
            command = [str(python), "-m", f"bench.peers.{module}", *([str(seed)] if examples else [text]), *flags]
            runs[name] = run_peer(sandbox, clone, command)
            _print_run(seed, name, runs[name])
        yield Round(seed, busy, runs)


def peer_recipe() -> Recipe:
    """Return the parameters of `train` that the peers need.

    Raises:
        ValueError: params.yaml has a value that they do not implement.
    """
    ours = msgspec.structs.asdict(read_section("train", train.Parameters))
    only = {"batch_normalization": False, "rotation": 0, "zoom": 0, "schedule": "cosine", "precision": "auto"}
    if other := [name for name, value in only.items() if ours[name] != value]:
        raise ValueError(f"params.yaml: the peers do not have train.{other[0]}: {ours[other[0]]}")
    return Recipe(**{field.name: ours[field.name] for field in fields(Recipe)})


def run_ours(sandbox: Sandbox, clone: Path, precision: str, seed: int) -> Run:
    """Train by the stage, and test by the stages after it, which are not timed."""
    path = clone / "params.yaml"
    recipe = yaml.safe_load(path.read_text())
    recipe["train"] |= {"precision": precision, "seed": seed}
    path.write_text(yaml.safe_dump(recipe))
    lines, seconds = run_command(sandbox, ["python", "-m", "stages.train"], clone)
    for stage in ("export", "evaluate"):
        run_command(sandbox, ["python", "-m", f"stages.{stage}"], clone)
    images = len(np.load(clone / "data/processed/train_labels.npy", mmap_mode="r"))
    return Run(
        seconds=seconds,
        fit_seconds=next(float(found[1]) for _, line in lines if (found := FIT.match(line))),
        step_seconds=(seconds_an_epoch(lines) or math.nan) / math.ceil(images / recipe["train"]["batch_size"]),
        test_accuracy=json.loads((clone / "metrics.json").read_text())["test"]["accuracy"],
    )


def run_peer(sandbox: Sandbox, clone: Path, command: list[str]) -> Run:
    """Run a peer, without what it has compiled before."""
    compiled = sandbox.folder / "compiled"
    shutil.rmtree(compiled, ignore_errors=True)
    environment = sandbox.environment | {"TORCHINDUCTOR_CACHE_DIR": str(compiled)}
    lines, seconds = run_command(replace(sandbox, environment=environment), command, clone)
    printed = json.loads(lines[-1][1])
    return Run(
        seconds=seconds - printed["test_seconds"],
        fit_seconds=printed["fit_seconds"],
        step_seconds=(seconds_an_epoch(lines) or math.nan) / printed["steps_an_epoch"],
        test_accuracy=printed["test_accuracy"],
    )


def _print_run(seed: int, name: str, run: Run) -> None:
    times = f"{run.seconds:.1f} s, fit {run.fit_seconds:.1f} s, {run.step_seconds * 1000:.2f} ms a step"
    print(f"bench: seed {seed}: {name}: {times}, test accuracy {run.test_accuracy:.4f}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
