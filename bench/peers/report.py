"""The runs of each round, and their table: medians, ranges and ratios within a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from bench.report import in_turn, spread
from classifier.files import markdown_table as as_markdown_table

OURS = "this project"


@dataclass(frozen=True)
class Run:
    """One training: seconds of the process, of `fit` and of a step, and the accuracy on the test images, 0 to 1.

    The process does not include the test. A step is a share of an epoch after the first, with its validation.
    """

    seconds: float
    fit_seconds: float
    step_seconds: float
    test_accuracy: float


@dataclass(frozen=True)
class Round:
    """A run of each contestant by name; `busy` is the share of the processors in use before the round, 0 to 1."""

    seed: int
    busy: float
    runs: Mapping[str, Run]


@dataclass(frozen=True)
class Results:
    """All rounds of one commit on one machine."""

    command: str
    commit: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    rounds: Sequence[Round]


def markdown_table(results: Results) -> str:
    """Return the page: the machine, and a row for each contestant."""
    facts = dict(results.machine) | {
        "versions": ", ".join(f"{name} {each}" for name, each in results.versions.items()),
        "commit": f"`{results.commit}`",
        "processors busy before a round": spread([each.busy for each in results.rounds], ".0%"),
        "seeds": ", ".join(str(each.seed) for each in results.rounds),
    }
    parts = [
        "# Peers",
        f"Written by `{results.command}`; [README.md](../README.md#peers) says what it measures. Each figure is the "
        "median, with the least and the most in brackets; each ratio is to this project in the same round. Of the test "
        "accuracy it is the mean.",
        as_markdown_table([["", "measured on"], *([name, fact] for name, fact in facts.items())]),
        as_markdown_table(_rows(results.rounds)),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(rounds: Sequence[Round]) -> list[list[str]]:
    heading = ["", "process, s", "ratio", "`fit`, s", "ratio", "ms a step", "ratio", "test accuracy"]
    table = [heading]
    for name in rounds[0].runs:
        row = [name]
        for figure, form, unit in (("seconds", ".1f", 1), ("fit_seconds", ".1f", 1), ("step_seconds", ".2f", 1000)):
            mine, ours = ([unit * getattr(each.runs[who], figure) for each in rounds] for who in (name, OURS))
            row += [spread(mine, form), spread(in_turn(mine, ours), ".2f")]
        accuracies = [each.runs[name].test_accuracy for each in rounds]
        table.append([*row, f"{mean(accuracies):.4f} ({min(accuracies):.4f} to {max(accuracies):.4f})"])
    return table
