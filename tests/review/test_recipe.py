"""The recipe of a folder or a revision: its parameters, changes to them, and the trials that train it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier.parameters import parse_yaml
from classifier.paths import PARAMS
from review.training import changes_of, load_recipe
from tests.review.stand_in import TRAIN, Project


def test_a_recipe_is_that_of_params_yaml_and_its_trials_change_only_the_seed(here: Project) -> None:
    found = load_recipe()
    assert (found.dataset, found.parameters, found.revision) == ("mnist", {"train.epochs": 5}, None)
    assert (found.commit, found.stages) == (here.run("git rev-parse HEAD").strip(), ("train", "evaluate"))
    assert found.tree == here.run("git rev-parse HEAD^{tree}").strip()
    assert found.trial(3).changes == ("train.seed=3",)
    assert found.trial(3).forced == ()
    assert found.trial(3, attempt=1).forced == ("train", "evaluate")
    assert len({found.trial(seed, attempt).name for seed in (0, 1) for attempt in (0, 1)}) == 4


def test_a_recipe_has_the_files_of_the_folder_as_they_are_but_for_what_it_measured(here: Project) -> None:
    here.replace("stages/train.py", "import json", "# changed\nimport json")
    (here.folder / "stages/new.py").touch()
    (here.folder / "evaluation/seed_noise.json").write_text("changed")
    tree = load_recipe().tree
    assert here.run(f"git show {tree}:stages/train.py").startswith("# changed\n")
    assert here.run(f"git diff --name-only HEAD {tree}").split() == ["stages/new.py", "stages/train.py"]
    assert here.run("git diff --cached --name-only") == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [("9", 9), ("1e-5", 0.00001), ("0.5", 0.5), ("[32, 64]", [32, 64]), ("true", True), ("on", "on"), ("a=b", "a=b")],
)
def test_a_change_has_the_value_that_dvc_reads(here: Project, text: str, value: object) -> None:
    found = load_recipe(changes=["train.epochs=7", f"train.epochs={text}"]).parameters
    assert repr(found) == repr({"train.epochs": value})
    assert load_recipe().parameters == {"train.epochs": 5}


@pytest.mark.parametrize(
    "value",
    [
        *("1e5", "on", "1_000", "0o17", "null", "2026-01-31", "", "a: b", "a=b, [c]", "it's"),
        *(0.00001, 1e16, -1e-300, 2**70, None, True, [True], [32, 64], ["x", None]),
    ],
)
def test_a_trial_gives_params_yaml_the_values_of_the_recipe(project: Path, value: object) -> None:
    changed = project / "trial/params.yaml"
    changed.parent.mkdir()
    changed.write_bytes(PARAMS.read_bytes())
    before = parse_yaml(PARAMS.read_bytes())
    wanted = {f"train.{key}": each for key, each in before["train"].items() if key not in ("seed", "zoom")}
    wanted |= {f"preprocess.{key}": each for key, each in before["preprocess"].items()}
    wanted |= {"train.epochs": value, "train.new": value}  # and without the zoom
    apply_overrides(changed, changes_of(PARAMS, wanted))
    found = parse_yaml(changed.read_bytes())
    assert repr(found["train"]["epochs"]) == repr(found["train"]["new"]) == repr(value)
    assert "zoom" not in found["train"]
    assert (found["train"]["seed"], found["download"]) == (before["train"]["seed"], before["download"])


scalars = st.text(max_size=90) | st.integers() | st.floats(-1e300, 1e300) | st.none() | st.booleans()


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scalars | st.lists(scalars, max_size=3))
def test_whatever_the_value_a_trial_gives_it_exactly_or_it_is_refused(project: Path, value: object) -> None:
    changed = project / "trial.yaml"
    changed.write_text("train: {value: 0}\ndownload: {dataset: mnist}\n")
    try:
        changes = changes_of(changed, {"train.value": value})
    except ValueError as error:
        assert "`dvc exp run -S` cannot set train.value" in str(error)
        assert not isinstance(value, int | float | None)
        return
    apply_overrides(changed, changes)
    assert repr(parse_yaml(changed.read_bytes())["train"]["value"]) == repr(value)


@pytest.mark.parametrize(("key", "value"), [("train.epochs", "a\nb"), ("train.epochs", "${train.seed}"), ("a b", 1)])
def test_parameters_that_no_change_can_give_are_refused(project: Path, key: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"^`dvc exp run -S` cannot set .*: write them into params\.yaml$"):
        changes_of(PARAMS, {key: value})


def test_the_recipe_of_a_revision_has_the_code_and_the_parameters_of_that_revision(here: Project) -> None:
    here.run("git checkout -q -b branch")
    here.replace("stages/train.py", "import json", "# changed\nimport json")
    here.replace("params.yaml", "epochs: 5", "epochs: 6")
    here.commit("A branch")
    found = load_recipe(PARAMS, revision="main")
    assert (found.parameters, found.revision, found.changes) == ({"train.epochs": 5}, "main", ())
    assert found.commit == here.run("git rev-parse main").strip()
    assert here.run(f"git show {found.tree}:stages/train.py") == TRAIN
    assert load_recipe().parameters == {"train.epochs": 6}
    assert here.run("git status --porcelain") == ""


def test_runs_are_kept_apart_by_all_that_they_depend_on(here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [load_recipe().identity, load_recipe(changes=["train.epochs=6"]).identity]
    for path in ("stages/train.py", "stages/evaluate.py", "data/raw/mnist.npz"):
        with (here.folder / path).open("a") as file:
            file.write("# changed\n")
        found.append(load_recipe().identity)
    here.replace("dvc.yaml", "cmd: python -m stages.train", "cmd: python -E -m stages.train")
    found.append(load_recipe().identity)
    monkeypatch.setattr("review.training.version", lambda _: "9")
    found.append(load_recipe().identity)
    assert len(set(found)) == len(found)


def test_runs_are_those_of_one_recipe_after_a_change_on_which_they_do_not_depend(here: Project) -> None:
    found = load_recipe()
    here.replace("params.yaml", "seed: 1", "seed: 7")
    (here.folder / "docs.md").write_text("A page")
    here.commit("Another commit")
    others = [load_recipe(), load_recipe(revision="HEAD"), load_recipe(changes=["train.seed=9"])]
    here.replace("params.yaml", "epochs: 5", "epochs: 6")
    others.append(load_recipe(changes=["train.epochs=5"]))  # named by its parameters, not by how they are written
    assert {each.trial(3).name for each in others} == {found.trial(3).name}
    assert replace(others[0], tree=found.tree, commit=found.commit) == found


def test_data_of_another_set_than_params_yaml_asks_for_are_refused(here: Project) -> None:
    here.run("cp params.yaml recipe.yaml")
    here.replace("params.yaml", "mnist", "fashion-mnist")
    with pytest.raises(ValueError, match=r"^data/raw holds mnist, params\.yaml asks for fashion-mnist: `dvc repro"):
        load_recipe(Path("recipe.yaml"))


def remove_train(project: Project) -> None:
    project.replace("dvc.yaml", "  train:\n", "  fit:\n")
    project.commit("No such stage")


@pytest.mark.parametrize(
    ("change", "revision", "message"),
    [
        (lambda _: None, "nowhere", "unknown Git revision 'nowhere'"),
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
