"""The goals, and whether the rounds of bench.run and the measurements of other commands reach them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from bench.report import FLOOR, NO_OP, RECIPE, TWIN, Results, all_seconds, in_turn, runs_of, to_notebook
from classifier.paths import NOISE
from review.results import parse_parameters, recipe_of
from review.seeds import Record, parse_records, unlike

GROWTH = Path("bench/growth.json")
FEED = Path("bench/feed.md")
PEERS = "- [peers/peers.md](peers/peers.md): the same recipe in PyTorch and in JAX, in turn with this project."

ACCURATE = "accurate.yaml"
ACCURATE_SECONDS = 300.0

NO_OP_RATIO = 1.1  # times DVC's own floor, of which README.md describes two
FEED_RATIO = 1.1

# A recipe, by the name of its file, and the largest accepted ratio to the notebook.
WHOLE_RUN = {RECIPE: 0.30, "notebook.yaml": 0.90, "quick.yaml": 0.20}
PEAK_MEMORY = {"notebook.yaml": 0.60}

TEST_ACCURACY = {RECIPE: 0.9940, "quick.yaml": 0.9930, ACCURATE: 0.9965}

GROWN = 16  # times MNIST
GROWN_BYTES = 100e6  # that this many images may add to the memory of a stage


@dataclass(frozen=True)
class Goal:
    """What is measured, the largest accepted value or the smallest, and the measurement if there is one."""

    what: str
    limit: float
    measured: float | None
    form: str = ".2f"
    at_least: bool = False

    def row(self) -> list[str]:
        """Return the row of the table of goals. The value decides as it was measured, not as it is rounded."""
        limit = f"{'at least' if self.at_least else 'at most'} {self.limit:{self.form}}"
        if self.measured is None:
            return [self.what, limit, "-", "not measured"]
        reached = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        return [self.what, limit, f"{self.measured:{self.form}}", "reached" if reached else "not reached"]


def of_rounds(results: Results) -> list[Goal]:
    """Return the goals of times and memory that the rounds measure."""
    goals = []
    for floor in (FLOOR, TWIN):
        ratios = in_turn(all_seconds(results, NO_OP), all_seconds(results, floor))
        goals.append(Goal(f"{NO_OP}, nothing to do, over {floor}", NO_OP_RATIO, median(ratios)))
    for name, most in WHOLE_RUN.items():
        ratios = to_notebook(results, name, lambda run: run.seconds)
        goals.append(Goal(f"{name}: whole run, over the notebook's", most, _median(ratios)))
    for name, most in PEAK_MEMORY.items():
        ratios = to_notebook(results, name, lambda run: run.peak_mib)
        goals.append(Goal(f"{name}: peak memory of any stage, over the notebook's", most, _median(ratios)))
    seconds = [run.seconds for run in runs_of(results, ACCURATE)]
    goals.append(Goal(f"{ACCURATE}: whole run, s", ACCURATE_SECONDS, _median(seconds), ".0f"))
    return goals


def of_files(recipes: Mapping[str, str]) -> list[Goal]:
    """Return the goals of the measurements that are kept in files.

    Args:
        recipes: the text of each parameter file by its name.

    Raises:
        ValueError: a file has another form than its command gives it. OSError: there are no measurements over seeds.
    """
    accuracy = of_accuracy(parse_records(NOISE.read_text()), recipes)
    return [*accuracy, of_feed(FEED.read_text() if FEED.exists() else ""), of_growth(read_growth())]


def of_accuracy(records: Sequence[Record], recipes: Mapping[str, str]) -> list[Goal]:
    """Return the goals of mean test accuracy over seeds, each of the record with the same data set and parameters."""
    goals = []
    for name, least in TEST_ACCURACY.items():
        parameters = parse_parameters(recipes.get(name, ""))
        wanted, seeds, measured = recipe_of(parameters), "", None
        for record in records:
            same = record.dataset == parameters.get("download.dataset") and not unlike(record.parameters, wanted)
            if same and (readings := record.readings("test")):
                measured = 1 - mean(map(int, readings.errors)) / len(readings.counts)
                seeds = f" over {len(readings.errors)} seeds"
        what = f"{name}: mean test accuracy{seeds} ([seed_noise.json](../{NOISE}))"
        goals.append(Goal(what, least, measured, ".5f", at_least=True))
    return goals


def of_feed(page: str) -> Goal:
    """Return the goal of the feed; `page` is what bench.feed writes, or empty."""
    rows = [[cell.strip() for cell in line.split("|")] for line in page.splitlines() if line.startswith("|")]
    ratio = next((dict(zip(rows[0], row, strict=True))["ratio of medians"] for row in rows if row[1] == "this"), None)
    what = "a training step with its feed, over one on a batch at hand ([feed.md](feed.md))"
    return Goal(what, FEED_RATIO, float(ratio) if ratio else None)


def of_growth(document: Mapping[str, Any]) -> Goal:
    """Return the goal of memory; `document` is growth.json, or empty."""
    stages = {run["times"]: run["stages"] for run in document.get("runs", [])}
    more = None
    if {1, GROWN} <= stages.keys():
        mib = [stages[GROWN][stage]["anonymous_mib"] - each["anonymous_mib"] for stage, each in stages[1].items()]
        more = max(mib) * 2**20 / 1e6
    what = f"anonymous memory of any stage at {GROWN} times MNIST, more than at 1 time, MB ([growth.md](growth.md))"
    return Goal(what, GROWN_BYTES / 1e6, more, ".0f")


def read_growth() -> dict[str, Any]:
    """Return growth.json, or an empty dictionary if it is missing."""
    return dict(json.loads(GROWTH.read_text())) if GROWTH.exists() else {}


def links(growth: Mapping[str, Any]) -> list[str]:
    """Return a line for each page of other measurements, with its main figures; `growth` is growth.json, or empty."""
    lines = []
    if runs := sorted(growth.get("runs", []), key=lambda run: run["times"]):
        times = ", ".join(str(run["times"]) for run in runs)
        seconds = ", ".join(f"{run['seconds']:.0f}" for run in runs)
        memory = ", ".join(f"{max(each['anonymous_mib'] for each in run['stages'].values()):,.0f}" for run in runs)
        lines.append(
            f"- [growth.md](growth.md), commit `{growth['facts']['commit']}`: on {times} times MNIST, `dvc repro` with "
            f"`epochs: {growth['facts']['epochs']}` takes {seconds} s; its largest stage needs {memory} MiB."
        )
    return lines


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
