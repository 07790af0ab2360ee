"""Runs of recipes: what they depend on, those of a revision, and how long they take."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest

from classifier.files.paths import PARAMS
from review.training.recipe import Recipe, load_recipe
from review.training.runs import identity, measure, seconds_a_seed
from tests.review.repository import OLD
from tests.review.training.stand_in import Project, seeds_of, trained


def test_runs_are_kept_apart_by_all_that_they_depend_on_but_not_by_seed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stages/train.py", "classifier/model/architecture.py", "data/raw/dataset.json", "data/raw/mnist.npz"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")

    def recipe(epochs: int = 5, seed: int = 0, inputs: tuple[str, ...] = ("stages/train.py",)) -> Recipe:
        return Recipe({"train": {"epochs": epochs, "seed": seed}}, "mnist", None, Path(), list(inputs))

    found = [identity(recipe())]
    assert identity(recipe(seed=3)) == found[0]
    found += [identity(recipe(epochs=6)), identity(recipe(inputs=("stages/train.py", "data/raw/dataset.json")))]
    for name in ("stages/train.py", "classifier/model/architecture.py", "data/raw/dataset.json", "data/raw/mnist.npz"):
        Path(name).write_text("{ }")
        found.append(identity(recipe()))
    for target, value in (
        ("review.training.runs.version", lambda _: "9"),
        ("classifier.model.runtime.threads", lambda: 99),
        ("classifier.model.runtime.level", lambda _: "avx9"),
    ):
        monkeypatch.setattr(target, value)
        found.append(identity(recipe()))
    assert len(set(found)) == len(found) == 10


def test_a_revision_with_the_code_of_this_folder_has_its_runs(here: Project) -> None:
    revised = load_recipe(revision="main")
    assert identity(revised) == identity(load_recipe())
    (revised.project / "stages/train.py").write_text("# changed")
    assert identity(revised) != identity(load_recipe())


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
    here.run("git rm -q evaluation/seed_noise.json metrics.json && rm -r .dvc/tmp/noise")
    capsys.readouterr()
    record = measure(load_recipe(PARAMS, revision="HEAD"), range(2))
    printed = capsys.readouterr().out
    assert trained(printed) == []
    assert "test" not in printed
    assert "noise: seed 3, `HEAD`: validation accuracy 0.9000\n" in printed
    assert [run.seed for run in record.runs] == [0, 1, 3]
    assert record.runs[2].misread["test"].tolist() == seeds_of(3)[0]["test"]["misread"]
    assert not Path("evaluation/seed_noise.json").exists()


def test_how_long_a_seed_takes_is_the_mean_of_the_trainings_that_took_place_here(here: Project) -> None:
    recipe = load_recipe()
    assert seconds_a_seed(recipe) is None
    measure(recipe, range(2))
    seconds = [json.loads(path.read_text())["seconds"] for path in here.runs()]
    assert seconds_a_seed(recipe) == pytest.approx(mean(seconds))
    assert min(seconds) > 0
    assert seconds_a_seed(replace(recipe, document=recipe.document | {"train": {"epochs": 9}})) is None
    assert "seconds" not in here.read("evaluation/seed_noise.json")


def test_a_stage_that_fails_is_named_by_its_last_line_and_the_runs_before_it_are_kept(here: Project) -> None:
    here.replace(
        "stages/train.py",
        "environment =",
        "if seed == '1': raise SystemExit('first\\ntrain: no memory')\nenvironment =",
    )
    with pytest.raises(OSError, match=r"^train: no memory$"):
        measure(load_recipe(), range(3))
    assert [path.name for path in here.runs()] == ["seed-0.json"]
    assert here.records() == [OLD]


def test_code_whose_metrics_have_no_loss_is_refused_in_one_line(here: Project) -> None:
    here.replace("stages/evaluate.py", '"loss"', '"cost"')
    here.commit("Older code")
    with pytest.raises(ValueError, match=r"^metrics\.json has no validation\.loss: the code of this recipe is too old"):
        measure(load_recipe(PARAMS, revision="HEAD"), range(1))
