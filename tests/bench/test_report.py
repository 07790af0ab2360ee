import pytest

from bench import report
from bench.report import Process, Results, Round, Run


def run(seconds: float, **stages: float) -> Run:
    processes = {name: Process(each, 100 * each) for name, each in stages.items()}
    return Run(seconds, 500, 0.99, None, None, None, processes)


def results(no_op: list[float]) -> Results:
    """Three rounds on a machine that becomes slower: the notebook takes 10, 20 and 40 seconds."""
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


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    # The ratio of the medians would be 12 / 20 = 0.6.
    assert report.in_turn([5, 12, 16], [10, 20, 40]) == [0.5, 0.6, 0.4]
    assert row(report.as_markdown(results([1.0, 1.0, 1.0])), "ratio to the notebook")[1] == "0.500 (0.400 to 0.600)"


def test_measurements_that_were_not_made_in_turn_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="longer"):
        report.in_turn([1.0], [1.0, 2.0])


def test_a_figure_is_the_median_with_the_smallest_and_the_largest_value() -> None:
    assert report.spread([3.0, 1.0, 2.5], ".1f") == "2.5 (1.0 to 3.0)"


def test_the_notebook_has_a_dash_in_the_rows_about_stages() -> None:
    cells = row(report.as_markdown(results([1.0, 1.0, 1.0])), "stage train, s")
    assert cells == ["-", "11.0 (4.0 to 15.0)"]


@pytest.mark.parametrize(("no_op", "verdict"), [([1.0, 1.1, 1.3], "reached"), ([1.0, 1.11, 1.11], "not reached")])
def test_the_median_decides_whether_a_goal_is_reached(no_op: list[float], verdict: str) -> None:
    goal = f"{report.NO_OP}, nothing to do, over {report.FLOOR}"
    assert row(report.as_markdown(results(no_op)), goal)[-1] == verdict


def test_there_is_also_a_goal_for_trivial_stages_with_as_many_files() -> None:
    goal = f"{report.NO_OP}, nothing to do, over {report.TWIN}"
    assert row(report.as_markdown(results([2.0, 2.1, 2.4])), goal) == ["1.10", "1.05", "reached"]
