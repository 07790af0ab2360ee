"""The measurements of a bench by round, and their tables: medians, ranges and ratios taken in turn.

Two runs of one round are at most minutes apart, so other load affects both alike. A ratio is therefore
taken in each round, and the median is that of the ratios.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median

from classifier.files.table import as_markdown as as_markdown_table

NOTEBOOK = "notebook"
RECIPE = "params.yaml"

# Commands that run no stage, by the heading they have in the table.
NO_OP = "`dvc repro` of this pipeline"
FLOOR = "`dvc repro` of four trivial stages"
TWIN = "`dvc repro` of trivial stages with as many files and parameters"
DVC_VERSION = "`dvc version`"
DVC_DASH_VERSION = "`dvc --version`"

NO_OP_GOAL = 1.1  # of DVC's own floor, which README.md takes two ways


@dataclass(frozen=True)
class Process:
    """Wall time in seconds and peak of resident memory in MiB of a process."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Run:
    """One run of the notebook or of a whole pipeline; a figure that it does not print is None.

    `peak_mib` is that of its largest process, `epoch_seconds` the median from one epoch to the next, `fit_seconds` what
    `fit` alone took. Accuracies are 0 to 1.
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
    """A run of each contestant, by name, and the seconds of the commands that run no stage, by heading.

    `busy` is the share of the processors, 0 to 1, that was in use when the round began; it should be near 0.
    """

    busy: float
    runs: Mapping[str, Run]
    idle: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Results:
    """All rounds, of one commit on one machine. `recipes` are the contestants without the notebook."""

    commit: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    rounds: Sequence[Round]

    @property
    def contestants(self) -> list[str]:
        return list(self.rounds[0].runs)


Figure = Callable[[Run], float | None]

_SECONDS: Figure = attrgetter("seconds")
_FIT: Figure = attrgetter("fit_seconds")
_PEAK: Figure = attrgetter("peak_mib")

# Of the contestants, by the name of their parameter file: what is compared with the notebook's, and the most it may be.
RUN_GOALS = (
    (RECIPE, "whole run", _SECONDS, 0.40),
    ("notebook.yaml", "`fit`", _FIT, 1.0),
    ("notebook.yaml", "peak memory of any stage", _PEAK, 0.6),
    ("quick.yaml", "`fit`", _FIT, 0.25),
)


def as_markdown(results: Results) -> str:
    """Return the report: the machine, the runs from nothing, the commands with nothing to do, and the goals."""
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
    """Return the ratio of each pair that was measured side by side.

    Raises:
        ValueError: the two are not of the same length.
    """
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def spread(values: Sequence[float], form: str) -> str:
    """Return the median with the least and the most, each in `form`: `1.2 (1.1 to 1.5)`."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _runs(results: Results) -> list[list[str]]:
    """The rows of the table of runs: a column a contestant."""
    names = results.contestants
    stages = list(results.rounds[0].runs[names[-1]].stages)
    rows: list[tuple[str, str, Callable[[Run], float | None]]] = [
        ("whole run, s", ".1f", lambda run: run.seconds),
        ("an epoch, s", ".2f", lambda run: run.epoch_seconds),
        ("`fit`, s", ".1f", lambda run: run.fit_seconds),
        *((f"stage {stage}, s", ".1f", _of_stage(stage, lambda each: each.seconds)) for stage in stages),
        ("peak memory, MiB", ",.0f", lambda run: run.peak_mib),
        *((f"stage {stage}, MiB", ",.0f", _of_stage(stage, lambda each: each.peak_mib)) for stage in stages),
        ("test accuracy", ".4f", lambda run: run.test_accuracy),
        ("validation accuracy", ".4f", lambda run: run.validation_accuracy),
    ]
    table = [["", *names]]
    for heading, form, figure in rows:
        table.append([heading, *(_cell([figure(each.runs[name]) for each in results.rounds], form) for name in names)])
    for row, heading, figure in (
        (2, "ratio to the notebook", _SECONDS),
        (5, "ratio of `fit`", _FIT),
        (11, "ratio of peak memory", _PEAK),
    ):
        ratios = [_to_notebook(results, name, figure) for name in names]
        table.insert(row, [heading, *(spread(ratio, ".3f") if ratio else "-" for ratio in ratios)])
    return table


def _idle(results: Results) -> list[list[str]]:
    """The rows of the table of commands that run no stage, each with its ratio to the floor measured beside it."""
    floor = _all(results, FLOOR)
    return [
        ["", "s", "ratio to DVC's floor", "times"],
        *(
            [heading, spread(seconds, ".3f"), spread(in_turn(seconds, floor), ".2f"), str(len(seconds))]
            for heading in results.rounds[0].idle
            for seconds in [_all(results, heading)]
        ),
    ]


def _goals(results: Results) -> list[list[str]]:
    """A row for each goal: the goal, the measurement, and whether it reaches the goal."""
    goals = [
        (
            f"{NO_OP}, nothing to do, over {floor}",
            median(in_turn(_all(results, NO_OP), _all(results, floor))),
            NO_OP_GOAL,
        )
        for floor in (FLOOR, TWIN)
    ]
    for name, what, figure, most in RUN_GOALS:
        if name in results.contestants and (ratios := _to_notebook(results, name, figure)):
            goals.append((f"{name}: {what}, over the notebook's", median(ratios), most))
    return [
        ["goal", "at most", "measured", ""],
        *([goal, f"{most:.2f}", f"{ratio:.2f}", _verdict(ratio, most)] for goal, ratio, most in goals),
    ]


def _verdict(measured: float, most: float) -> str:
    return "reached" if measured <= most else "not reached"


def _to_notebook(results: Results, name: str, figure: Figure) -> list[float]:
    """The ratio of each round; none if either lacks the figure."""
    pairs = [(figure(each.runs[name]), figure(each.runs[NOTEBOOK])) for each in results.rounds]
    return [ours / its for ours, its in pairs if ours is not None and its is not None]


def _all(results: Results, heading: str) -> list[float]:
    return [seconds for each in results.rounds for seconds in each.idle[heading]]


def _of_stage(stage: str, figure: Callable[[Process], float]) -> Callable[[Run], float | None]:
    return lambda run: figure(run.stages[stage]) if stage in run.stages else None


def _cell(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return spread(known, form) if len(known) == len(values) else "-"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
