"""The measurements of each round, and their tables: medians, ranges and ratios.

Two runs of one round are at most minutes apart, so other load affects both alike. So each ratio is between two runs of
one round, and the tables show the median of these ratios.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median
from typing import Any

from classifier.files.table import as_markdown as as_markdown_table

NOTEBOOK = "notebook"
RECIPE = "params.yaml"

# Headings in the table of the commands that run no stage.
NO_OP = "`dvc repro` of this pipeline"
FLOOR = "`dvc repro` of four trivial stages"
TWIN = "`dvc repro` of trivial stages with as many files and parameters"
DVC_VERSION = "`dvc version`"
DVC_DASH_VERSION = "`dvc --version`"

NO_OP_GOAL = 1.1  # times DVC's own floor, of which README.md describes two


@dataclass(frozen=True)
class Process:
    """Wall time of a process in seconds, and its peak resident memory in MiB."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Run:
    """One run of the notebook or of a whole pipeline; a figure that the run does not print is None.

    `peak_mib` is the peak of its largest process, `epoch_seconds` the median time of an epoch, `fit_seconds` the time
    of `fit` alone. Accuracies are 0 to 1.
    """

    seconds: float
    peak_mib: float
    test_accuracy: float
    validation_accuracy: float | None
    epoch_seconds: float | None
    fit_seconds: float | None
    stages: Mapping[str, Process]


@dataclass(frozen=True)
class Round:
    """A run of each contestant by name, and the seconds of the commands that run no stage by heading.

    A contestant is the notebook or a recipe. `busy` is the share of the processors, 0 to 1, that was in use when the
    round began; it should be near 0.
    """

    busy: float
    runs: Mapping[str, Run]
    idle: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Results:
    """All rounds of one commit on one machine."""

    commit: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    rounds: Sequence[Round]

    @property
    def contestants(self) -> list[str]:
        return list(self.rounds[0].runs)


Figure = Callable[[Run], float | None]

_SECONDS = attrgetter("seconds")
_FIT = attrgetter("fit_seconds")
_PEAK = attrgetter("peak_mib")

# A recipe, by the name of its file; a figure; and the largest accepted ratio of the figure to the notebook's.
RUN_GOALS = (
    (RECIPE, "whole run", _SECONDS, 0.40),
    ("notebook.yaml", "`fit`", _FIT, 1.0),
    ("notebook.yaml", "peak memory of any stage", _PEAK, 0.6),
    ("quick.yaml", "`fit`", _FIT, 0.25),
)


def as_markdown(results: Results) -> str:
    """Return the page: the machine, the runs from nothing, the commands with nothing to do, and the goals."""
    facts = dict(results.machine) | {"versions": ", ".join(f"{name} {each}" for name, each in results.versions.items())}
    facts |= {
        "commit": f"`{results.commit}`",
        "processors busy before a round": spread([each.busy for each in results.rounds], ".0%"),
    }
    parts = [
        "# Results",
        "Written by `make bench`; [README.md](README.md) says what each row means. Each figure is the median of "
        f"{_count(len(results.rounds), 'round')}, with the least and the most in brackets; each ratio is taken "
        "within a round, and its median is that of the ratios.",
        as_markdown_table([["", "measured on"], *([name, fact] for name, fact in facts.items())]),
        "## From nothing",
        as_markdown_table(_runs(results)),
        "## Nothing to do",
        as_markdown_table(_idle(results)),
        "## Goals",
        as_markdown_table(_goals(results)),
    ]
    return "\n\n".join(parts) + "\n"


def in_turn(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the ratios of measurements that were made in turn.

    Raises:
        ValueError: the two sequences have different lengths.
    """
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def spread(values: Sequence[float], form: str) -> str:
    """Return the median with the least and the most, each in `form`: `1.2 (1.1 to 1.5)`."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _runs(results: Results) -> list[list[str]]:
    """The rows of the table of runs: a column for each contestant."""
    names = results.contestants
    stages = list(results.rounds[0].runs[names[-1]].stages)
    rows: list[tuple[str, str, Figure]] = [  # a row without a format is a ratio to the notebook
        ("whole run, s", ".1f", _SECONDS),
        ("ratio to the notebook", "", _SECONDS),
        ("an epoch, s", ".2f", attrgetter("epoch_seconds")),
        ("`fit`, s", ".1f", _FIT),
        ("ratio of `fit`", "", _FIT),
        *((f"stage {stage}, s", ".1f", _of_stage(stage, _SECONDS)) for stage in stages),
        ("peak memory, MiB", ",.0f", _PEAK),
        ("ratio of peak memory", "", _PEAK),
        *((f"stage {stage}, MiB", ",.0f", _of_stage(stage, _PEAK)) for stage in stages),
        ("test accuracy", ".4f", attrgetter("test_accuracy")),
        ("validation accuracy", ".4f", attrgetter("validation_accuracy")),
    ]
    table = [["", *names]]
    for heading, form, figure in rows:
        if form:
            cells = [_cell([figure(each.runs[name]) for each in results.rounds], form) for name in names]
        else:
            cells = [_cell(_to_notebook(results, name, figure), ".3f") for name in names]
        table.append([heading, *cells])
    return table


def _idle(results: Results) -> list[list[str]]:
    """The rows of the table of commands that run no stage, each with its ratio to DVC's floor."""
    floor = _all(results, FLOOR)
    table = [["", "s", "ratio to DVC's floor", "times"]]
    for heading in results.rounds[0].idle:
        seconds = _all(results, heading)
        table.append([heading, spread(seconds, ".3f"), spread(in_turn(seconds, floor), ".2f"), str(len(seconds))])
    return table


def _goals(results: Results) -> list[list[str]]:
    """A row for each goal: the goal, the measurement, and whether it reaches the goal."""
    goals = []
    for floor in (FLOOR, TWIN):
        ratios = in_turn(_all(results, NO_OP), _all(results, floor))
        goals.append((f"{NO_OP}, nothing to do, over {floor}", median(ratios), NO_OP_GOAL))
    for name, what, figure, most in RUN_GOALS:
        if name in results.contestants and (ratios := _to_notebook(results, name, figure)):
            goals.append((f"{name}: {what}, over the notebook's", median(ratios), most))
    table = [["goal", "at most", "measured", ""]]
    for goal, ratio, most in goals:
        table.append([goal, f"{most:.2f}", f"{ratio:.2f}", "reached" if ratio <= most else "not reached"])
    return table


def _to_notebook(results: Results, name: str, figure: Figure) -> list[float]:
    """The ratio in each round; empty if one of the two lacks the figure."""
    pairs = [(figure(each.runs[name]), figure(each.runs[NOTEBOOK])) for each in results.rounds]
    return [ours / its for ours, its in pairs if ours is not None and its is not None]


def _all(results: Results, heading: str) -> list[float]:
    return [seconds for each in results.rounds for seconds in each.idle[heading]]


def _of_stage(stage: str, figure: Callable[[Any], float | None]) -> Figure:
    return lambda run: figure(run.stages[stage]) if stage in run.stages else None


def _cell(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return spread(known, form) if known and len(known) == len(values) else "-"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
