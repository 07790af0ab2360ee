import json
from dataclasses import asdict, replace

import pytest

from bench import feed, goals, report
from bench.goals import Goal
from classifier.parameters import read_section
from review.seeds import parse_records
from stages import train
from tests.bench.test_growth import run as growth_run
from tests.bench.test_report import results, run
from tests.conftest import REPOSITORY


def rows(found: list[Goal]) -> dict[str, list[str]]:
    return {goal.what: goal.row()[1:] for goal in found}


@pytest.mark.parametrize(("no_op", "verdict"), [([1.0, 1.1, 1.3], "reached"), ([1.0, 1.11, 1.11], "not reached")])
def test_the_median_decides_whether_a_goal_is_reached(no_op: list[float], verdict: str) -> None:
    goal = f"{report.NO_OP}, nothing to do, over {report.FLOOR}"
    assert rows(goals.of_rounds(results(no_op)))[goal][-1] == verdict


def test_there_is_also_a_goal_for_trivial_stages_with_as_many_files() -> None:
    goal = f"{report.NO_OP}, nothing to do, over {report.TWIN}"
    assert rows(goals.of_rounds(results([2.0, 2.1, 2.4])))[goal] == ["at most 1.10", "1.05", "reached"]


def test_a_goal_of_a_recipe_that_did_not_run_is_not_measured() -> None:
    found = rows(goals.of_rounds(results([1.0, 1.0, 1.0])))
    assert found["params.yaml: whole run, over the notebook's"] == ["at most 0.30", "0.50", "not reached"]
    assert found["quick.yaml: whole run, over the notebook's"] == ["at most 0.20", "-", "not measured"]


def test_the_accurate_recipe_has_a_goal_in_seconds() -> None:
    measured = results([1.0, 1.0, 1.0])
    first = replace(measured.rounds[0], runs={**measured.rounds[0].runs, "accurate.yaml": run(301.0)})
    found = rows(goals.of_rounds(replace(measured, rounds=[first])))
    assert found["accurate.yaml: whole run, s"] == ["at most 300", "301", "not reached"]


def test_the_accuracy_of_a_recipe_is_the_mean_over_the_seeds_with_its_parameters() -> None:
    records = parse_records((REPOSITORY / "evaluation/seed_noise.json").read_text())
    quick = (REPOSITORY / "recipes/quick.yaml").read_text()
    record = next(each for each in records if each.parameters["train.epochs"] == 1)
    right = [1 - len(each.misread["test"]) / 10_000 for each in record.runs]
    name = f"quick.yaml: mean test accuracy over {len(right)} seeds ([seed_noise.json](../evaluation/seed_noise.json))"
    found = rows(
        goals.of_accuracy(records, {"quick.yaml": quick, "params.yaml": quick.replace("epochs: 1", "epochs: 9")})
    )
    assert found[name][:2] == ["at least 0.99300", f"{sum(right) / len(right):.5f}"]
    other = "params.yaml: mean test accuracy ([seed_noise.json](../evaluation/seed_noise.json))"
    assert found[other] == ["at least 0.99400", "-", "not measured"]


def test_an_accuracy_that_only_rounds_to_the_goal_does_not_reach_it() -> None:
    assert Goal("accuracy", 0.994, 0.993996, ".5f", at_least=True).row()[1:] == [
        "at least 0.99400",
        "0.99400",
        "not reached",
    ]


def test_the_feed_is_compared_with_a_batch_at_hand() -> None:
    recipe = read_section("train", train.Parameters)
    taken = {feed.AT_HAND: [(0.010, 0.02)], "old": [(0.020, 0.02)], "this": [(0.0115, 0.02)]}
    goal = goals.of_feed("\n".join(feed.table(taken, recipe)))
    assert goal.row()[1:] == ["at most 1.10", "1.15", "not reached"]
    assert goals.of_feed("").row()[-1] == "not measured"


@pytest.mark.parametrize(("more", "verdict"), [(90, "reached"), (96, "not reached")])
def test_the_goal_of_growth_is_for_16_times_the_images(more: float, verdict: str) -> None:
    runs = [growth_run(70_000, 300), growth_run(1_120_000, 300 + more)]
    document = json.loads(
        json.dumps({"facts": {"commit": "abc", "epochs": "1"}, "runs": [asdict(run) for run in runs]})
    )
    assert goals.of_growth(document).row()[1:] == ["at most 100", f"{more * 2**20 / 1e6:.0f}", verdict]
    (line,) = goals.links(document)
    assert "on 1, 16 times MNIST, `dvc repro` with `epochs: 1` takes 100, 100 s" in line
    assert line.endswith(f"its largest stage needs 300, {300 + more} MiB.")
    del document["runs"][1]
    assert goals.of_growth(document).row()[-1] == "not measured"
    assert goals.links({}) == []
