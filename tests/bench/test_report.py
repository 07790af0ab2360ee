import pytest

from bench import report
from bench.report import Process, Results, Round, Run


def run(seconds: float, **stages: float) -> Run:
    processes = {name: Process(each, 100 * each) for name, each in stages.items()}
    return Run(seconds, 500, 0.99, None, None, None, processes)


def results(no_op: list[float]) -> Results:
    """Three rounds in which the machine slows down: the notebook takes 10, 20 and 40 seconds."""
    seconds = [(10.0, 5.0), (20.0, 12.0), (40.0, 16.0)]
    rounds = [
        Round(
            busy=0.0,
            runs={report.NOTEBOOK: run(notebook), report.RECIPE: run(pipeline, train=pipeline - 1)},
            idle={report.NO_OP: [each], report.FLOOR: [1.0], report.TWIN: [2.0]},
        )
        for (notebook, pipeline), each in zip(seconds, no_op, strict=True)
    ]
    return Results("abc1234", {"processor": "one"}, {"python": "3.11.7"}, rounds)


def row(markdown: str, heading: str) -> list[str]:
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {heading} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_a_ratio_is_taken_round_by_round_before_the_median() -> None:
    # The ratio of the medians, 12 / 20, is another number.
    assert report.in_turn([5, 12, 16], [10, 20, 40]) == [0.5, 0.6, 0.4]
    assert row(report.as_markdown(results([1.0, 1.0, 1.0])), "ratio to the notebook")[1] == "0.500 (0.400 to 0.600)"


def test_what_was_not_measured_side_by_side_has_no_ratio() -> None:
    with pytest.raises(ValueError, match="longer"):
        report.in_turn([1.0], [1.0, 2.0])


def test_a_figure_is_a_median_with_the_least_and_the_most() -> None:
    assert report.spread([3.0, 1.0, 2.5], ".1f") == "2.5 (1.0 to 3.0)"


def test_a_contestant_without_stages_has_a_dash_for_them() -> None:
    cells = row(report.as_markdown(results([1.0, 1.0, 1.0])), "stage train, s")
    assert cells == ["-", "11.0 (4.0 to 15.0)"]


@pytest.mark.parametrize(("no_op", "verdict"), [([1.0, 1.1, 1.3], "reached"), ([1.0, 1.11, 1.11], "not reached")])
def test_a_goal_is_judged_by_the_median(no_op: list[float], verdict: str) -> None:
    goal = f"{report.NO_OP}, nothing to do, over {report.FLOOR}"
    assert row(report.as_markdown(results(no_op)), goal)[-1] == verdict


def test_the_floor_of_as_many_files_is_judged_beside_it() -> None:
    goal = f"{report.NO_OP}, nothing to do, over {report.TWIN}"
    assert row(report.as_markdown(results([2.0, 2.1, 2.4])), goal) == ["1.10", "1.05", "reached"]
