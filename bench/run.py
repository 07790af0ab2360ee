"""Time the notebook and the whole pipeline in turn, on clones of HEAD, and write bench/results.md and results.json.

Every run starts in a fresh clone with an empty cache; the user's DVC settings do not apply.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from statistics import median

import psutil

from bench import goals, machine, peak, report
from bench.pages import save
from bench.report import Results, Round, Run, Training
from bench.sandbox import Sandbox, fresh_clone, git, make_floor, make_twin, prepare, recorded, run_command
from classifier.data import delivered
from classifier.paths import METRICS, PARAMS, PROVENANCE, SOURCE
from review.results import parse_parameters

IDLE_TIMES = 5  # runs in each round of each command that runs no stage: these are short, so their times vary more

BUSY_SECONDS = 3.0  # how long the load of the processors is measured before a round
BUSY = 0.1  # share of the processors; an idle machine uses less

# The line that Keras prints when an epoch begins, and the line that stages/train.py prints when one ends.
EPOCH = re.compile(r"(Epoch \d+/\d+|train: epoch \d+ of \d+)")

# The last line of stages/train.py.
FIT = re.compile(r"train: \d+ epochs on .*, (\d+\.\d) s -> ")


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the results; return 0, or 1 if the arguments are wrong or a run fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (3)")
    parser.add_argument("--mirror", default=os.environ.get("DATASET_MIRROR"), help="mnist.npz ($DATASET_MIRROR)")
    parser.add_argument("--recipe", action="append", default=[], type=Path, help="another params.yaml to time as well")
    parser.add_argument("--once", action="append", default=[], type=Path, help="the same, in the first round only")
    parser.add_argument("--output", type=Path, default=Path("bench/results.md"), help="tables; a .json goes beside it")
    options = parser.parse_args(arguments)
    try:
        archive = find_archive(options.mirror)
        recipes = read_recipes([*options.recipe, *options.once])
        once = {path.name for path in options.once}
        commit = head()
        if options.rounds < 1:
            raise ValueError(f"--rounds must be at least 1, got {options.rounds}")
        kept = goals.of_files({report.RECIPE: PARAMS.read_text()} | recipes)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            rounds = list(measure(prepare(Path(folder), archive), recipes, once, options.rounds))
        results = Results(commit, machine.describe(), machine.versions(), rounds)
        rows = [goal.row() for goal in (*goals.of_rounds(results), *kept)]
        links = [*goals.links(goals.read_growth()), goals.PEERS]
        save(options.output, report.markdown_table(results, rows, links), results)
    except (ValueError, OSError) as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; nothing was written", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells report it
    print(f"bench: {', '.join(results.contestants)} in {len(rounds)} rounds -> {options.output}")
    return 0


def find_archive(mirror: str | None) -> Path:
    """Return the absolute path of the archive, which the notebook reads and the pipeline uses as its mirror.

    Raises:
        ValueError: no archive is named. OSError: it is not a file on this machine; the times would include a download.
    """
    if not mirror:
        raise ValueError("no archive to read: name a copy of mnist.npz with --mirror or DATASET_MIRROR")
    if not Path(mirror).is_file():
        raise FileNotFoundError(f"{mirror}: no such file; expected a copy of mnist.npz on this machine")
    return Path(mirror).resolve()


def read_recipes(paths: Sequence[Path]) -> dict[str, str]:
    """Return the text of each further parameter file by the name of the file.

    Raises:
        ValueError: two have the same name. OSError: one cannot be read.
    """
    recipes = {path.name: path.read_text() for path in paths}
    if len(recipes) < len(paths) or recipes.keys() & {report.NOTEBOOK, report.RECIPE}:
        files = ", ".join(map(str, paths))
        raise ValueError(f"--recipe and --once: the names of the files must differ, got {files}")
    return recipes


def head() -> str:
    """Return the commit to measure.

    Raises:
        ValueError: a file outside bench/ differs from HEAD, so the bench would not measure the files in the folder.
    """
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)bench")
    if changed:
        files = ", ".join(line[3:] for line in changed.splitlines())
        raise ValueError(f"the bench measures HEAD, but these files differ from it: {files}; commit or stash them")
    return git("rev-parse", "--short", "HEAD").strip()


def measure(sandbox: Sandbox, recipes: dict[str, str], once: set[str], rounds: int) -> Iterator[Round]:
    """Yield each round: the peak, the notebook, the default recipe, commands with nothing to do, each further recipe.

    Args:
        recipes: the text of each further recipe by its name. once: the names of those for the first round only.

    Raises:
        OSError: a command failed. ValueError: a stage did not run, or one ran that had nothing to do.
    """
    floor, twin = make_floor(sandbox), make_twin(sandbox)
    # Without this, only the first run would have to read these libraries from the disk.
    run_command(sandbox, ["python", "-c", "import keras, tensorflow"], sandbox.folder)
    for number in range(1, rounds + 1):
        busy = psutil.cpu_percent(interval=BUSY_SECONDS) / 100
        if busy > BUSY:
            warning = f"{busy:.0%} of the processors are busy with other work, which makes the times longer"
            print(f"bench: round {number} of {rounds}: warning: {warning}", file=sys.stderr)
        peaks = measure_peaks(sandbox)
        figures = ", ".join(f"{gflops:,.0f} GFLOP/s in {precision}" for precision, gflops in peaks.items())
        print(f"bench: round {number} of {rounds}: peak: {figures}", flush=True)
        runs = {report.NOTEBOOK: run_notebook(sandbox)}
        _print_run(number, rounds, report.NOTEBOOK, runs[report.NOTEBOOK])
        for name, text in ({report.RECIPE: None} | recipes).items():
            if name in once and number > 1:
                continue
            clone = fresh_clone(sandbox)
            if text is not None:
                (clone / "params.yaml").write_text(text)
            runs[name] = run_pipeline(sandbox, clone)
            _print_run(number, rounds, name, runs[name])
            if text is None:
                idle = run_idle(sandbox, clone, floor, twin)
                times = ", ".join(f"{heading} {median(seconds):.2f} s" for heading, seconds in idle.items())
                print(f"bench: round {number} of {rounds}: nothing to do: {times}", flush=True)
        yield Round(busy, peaks, runs, idle)


def measure_peaks(sandbox: Sandbox) -> dict[str, float]:
    """Return the peak in each precision, in 1e9 floating-point operations a second."""
    lines, _ = run_command(sandbox, ["python", "-m", "bench.peak"], fresh_clone(sandbox))
    return dict(json.loads(lines[-1][1]))


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
        training=None,
    )


def run_pipeline(sandbox: Sandbox, clone: Path) -> Run:
    """Run the whole pipeline of a fresh clone.

    Raises:
        ValueError: a stage did not run.
    """
    # With dvc.lock, DVC would skip export and evaluate, because training makes exactly the model that dvc.lock names.
    (clone / "dvc.lock").unlink()
    lines, seconds = run_command(sandbox, ["dvc", "repro"], clone)
    processes = recorded(sandbox)
    stages = {name.removeprefix("stages."): each for name, each in processes.items() if name.startswith("stages.")}
    listed = re.findall(r"^    cmd: python -E -m stages\.(\w+)$", (clone / "dvc.yaml").read_text(), re.MULTILINE)
    if list(stages) != listed:
        raise ValueError(f"`dvc repro` in a fresh clone ran {', '.join(stages)}, expected {', '.join(listed)}")
    metrics = json.loads((clone / METRICS).read_text())
    return Run(
        seconds=seconds,
        peak_mib=max(each.peak_mib for each in stages.values()),
        test_accuracy=metrics["test"]["accuracy"],
        validation_accuracy=metrics.get("validation", {}).get("accuracy"),
        epoch_seconds=seconds_an_epoch(lines),
        fit_seconds=next((float(found[1]) for _, line in lines if (found := FIT.match(line))), None),
        stages=stages,
        training=describe_training(clone),
    )


def describe_training(clone: Path) -> Training:
    """Return the precision of the training in this folder, the number of its steps, and their operations."""
    recipe = parse_parameters((clone / PARAMS).read_text())
    provenance = json.loads((clone / PROVENANCE).read_text())
    data_set = delivered.load(clone / SOURCE).data_set
    images, epochs = provenance["images"]["train"], recipe["train.epochs"]
    each = peak.training_operations(data_set.image_shape, len(data_set.classes), recipe)
    steps = epochs * ceil(images / recipe["train.batch_size"])
    return Training(provenance["precision"].removeprefix("mixed_"), steps, epochs * images * each)


def run_idle(sandbox: Sandbox, clone: Path, floor: Path, twin: Path) -> dict[str, list[float]]:
    """Return the seconds of each command that runs no stage, by heading; the commands run in turn.

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
                raise ValueError(f"{heading} had nothing to do, but ran a stage")
            seconds[heading].append(taken)
    return seconds


def seconds_an_epoch(lines: Sequence[tuple[float, str]]) -> float | None:
    """Return the median time between two lines about an epoch, or None if there are fewer than two lines.

    The notebook prints when an epoch begins and the stage when one ends, so the notebook's last epoch and the stage's
    first one do not count.
    """
    moments = [moment for moment, line in lines if EPOCH.match(line)]
    return median(later - earlier for earlier, later in pairwise(moments)) if len(moments) > 1 else None


def _print_run(number: int, rounds: int, name: str, run: Run) -> None:
    figures = f"{run.seconds:.1f} s, {run.peak_mib:,.0f} MiB, test accuracy {run.test_accuracy:.4f}"
    print(f"bench: round {number} of {rounds}: {name}: {figures}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
