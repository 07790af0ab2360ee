"""The recipe of a folder or a revision: its parameters, changes to them, its code and what it reads."""

from collections.abc import Callable
from pathlib import Path

import pytest

from classifier.files.paths import PARAMS
from classifier.running.yaml_values import parse
from review.training.recipe import RUNS, dump, load_recipe
from tests.review.training.stand_in import TRAIN, Project


def test_a_recipe_is_that_of_params_yaml_with_what_training_reads_according_to_dvc_yaml(here: Project) -> None:
    found = load_recipe()
    assert (found.dataset, found.parameters, found.revision) == ("mnist", {"train.epochs": 5}, None)
    assert found.inputs == ["data/processed/train_images.npy", "stages/train.py"]
    assert found.seeded(3)["train"] == {"epochs": 5, "seed": 3}
    assert found.document["train"] == {"epochs": 5, "seed": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [("9", 9), ("1e-5", 0.00001), ("0.5", 0.5), ("[32, 64]", [32, 64]), ("true", True), ("on", "on"), ("a=b", "a=b")],
)
def test_a_change_has_the_value_that_dvc_reads(here: Project, text: str, value: object) -> None:
    found = load_recipe(changes=["train.epochs=7", f"train.epochs={text}"]).parameters
    assert repr(found) == repr({"train.epochs": value})
    assert load_recipe().parameters == {"train.epochs": 5}


@pytest.mark.parametrize(
    "value", ["1e5", "on", "1_000", "0o17", "null", "2026-01-31", "", "a: b", 0.00001, 1e16, [True]]
)
def test_what_a_stage_reads_has_the_values_of_the_recipe(value: object) -> None:
    document = {"train": {"value": value}}
    assert repr(parse(dump(document).encode())) == repr(document)


def test_the_recipe_of_a_revision_has_the_code_and_the_parameters_of_that_revision(here: Project) -> None:
    here.run("git checkout -q -b branch")
    here.replace("stages/train.py", "import json", "# changed\nimport json")
    here.replace("params.yaml", "epochs: 5", "epochs: 6")
    here.commit("A branch")
    found = load_recipe(PARAMS, revision="main")
    assert (found.parameters, found.revision) == ({"train.epochs": 5}, "main")
    assert found.project == RUNS / f"code-{here.run('git rev-parse main').strip()}"
    assert (found.project / "stages/train.py").read_text() == TRAIN
    assert (load_recipe().parameters, load_recipe().project) == ({"train.epochs": 6}, Path())
    assert here.run("git status --porcelain") == ""


def test_the_code_of_a_revision_is_written_once(here: Project) -> None:
    first = load_recipe(revision="main").project
    (first / "kept").touch()
    assert load_recipe(revision="HEAD").project == first
    assert (first / "kept").exists()


def test_a_revision_that_was_written_in_part_is_written_again(here: Project) -> None:
    commit = here.run("git rev-parse main").strip()
    (RUNS / f".partial-{commit}/stages").mkdir(parents=True)
    assert (load_recipe(revision="main").project / "stages/train.py").read_text() == TRAIN
    assert not (RUNS / f".partial-{commit}").exists()


def remove_code(project: Project) -> None:
    project.run("git rm -rq classifier")
    project.commit("No such folder")


def remove_train(project: Project) -> None:
    project.replace("dvc.yaml", "  train:\n", "  fit:\n")
    project.commit("No such stage")


@pytest.mark.parametrize(
    ("change", "revision", "message"),
    [
        (lambda _: None, "nowhere", "unknown Git revision 'nowhere'"),
        (remove_code, "HEAD", "HEAD: fatal: pathspec 'classifier' did not match any files"),
        (remove_train, "HEAD", "dvc.yaml has no stage train"),
        (remove_train, None, "dvc.yaml has no stage train"),
    ],
)
def test_what_is_no_recipe_is_refused(
    here: Project, change: Callable[[Project], None], revision: str | None, message: str
) -> None:
    change(here)
    with pytest.raises(Exception, match=message):
        load_recipe(revision=revision)
