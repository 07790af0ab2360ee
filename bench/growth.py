"""Run the whole pipeline on N times as many images as MNIST, and write bench/growth.md and growth.json.

The images are MNIST's, each copy shifted by other pixels. Each number of images has a fresh clone of HEAD.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import linear_regression
from typing import Any

import numpy as np
import psutil
import yaml

from bench import machine
from bench.goals import GROWN_BYTES
from bench.memory import Watch
from bench.report import Process
from bench.run import BUSY_SECONDS, find_archive, head
from bench.sandbox import Sandbox, fresh_clone, prepare, recorded, run_command
from classifier.data.catalogue import MNIST
from classifier.data.formats import BLOCK, MEMBERS, Rows, open_npz, save_npz
from classifier.files import markdown_table, whole_file

SHIFT = 2  # pixels at most along each axis
SEED = 0
MILLION = 10**6
PAPER = 8 * MILLION  # images for which the figures are extrapolated
STORAGES = ("float32", "uint8")  # of bench/storage.py


@dataclass(frozen=True)
class Growth:
    """The measurements of one number of images.

    `stages` and `storages` have the peak of anonymous memory as `anonymous_mib`, next to the kernel's resident peak.
    `seconds` is the whole `dvc repro`, `disk` the bytes of data/ and of DVC's cache.
    """

    times: int
    images: int
    busy: float
    seconds: float
    disk: int
    stages: dict[str, dict[str, float]]
    storages: dict[str, dict[str, float]]


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the results; return 0, or 1 if the arguments are wrong or a run fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="times MNIST (1 2 4 8 16)")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of training (1)")
    parser.add_argument("--mirror", default=os.environ.get("DATASET_MIRROR"), help="mnist.npz ($DATASET_MIRROR)")
    parser.add_argument("--output", type=Path, default=Path("bench/growth.md"), help="tables; a .json goes beside it")
    options = parser.parse_args(arguments)
    try:
        archive, commit = find_archive(options.mirror), head()
        if min(options.times) < 1 or len(set(options.times)) < 2:
            raise ValueError(f"--times must be two different numbers of at least 1, got {options.times}")
        facts = {**machine.describe(), "commit": commit, "epochs": str(options.epochs)}
        figures = options.output.with_suffix(".json")
        runs = {run.times: run for run in load(figures, facts)}
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            sandbox = prepare(Path(folder), archive)
            for times in sorted(set(options.times) - set(runs)):
                runs[times] = measure(sandbox, times, options.epochs)
                _write(figures, json.dumps({"facts": facts, "runs": [asdict(run) for run in runs.values()]}, indent=2))
        wanted = [runs[times] for times in sorted(set(options.times))]
        _write(options.output, page(facts, wanted))
    except (ValueError, OSError) as error:
        print(f"growth: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"growth: {', '.join(f'{run.images:,}' for run in wanted)} images -> {options.output}")
    return 0


def load(figures: Path, facts: dict[str, str]) -> list[Growth]:
    """Return what a run that was interrupted has measured, if it measured the same commit in the same way."""
    if not figures.exists() or (found := json.loads(figures.read_text()))["facts"] != facts:
        return []
    return [Growth(**run) for run in found["runs"]]


def measure(sandbox: Sandbox, times: int, epochs: int) -> Growth:
    """Make the images, run the pipeline on them in a fresh clone, then write and read them in each storage."""
    source = sandbox.folder / "own.npz"
    images = make(sandbox.archive, times, source)
    clone = fresh_clone(sandbox)
    (clone / "dvc.lock").unlink(missing_ok=True)  # with it, DVC would skip stages
    recipe = yaml.safe_load((clone / "params.yaml").read_text())
    recipe["download"] |= {"dataset": str(source), "most_gib": 1 + source.stat().st_size // 2**30}
    recipe["train"]["epochs"] = epochs
    (clone / "params.yaml").write_text(yaml.safe_dump(recipe))
    busy = psutil.cpu_percent(interval=BUSY_SECONDS) / 100
    with Watch() as watch:
        _, seconds = run_command(sandbox, ["dvc", "repro"], clone)
    stages = _with_anonymous(recorded(sandbox), watch, "stages.")
    disk = sum(path.stat().st_size for top in ("data", ".dvc/cache") for path in (clone / top).rglob("*"))
    storages = {}
    for storage in STORAGES:
        with Watch() as watch:
            lines, _ = run_command(sandbox, ["python", "-m", "bench.storage", storage], clone)
        storages[storage] = json.loads(lines[-1][1]) | next(iter(_with_anonymous(recorded(sandbox), watch).values()))
    print(f"growth: {images:,} images: {seconds:.0f} s, largest stage {_largest(stages):,.0f} MiB", flush=True)
    return Growth(times, images, busy, seconds, disk, stages, storages)


def make(archive: Path, times: int, target: Path) -> int:
    """Write an archive of `times` copies of each image of MNIST; return the number of images.

    Each image of a copy but the first is shifted by up to SHIFT pixels along each axis, which SEED decides.
    """
    with open_npz(archive, MNIST.size) as opened:
        arrays = {name: opened[name].whole() for name in MEMBERS}
    rows = {
        name: Rows(
            (times * len(array), *array.shape[1:]), array.dtype, partial(copies, array, times, shifted=name[0] == "x")
        )
        for name, array in arrays.items()
    }
    save_npz(target, rows)
    return sum(len(rows[f"x_{split}"]) for split in ("train", "test"))


def copies(array: np.ndarray, times: int, shifted: bool) -> Iterator[np.ndarray]:
    """Yield the copies of an array in blocks; images (n, height, width) of all but the first are shifted."""
    random = np.random.default_rng(SEED)
    step = max(1, BLOCK // array[:1].nbytes)
    for copy in range(times):
        for first in range(0, len(array), step):
            block = array[first : first + step]
            yield shift(block, random.integers(0, 2 * SHIFT + 1, (2, len(block)))) if shifted and copy else block


def shift(images: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return uint8 (n, height, width) shifted by int (2, n), 0 to 2 * SHIFT, of which SHIFT is the middle."""
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:], axis=(1, 2))
    moved: np.ndarray = windows[np.arange(len(images)), by[0], by[1]]
    return moved


def page(facts: dict[str, str], runs: Sequence[Growth]) -> str:
    """Return the page: the machine, seconds and memory of each stage, the slopes, 8 million images, uint8."""
    stages = list(runs[0].stages)
    images = [run.images for run in runs]
    header = ["", *(f"{run.times} times: {run.images:,}" for run in runs), "a million more", f"{PAPER:,}, on paper"]

    def table(rows: dict[str, list[float]], form: str) -> str:
        body = []
        for name, values in rows.items():
            slope, start = linear_regression(images, values)
            extra = [slope * MILLION, start + slope * PAPER]
            body.append([name, *(f"{value:{form}}" for value in [*values, *extra])])
        return markdown_table([header, *body])

    def of_stages(figure: str) -> dict[str, list[float]]:
        return {stage: [run.stages[stage][figure] for run in runs] for stage in stages}

    storages = [
        [
            storage,
            *(f"{runs[-1].storages[storage][figure]:{form}}" for figure, form in STORAGE_FIGURES),
        ]
        for storage in STORAGES
    ]
    goals = [
        [stage, f"{(values[-1] - values[0]) * 2**20 / 1e6:,.0f}", _judge((values[-1] - values[0]) * 2**20)]
        for stage, values in of_stages("anonymous_mib").items()
    ]
    whole = {"whole `dvc repro`": [run.seconds for run in runs]}
    parts = [
        "# Growth",
        f"Written by `python -m bench.growth --times {' '.join(str(run.times) for run in runs)}`; "
        "[README.md](README.md#growth) says what each figure means. The slope is that of the line of least squares.",
        markdown_table([["", "measured on"], *([name, fact] for name, fact in facts.items())]),
        "Processors busy with other work before the runs: " + ", ".join(f"{run.busy:.0%}" for run in runs) + ".",
        "## Seconds",
        table(of_stages("seconds") | whole, ",.1f"),
        "## Peak of anonymous memory, MiB",
        table(of_stages("anonymous_mib"), ",.0f"),
        f"Goal: no stage has more than {GROWN_BYTES / 1e6:.0f} MB above its memory at {images[0]:,} images.",
        markdown_table([["", f"MB more at {images[-1]:,}", ""], *goals]),
        "## Peak of resident memory, MiB, pages of files included",
        table(of_stages("peak_mib"), ",.0f"),
        "## Disk, GB: `data/` and DVC's cache",
        table({"bytes": [run.disk / 1e9 for run in runs]}, ",.2f"),
        f"## Images stored as uint8, at {images[-1]:,} images",
        markdown_table([["", *(heading for _, heading in STORAGE_HEADINGS)], *storages]),
    ]
    return "\n\n".join(parts) + "\n"


STORAGE_FIGURES = (
    ("bytes", ",.0f"),
    ("write_seconds", ".1f"),
    ("read_seconds", ".1f"),
    ("anonymous_mib", ",.0f"),
    ("peak_mib", ",.0f"),
)
STORAGE_HEADINGS = (
    ("bytes", "bytes of training images"),
    ("write_seconds", "s to write"),
    ("read_seconds", "s to read in random order as float32"),
    ("anonymous_mib", "anonymous, MiB"),
    ("peak_mib", "resident, MiB"),
)


def _write(path: Path, text: str) -> None:
    with whole_file(path) as partial_path:
        partial_path.write_text(text.rstrip() + "\n")


def _judge(more: float) -> str:
    return "reached" if more <= GROWN_BYTES else "not reached"


def _largest(stages: dict[str, dict[str, float]]) -> float:
    return max(stage["anonymous_mib"] for stage in stages.values())


def _with_anonymous(processes: dict[str, Process], watch: Watch, prefix: str = "") -> dict[str, dict[str, Any]]:
    return {
        name.removeprefix(prefix): asdict(process) | {"anonymous_mib": watch.peak_mib[name]}
        for name, process in processes.items()
        if name.startswith(prefix)
    }


if __name__ == "__main__":
    raise SystemExit(main())
