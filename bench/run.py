"""Time the notebook and the whole pipeline in turn, and `dvc repro` with nothing to do; print the ratios.

    python -m bench.run --mirror mnist.npz --recipe recipes/quick.yaml --once recipes/accurate.yaml

Each run starts in a fresh clone of HEAD: no data, no model, no cache, and none of the user's DVC settings. Each ratio
is taken within a round, whose runs are minutes apart, and the table has the median of these ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

import yaml

from classifier.files import markdown_table
from classifier.paths import METRICS

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOK, DEFAULT, NO_OP = "notebook", "params.yaml", "nothing to do"
NO_OPS = 5  # runs of `dvc repro` with nothing to do in each round: they are short, so their times vary more


@dataclass(frozen=True)
class Run:
    """Wall time in seconds, and test accuracy from 0 to 1."""

    seconds: float
    accuracy: float


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return 0, or 1 if the arguments are wrong or a run fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (3)")
    mirror = os.environ.get("DATASET_MIRROR")
    parser.add_argument("--mirror", type=Path, default=mirror, required=not mirror, help="mnist.npz ($DATASET_MIRROR)")
    parser.add_argument("--recipe", action="append", default=[], type=Path, help="another params.yaml to time as well")
    parser.add_argument("--once", action="append", default=[], type=Path, help="the same, in the first round only")
    options = parser.parse_args(arguments)
    try:
        archive, commit = options.mirror.resolve(strict=True), measured_commit()
        always, once = ({path.name: path.read_text() for path in paths} for paths in (options.recipe, options.once))
        rounds = []
        for number in range(1, options.rounds + 1):
            print(f"bench: round {number} of {options.rounds}", flush=True)
            rounds.append(measure(archive, always | once if number == 1 else always))
    except (OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\nCommit {commit}; rounds: {options.rounds}; medians:\n\n{markdown_table(table(rounds), '---:')}")
    return 0


def measured_commit() -> str:
    """Return the short hash of HEAD. Raises ValueError if a file outside bench/ differs from it."""
    if changed := git("status", "--short", "--untracked-files=no", "--", ".", ":(exclude)bench"):
        raise ValueError(f"the bench measures HEAD, and this folder differs: {', '.join(changed)}; commit or stash")
    return git("rev-parse", "--short", "HEAD")[0]


def measure(archive: Path, recipes: Mapping[str, str]) -> dict[str, Run]:
    """Run the notebook, the default recipe, `dvc repro` with nothing to do, and further recipes: texts by name."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = environment_in(Path(folder), archive)
        lines, seconds = run_command([sys.executable, "-m", "bench.notebook", str(archive)], REPOSITORY, environment)
        runs = {NOTEBOOK: Run(seconds, json.loads(lines[-1])["test_accuracy"])}
        for number, (name, text) in enumerate({DEFAULT: None, **recipes}.items()):
            clone = Path(folder) / str(number)
            git("clone", "--quiet", str(REPOSITORY), str(clone))
            (clone / "dvc.lock").unlink()  # with it, DVC would skip export and evaluate: training makes the same model
            if text is not None:
                (clone / DEFAULT).write_text(text)
            runs[name] = repro(clone, environment, list(yaml.safe_load((clone / "dvc.yaml").read_text())["stages"]))
            if name == DEFAULT:
                idle = [repro(clone, environment, []) for _ in range(NO_OPS)]
                runs[NO_OP] = Run(median(run.seconds for run in idle), idle[0].accuracy)
    for name, run in runs.items():
        print(f"bench: {name}: {run.seconds:.2f} s, test accuracy {run.accuracy:.4f}", flush=True)
    return runs


def repro(clone: Path, environment: Mapping[str, str], expected: Sequence[str]) -> Run:
    """Run `dvc repro` in a clone. Raises ValueError if other stages than expected ran."""
    lines, seconds = run_command(["dvc", "repro"], clone, environment)
    ran = [line.split("'")[1] for line in lines if line.startswith("Running stage")]
    if ran != expected:
        raise ValueError(f"`dvc repro` ran the stages {ran}, expected {expected}")
    return Run(seconds, json.loads((clone / METRICS).read_text())["test"]["accuracy"])


def table(rounds: Sequence[Mapping[str, Run]]) -> list[list[str]]:
    """Return the rows of the table; a recipe that ran once is compared with the notebook of its round."""
    rows = [["", "s", "ratio to the notebook", "test accuracy"]]
    for name in rounds[0]:
        runs = [(runs[name], runs[NOTEBOOK]) for runs in rounds if name in runs]
        seconds, accuracy = median(run.seconds for run, _ in runs), median(run.accuracy for run, _ in runs)
        ratio = median(run.seconds / notebook.seconds for run, notebook in runs)
        rows.append([name, f"{seconds:.2f}", f"{ratio:.3f}", f"{accuracy:.4f}"])
    return rows


def environment_in(folder: Path, archive: Path) -> dict[str, str]:
    """Return this environment without the user's DVC settings and caches, with this Python first on the PATH."""
    folders = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    environment |= {name: str(folder / name) for name in folders}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return environment | {"PATH": path, "DATASET_MIRROR": str(archive)}


def run_command(command: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[list[str], float]:
    """Run a command; return the lines that it printed, and its wall time in seconds. Raises OSError if it fails."""
    began = time.perf_counter()
    streams: dict[str, Any] = {"stdin": DEVNULL, "stdout": PIPE, "stderr": STDOUT, "text": True}
    # `env` looks for the command on the PATH of the environment.
    done = subprocess.run(["env", *command], cwd=folder, env=environment, check=False, **streams)
    seconds, lines = time.perf_counter() - began, done.stdout.splitlines()
    if done.returncode:
        raise OSError(f"`{' '.join(command)}` exited with {done.returncode}: {' '.join(lines[-1:])}")
    return lines, seconds


def git(*arguments: str) -> list[str]:
    """Run git in this repository and return the lines of its output. Raises OSError if it fails."""
    return run_command(["git", *arguments], REPOSITORY, os.environ)[0]


if __name__ == "__main__":
    raise SystemExit(main())
