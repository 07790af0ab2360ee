"""Runs of recipes: those of a revision, and how long they take."""

from pathlib import Path

import pytest

from classifier.paths import PARAMS
from review.training import load_recipe, measure, seconds_a_seed
from tests.review.repository import OLD
from tests.review.stand_in import Project, seeds_of, trained


def test_a_revision_is_measured_with_its_code_and_its_record_is_not_written(here: Project) -> None:
    here.run("git checkout -q -b branch")
    here.replace("stages/evaluate.py", "{seed, 9}", "{seed, 8, 9}")
    here.commit("Evaluate otherwise")
    before = here.read("evaluation/seed_noise.json")
    record = measure(load_recipe(PARAMS, revision="main"), range(2))
    assert [run.misread["test"].tolist() for run in record.runs] == [[0, 9], [1, 9]]
    assert record.looks == (2,)
    assert here.read("evaluation/seed_noise.json") == before
    assert here.run("git status --porcelain") == ""
    # That of this folder has runs of its own.
    record = measure(load_recipe(), range(2))
    assert [run.misread["test"].tolist() for run in record.runs] == [[0, 8, 9], [1, 8, 9]]
    old, found = here.records()
    assert (old, [run["test"]["misread"] for run in found["seeds"]]) == (OLD, [[0, 8, 9], [1, 8, 9]])


def test_a_revision_is_measured_from_the_record_and_the_results_that_it_holds(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(load_recipe(), range(2))
    # Two spaces: git may miss an edit of the same size that follows a commit within a second.
    here.replace("params.yaml", "seed: 1", "seed:  3")
    here.run("dvc repro -q")
    here.commit("Results of seed 3, and the noise of seeds 0 and 1")
    here.run("git rm -q evaluation/seed_noise.json metrics.json")
    here.forget()
    capsys.readouterr()
    record = measure(load_recipe(PARAMS, revision="HEAD"), range(2))
    printed = capsys.readouterr().out
    assert trained(printed) == []
    assert "test" not in printed
    assert "noise: seed 3, `HEAD`: validation accuracy 0.9000\n" in printed
    assert [run.seed for run in record.runs] == [0, 1, 3]
    assert record.runs[2].misread["test"].tolist() == seeds_of(3)[0]["test"]["misread"]
    assert not Path("evaluation/seed_noise.json").exists()


def test_how_long_a_seed_takes_is_the_mean_of_its_trials(here: Project) -> None:
    recipe = load_recipe()
    assert seconds_a_seed(recipe) is None
    here.replace("stages/train.py", "import json", "import json, time\ntime.sleep(1)\nimport json")
    recipe = load_recipe()
    measure(recipe, range(2))
    assert 1 <= (seconds_a_seed(recipe) or 0) < 60
    here.replace("params.yaml", "epochs: 5", "epochs: 6")
    assert seconds_a_seed(load_recipe()) is None


def test_a_stage_that_fails_is_named_by_its_last_line_and_the_runs_before_it_are_kept(here: Project) -> None:
    here.replace(
        "stages/train.py",
        "environment =",
        "if seed == '1': raise SystemExit('first\\ntrain: no memory')\nenvironment =",
    )
    with pytest.raises(OSError, match=r"^train: no memory$"):
        measure(load_recipe(), range(3))
    assert here.runs() == ["0"]
    assert here.records() == [OLD]


def test_code_whose_metrics_have_no_loss_is_refused_in_one_line(here: Project) -> None:
    here.replace("stages/evaluate.py", '"loss"', '"cost"')
    here.commit("Older code")
    with pytest.raises(ValueError, match=r"^metrics\.json has no validation\.loss: the code of this recipe is too old"):
        measure(load_recipe(PARAMS, revision="HEAD"), range(1))


def test_a_trial_on_another_data_set_makes_no_record(here: Project) -> None:
    here.replace("stages/train.py", '"dataset": "mnist"', '"dataset": "mnist-5k"')
    with pytest.raises(ValueError, match=r"^seed 0 was trained on mnist-5k, expected mnist$"):
        measure(load_recipe(), range(2))
    assert here.records() == [OLD]
