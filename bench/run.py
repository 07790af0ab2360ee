"""Time the notebook and the whole pipeline in turn, on clones of HEAD, and write bench/results.md and results.json.

Nothing is restored: every run starts in a fresh clone, with an empty cache and none of the user's DVC settings.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil

from bench import machine, report
from bench.report import Results, Round, Run
from bench.sandbox import Sandbox, fresh_clone, git, make_floor, make_twin, prepare, recorded, run_command
from classifier.files.whole_file import whole_file

IDLE_TIMES = 5  # a round, of each command that runs no stage: they take a second or so, and a median needs more of them

BUSY_SECONDS = 3.0  # to look at the processors before a round
BUSY = 0.1  # of the processors: more than an idle machine uses

# The lines with which Keras begins an epoch, and stages/train.py ends one.
EPOCH = re.compile(r"(Epoch \d+/\d+|train: epoch \d+ of \d+)")

# The line with which stages/train.py ends.
FIT = re.compile(r"train: \d+ epochs on .*, (\d+\.\d) s -> ")


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; return 0, or 1 if there is nothing to measure or a run fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run, in turn (3)")
    parser.add_argument("--mirror", default=os.environ.get("DATASET_MIRROR"), help="mnist.npz ($DATASET_MIRROR)")
    parser.add_argument("--recipe", action="append", default=[], type=Path, help="another params.yaml to time as well")
    parser.add_argument("--output", type=Path, default=Path("bench/results.md"), help="with a .json beside it")
    options = parser.parse_args(arguments)
    try:
        archive = find_archive(options.mirror)
        recipes = read_recipes(options.recipe)
        commit = head()
        if options.rounds < 1:
            raise ValueError(f"--rounds must be at least 1, got {options.rounds}")
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            rounds = list(measure(prepare(Path(folder), archive), recipes, options.rounds))
        results = Results(commit, machine.describe(), machine.versions(), rounds)
        for path, text in (
            (options.output, report.as_markdown(results)),
            (options.output.with_suffix(".json"), json.dumps(asdict(results), indent=2) + "\n"),
        ):
            with whole_file(path) as partial:
                partial.write_text(text)
    except (ValueError, OSError) as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; nothing is written", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells count
    print(f"bench: {', '.join(results.contestants)}, each {len(rounds)} times in turn -> {options.output}")
    return 0


def find_archive(mirror: str | None) -> Path:
    """Return the absolute path of the archive that the notebook reads and the pipeline takes as its mirror.

    Raises:
        ValueError: none is named. OSError: it is not a file here; a download would be timed with the rest.
    """
    if not mirror:
        raise ValueError("no archive to read: name a copy of mnist.npz with --mirror or DATASET_MIRROR")
    if not Path(mirror).is_file():
        raise FileNotFoundError(f"{mirror}: no such file; expected a copy of mnist.npz on this machine")
    return Path(mirror).resolve()


def read_recipes(paths: Sequence[Path]) -> dict[str, str]:
    """Return the text of each further params.yaml by the name of its file.

    Raises:
        ValueError: two have one name. OSError: one cannot be read.
    """
    recipes = {path.name: path.read_text() for path in paths}
    if len(recipes) < len(paths) or recipes.keys() & {report.NOTEBOOK, report.RECIPE}:
        raise ValueError(f"--recipe: each file must have a name of its own, got {', '.join(map(str, paths))}")
    return recipes


def head() -> str:
    """Return the commit to measure.

    Raises:
        ValueError: a file outside bench/ differs from it, so the measurement would not be of the files here.
    """
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)bench")
    if changed:
        files = ", ".join(line[3:] for line in changed.splitlines())
        raise ValueError(f"the bench measures HEAD, from which the files here differ: {files}; commit or stash them")
    return git("rev-parse", "--short", "HEAD").strip()


def measure(sandbox: Sandbox, recipes: dict[str, str], rounds: int) -> Iterator[Round]:
    """Yield each round: the notebook, the default recipe and nothing to do after it, then each further recipe.

    Raises:
        OSError: a command failed. ValueError: a run did not do what it should have.
    """
    floor, twin = make_floor(sandbox), make_twin(sandbox)
    # Otherwise only the first run would read these from the disk.
    run_command(sandbox, ["python", "-c", "import keras, tensorflow"], sandbox.folder)
    for number in range(1, rounds + 1):
        busy = psutil.cpu_percent(interval=BUSY_SECONDS) / 100
        if busy > BUSY:
            told = f"{busy:.0%} of the processors are busy with something else, which slows what is measured"
            print(f"bench: round {number} of {rounds}: warning: {told}", file=sys.stderr)
        runs = {report.NOTEBOOK: run_notebook(sandbox)}
        _tell(number, rounds, report.NOTEBOOK, runs[report.NOTEBOOK])
        for name, text in ({report.RECIPE: None} | recipes).items():
            clone = fresh_clone(sandbox)
            if text is not None:
                (clone / "params.yaml").write_text(text)
            runs[name] = run_pipeline(sandbox, clone)
            _tell(number, rounds, name, runs[name])
            if text is None:
                idle = run_idle(sandbox, clone, floor, twin)
                told = ", ".join(f"{heading} {median(seconds):.2f} s" for heading, seconds in idle.items())
                print(f"bench: round {number} of {rounds}: nothing to do: {told}", flush=True)
        yield Round(busy, runs, idle)


def run_notebook(sandbox: Sandbox) -> Run:
    """Run the notebook's script from a fresh clone."""
    lines, seconds = run_command(
        sandbox, ["python", "-m", "bench.notebook", str(sandbox.archive)], fresh_clone(sandbox)
    )
    printed = json.loads(lines[-1][1])
    return Run(
        seconds=seconds,
        peak_mib=recorded(sandbox)["bench.notebook"].peak_mib,
        test_accuracy=printed["test_accuracy"],
        validation_accuracy=None,
        epoch_seconds=seconds_an_epoch(lines),
        fit_seconds=printed["fit_seconds"],
        stages={},
    )


def run_pipeline(sandbox: Sandbox, clone: Path) -> Run:
    """Run the pipeline of a fresh clone from nothing.

    Raises:
        ValueError: a stage did not run.
    """
    # It names the very bytes that training makes again: with it, DVC would find evaluate done before it ran.
    (clone / "dvc.lock").unlink()
    lines, seconds = run_command(sandbox, ["dvc", "repro"], clone)
    processes = recorded(sandbox)
    stages = {name.removeprefix("stages."): each for name, each in processes.items() if name.startswith("stages.")}
    listed = re.findall(r"^    cmd: python -E -m stages\.(\w+)$", (clone / "dvc.yaml").read_text(), re.MULTILINE)
    if list(stages) != listed:
        raise ValueError(f"`dvc repro` in a fresh clone ran {', '.join(stages)}, expected {', '.join(listed)}")
    metrics = json.loads((clone / "metrics.json").read_text())
    return Run(
        seconds=seconds,
        peak_mib=max(each.peak_mib for each in stages.values()),
        test_accuracy=metrics["test"]["accuracy"],
        validation_accuracy=metrics.get("validation", {}).get("accuracy"),
        epoch_seconds=seconds_an_epoch(lines),
        fit_seconds=next((float(told[1]) for _, line in lines if (told := FIT.match(line))), None),
        stages=stages,
    )


def run_idle(sandbox: Sandbox, clone: Path, floor: Path, twin: Path) -> dict[str, list[float]]:
    """Return the seconds of each command that runs no stage, by heading, measured in turn.

    Raises:
        ValueError: a stage ran.
    """
    commands = {
        report.NO_OP: (["dvc", "repro"], clone),
        report.FLOOR: (["dvc", "repro"], floor),
        report.TWIN: (["dvc", "repro"], twin),
        report.DVC_VERSION: (["dvc", "version"], clone),
        report.DVC_DASH_VERSION: (["dvc", "--version"], clone),
    }
    seconds: dict[str, list[float]] = {heading: [] for heading in commands}
    for _ in range(IDLE_TIMES):
        for heading, (command, folder) in commands.items():
            lines, taken = run_command(sandbox, command, folder)
            if any(line.startswith("Running stage") for _, line in lines):
                raise ValueError(f"{heading} had nothing to do, and ran a stage")
            seconds[heading].append(taken)
    return seconds


def seconds_an_epoch(lines: Sequence[tuple[float, str]]) -> float | None:
    """Return the median time between two lines about an epoch, or None with fewer than two.

    The notebook prints at the beginning of an epoch and the stage at its end, so the notebook's last epoch and the
    stage's first are left out.
    """
    moments = [moment for moment, line in lines if EPOCH.match(line)]
    return median(later - earlier for earlier, later in pairwise(moments)) if len(moments) > 1 else None


def _tell(number: int, rounds: int, name: str, run: Run) -> None:
    told = f"{run.seconds:.1f} s, {run.peak_mib:,.0f} MiB, test accuracy {run.test_accuracy:.4f}"
    print(f"bench: round {number} of {rounds}: {name}: {told}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
