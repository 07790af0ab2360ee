from dataclasses import replace

import pytest

from bench import report
from bench.report import Process, Results, Round, Run, Training

TRAINING = Training("bfloat16", steps=100, operations=2 * 10**12)


def run(seconds: float, training: Training | None = None, fit: float | None = None, **stages: float) -> Run:
    processes = {name: Process(each, 100 * each) for name, each in stages.items()}
    return Run(seconds, 500, 0.99, None, None, fit, processes, training)


def results(no_op: list[float]) -> Results:
    """Three rounds on a machine that becomes slower: the notebook takes 10, 20 and 40 seconds."""
    seconds = [(10.0, 5.0), (20.0, 12.0), (40.0, 16.0)]
    rounds = [
        Round(
            busy=0.0,
            peaks={"float32": 200.0, "bfloat16": 4000 / pipeline},
            runs={
                report.NOTEBOOK: run(notebook),
                report.RECIPE: run(pipeline, TRAINING, fit=pipeline / 2, train=pipeline - 1),
            },
            idle={report.NO_OP: [each], report.FLOOR: [1.0], report.TWIN: [2.0]},
        )
        for (notebook, pipeline), each in zip(seconds, no_op, strict=True)
    ]
    return Results("abc1234", {"processor": "one"}, {"python": "3.11.7"}, rounds)


def page(results: Results) -> str:
    return report.as_markdown(results, [["a goal", "at most 1", "0.5", "reached"]], [])


def row(markdown: str, heading: str) -> list[str]:
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {heading} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    # The ratio of the medians would be 12 / 20 = 0.6.
    assert report.in_turn([5, 12, 16], [10, 20, 40]) == [0.5, 0.6, 0.4]
    assert row(page(results([1.0, 1.0, 1.0])), "ratio to the notebook")[1] == "0.500 (0.400 to 0.600)"


def test_measurements_that_were_not_made_in_turn_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="longer"):
        report.in_turn([1.0], [1.0, 2.0])


def test_a_figure_is_the_median_with_the_smallest_and_the_largest_value() -> None:
    assert report.spread([3.0, 1.0, 2.5], ".1f") == "2.5 (1.0 to 3.0)"


def test_a_figure_that_was_measured_once_has_no_brackets() -> None:
    assert report.spread([3.0], ".1f") == "3.0"


def test_a_recipe_that_runs_once_is_compared_with_the_notebook_of_its_round() -> None:
    measured = results([1.0, 1.0, 1.0])
    first = measured.rounds[0]
    once = replace(first, runs={**first.runs, "once.yaml": run(30.0, train=29.0)})
    markdown = page(replace(measured, rounds=[once, *measured.rounds[1:]]))
    assert row(markdown, "whole run, s") == ["20.0 (10.0 to 40.0)", "12.0 (5.0 to 16.0)", "30.0"]
    assert row(markdown, "ratio to the notebook")[-1] == "3.000"


def test_the_rate_of_training_is_a_share_of_the_peak_of_the_same_round_in_the_same_precision() -> None:
    markdown = page(results([1.0, 1.0, 1.0]))
    assert "| product of two matrices: the peak | bfloat16 | - | 333 (250 to 800) | - |" in markdown
    # 2,000 GFLOP in 2.5 s, where 800 GFLOP/s is the peak; and in the slower rounds so, too.
    assert row(markdown, report.RECIPE) == [
        "bfloat16",
        "60.0 (25.0 to 80.0)",
        "333 (250 to 800)",
        "100% (100% to 100%)",
    ]


def test_the_notebook_has_a_dash_in_the_rows_about_stages() -> None:
    cells = row(page(results([1.0, 1.0, 1.0])), "stage train, s")
    assert cells == ["-", "11.0 (4.0 to 15.0)"]
