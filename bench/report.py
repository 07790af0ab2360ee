"""The measurements of each round, and their tables: medians, ranges and ratios.

Two runs of one round are at most minutes apart, so other load affects both alike. So each ratio is between two runs of
one round, and the tables show the median of these ratios.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median
from typing import Any

from classifier.files import markdown_table as as_markdown_table

NOTEBOOK = "notebook"
RECIPE = "params.yaml"

# Headings in the table of the commands that run no stage.
NO_OP = "`dvc repro` of this pipeline"
FLOOR = "`dvc repro` of as many trivial stages"
TWIN = "`dvc repro` of trivial stages with as many files and parameters"
DVC_VERSION = "`dvc version`"
DVC_DASH_VERSION = "`dvc --version`"


@dataclass(frozen=True)
class Process:
    """Wall time of a process in seconds, and its peak resident memory in MiB."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Training:
    """The precision of a training, the number of its steps, and the floating-point operations of all steps together."""

    precision: str
    steps: int
    operations: int


@dataclass(frozen=True)
class Run:
    """One run of the notebook or of a whole pipeline; a figure that the run does not print is None.

    `peak_mib` is the peak of its largest process, `epoch_seconds` the median time of an epoch, `fit_seconds` the time
    of `fit` alone. Accuracies are 0 to 1. `training` is that of a pipeline.
    """

    seconds: float
    peak_mib: float
    test_accuracy: float
    validation_accuracy: float | None
    epoch_seconds: float | None
    fit_seconds: float | None
    stages: Mapping[str, Process]
    training: Training | None


@dataclass(frozen=True)
class Round:
    """A run of each contestant by name, and the seconds of the commands that run no stage by heading.

    A contestant is the notebook or a recipe; those that run once are in the first round only. `busy` is the share of
    the processors, 0 to 1, that was in use when the round began; it should be near 0. `peaks` are 1e9 floating-point
    operations a second, by precision.
    """

    busy: float
    peaks: Mapping[str, float]
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


def markdown_table(results: Results, goals: Sequence[Sequence[str]], links: Sequence[str]) -> str:
    """Return the page: the machine, the runs from nothing, training steps, commands with nothing to do, and goals.

    Args:
        goals: rows of a goal, its limit, the measurement, and whether it is reached. links: lines about other pages.
    """
    facts = dict(results.machine) | {"versions": ", ".join(f"{name} {each}" for name, each in results.versions.items())}
    facts |= {
        "commit": f"`{results.commit}`",
        "processors busy before a round": spread([each.busy for each in results.rounds], ".0%"),
    }
    parts = [
        "# Results",
        "Written by `make bench`; [README.md](README.md) says what each row means. Each figure is the median of "
        f"{_count(len(results.rounds), 'round')}, with the least and the most in brackets; a figure without brackets "
        "was measured once. Each ratio is taken within a round, and its median is that of the ratios.",
        as_markdown_table([["", "measured on"], *([name, fact] for name, fact in facts.items())]),
        "## From nothing",
        as_markdown_table(_runs(results)),
        "## A training step",
        as_markdown_table(_training_steps(results)),
        "## Nothing to do",
        as_markdown_table(_idle(results)),
        "## Goals",
        as_markdown_table([["goal", "limit", "measured", ""], *goals]),
        *(["## Other measurements", "\n".join(links)] if links else []),
    ]
    return "\n\n".join(parts) + "\n"


def in_turn(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the ratios of measurements that were made in turn.

    Raises:
        ValueError: the two sequences have different lengths.
    """
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def spread(values: Sequence[float], form: str) -> str:
    """Return the median with the least and the most, each in `form`: `1.2 (1.1 to 1.5)`; of one value, that value."""
    middle = f"{median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}} to {max(values):{form}})"


def runs_of(results: Results, name: str) -> list[Run]:
    """Return all runs of a contestant, without runs if it did not take part."""
    return [each.runs[name] for each in results.rounds if name in each.runs]


def to_notebook(results: Results, name: str, figure: Figure) -> list[float]:
    """Return the ratio of a figure to the notebook's in each round in which both have the figure."""
    rounds = [each.runs for each in results.rounds if name in each.runs]
    pairs = [(figure(runs[name]), figure(runs[NOTEBOOK])) for runs in rounds]
    return [ours / its for ours, its in pairs if ours is not None and its is not None]


def all_seconds(results: Results, heading: str) -> list[float]:
    """Return the seconds of a command that runs no stage, in all rounds."""
    return [seconds for each in results.rounds for seconds in each.idle[heading]]


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
            cells = [_cell([figure(run) for run in runs_of(results, name)], form) for name in names]
        else:
            cells = [_cell(to_notebook(results, name, figure), ".3f") for name in names]
        table.append([heading, *cells])
    return table


def _training_steps(results: Results) -> list[list[str]]:
    """A row for the peak in each precision, then one for each recipe."""
    table = [["", "precision", "a step, ms", "GFLOP/s", "of the peak"]]
    for precision in results.rounds[0].peaks:
        peaks = [each.peaks[precision] for each in results.rounds]
        table.append(["product of two matrices: the peak", precision, "-", spread(peaks, ",.0f"), "-"])
    for name in results.contestants:
        training = results.rounds[0].runs[name].training
        runs = [(each.runs[name].fit_seconds, each.peaks) for each in results.rounds if name in each.runs]
        timed = [(seconds, peaks) for seconds, peaks in runs if seconds]
        if training and timed:
            steps = [seconds / training.steps * 1e3 for seconds, _ in timed]
            rates = [training.operations / seconds / 1e9 for seconds, _ in timed]
            shares = in_turn(rates, [peaks[training.precision] for _, peaks in timed])
            table.append([name, training.precision, spread(steps, ".1f"), spread(rates, ",.0f"), spread(shares, ".0%")])
    return table


def _idle(results: Results) -> list[list[str]]:
    """The rows of the table of commands that run no stage, each with its ratio to DVC's floor."""
    floor = all_seconds(results, FLOOR)
    table = [["", "s", "ratio to DVC's floor", "times"]]
    for heading in results.rounds[0].idle:
        seconds = all_seconds(results, heading)
        table.append([heading, spread(seconds, ".3f"), spread(in_turn(seconds, floor), ".2f"), str(len(seconds))])
    return table


def _of_stage(stage: str, figure: Callable[[Any], float | None]) -> Figure:
    return lambda run: figure(run.stages[stage]) if stage in run.stages else None


def _cell(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return spread(known, form) if known and len(known) == len(values) else "-"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
