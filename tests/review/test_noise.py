"""review.noise and the recipes that it measures, on stages that take no time: what is trained, kept and refused."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from review.noise import main
from review.training import load_recipe, measure
from tests.review.stand_in import FILE, IMAGES, TRAIN, Project, md5, seeds_of, trained

Noise = Callable[..., str]


@pytest.fixture
def run_noise(here, run) -> Noise:
    """Run the command, which must exit with 0, and return what it prints."""

    def run_noise(*arguments: str) -> str:
        status, lines, error = run(*arguments)
        assert status == 0, error
        return "\n".join(lines)

    return run_noise


@pytest.fixture
def ran(here) -> Project:
    """The project after `dvc repro` with seed 1."""
    here.run("dvc repro -q")
    here.commit("Results")
    return here


def test_each_seed_is_kept_with_its_model_and_misread_images_and_is_not_trained_again(here, run_noise):
    assert re.sub(r"about \d+ min", "about 1 min", run_noise("--seeds", "2")).splitlines() == [
        "noise: this folder: training seeds 0, 1",
        "noise: seed 0: validation accuracy 0.9000; 1 left, about 1 min",
        "noise: seed 1: validation accuracy 0.9000",
        f"noise: validation 0.9000 ± 0.0000 over 2 seeds -> {FILE}",
        f"noise: test 0.8000 ± 0.0000 over 2 seeds -> {FILE}",
    ]
    record = {
        "dataset": "mnist",
        "parameters": {"train.epochs": 5},
        "environment": {"kernels": "avx2"},
        "training": {"data/processed/train_images.npy": md5("images"), "stages/train.py": md5(TRAIN)},
        "images": {"validation": IMAGES, "test": IMAGES},
        "looks": [2],
        "seeds": seeds_of(0, 1),
    }
    assert here.records() == [record]
    before = here.read(FILE)
    assert '"misread": [1, 9]' in before
    assert trained(run_noise("--seeds", "2")) == []
    assert here.read(FILE) == before
    assert trained(run_noise("--seeds", "3")) == [2]
    assert here.records() == [record | {"looks": [2, 3], "seeds": seeds_of(0, 1, 2)}]
    assert trained(run_noise("--seeds", "2")) == []  # which takes no seed away
    assert len(here.records()[0]["seeds"]) == 3
    assert trained(run_noise("--seeds", "3", "--anew")) == [0, 1, 2]
    assert trained(run_noise("--seeds", "2", "--anew")) == [0, 1]
    assert here.records() == [record]


def test_other_code_other_data_or_other_parameters_train_every_seed(here, run_noise, caplog):
    run_noise("--seeds", "2")
    for path in ("stages/train.py", "data/raw/mnist.npz"):
        with (here.folder / path).open("a") as file:
            file.write("# changed\n")
        caplog.clear()
        printed = run_noise("--seeds", "2")
        assert printed.startswith(f"noise: the 2 seeds in {FILE} are not used: the files that train reads have ")
        assert trained(printed) == [0, 1]
        assert caplog.text.count("Running stage 'preprocess'") == 1  # the second trial takes the data of the first
        assert here.records()[0]["looks"] == [2]
    before = here.read("params.yaml")
    assert trained(run_noise("--seeds", "2", "-S", "train.epochs=9")) == [0, 1]
    assert trained(run_noise("--seeds", "2", "-S", "train.seed=7")) == []  # the seed is not part of a recipe
    assert here.read("params.yaml") == before
    Path("recipe.yaml").write_text("download: {dataset: mnist, fallback: x}\ntrain: {epochs: 9, seed: 4}\n")
    assert trained(run_noise("recipe.yaml", "--seeds", "3")) == [2]  # a recipe is its parameters
    assert sorted(record["parameters"]["train.epochs"] for record in here.records()) == [5, 9]
    experiments = here.run("git for-each-ref --format='%(objectname)' refs/exps").split()
    params = [here.run(f"git show {commit}:params.yaml") for commit in experiments]
    assert sum("epochs: 9" in text and "fallback" not in text for text in params) == 3


def test_the_committed_results_are_a_run_of_their_recipe_and_of_no_other(ran, run_noise):
    assert trained(run_noise("--seeds", "2")) == [0]
    assert ran.records()[0]["seeds"] == seeds_of(0, 1)
    # A change of code that leaves the model's bytes as they were leaves the other seeds, too.
    ran.replace("stages/train.py", "import json", "import json  # a comment\nimport json")
    ran.run("dvc repro -q")
    assert trained(run_noise("--seeds", "2")) == []
    assert ran.records()[0]["training"]["stages/train.py"] == md5(ran.read("stages/train.py"))
    ran.replace("params.yaml", "seed: 1", "seed: 7")
    ran.run("dvc repro -q")
    assert trained(run_noise("--seeds", "2")) == []
    assert ran.records()[0]["seeds"] == seeds_of(0, 1, 7)
    assert trained(run_noise("--seeds", "2", "-S", "train.epochs=9")) == [0, 1]
    # The same models are read in another way.
    ran.replace("stages/evaluate.py", '{"validation": {seed}', '{"validation": {seed + 1}')
    ran.run("dvc repro -q")
    assert trained(run_noise("--seeds", "2")) == [0, 1]
    assert [run["validation"]["misread"] for run in ran.records()[0]["seeds"]] == [[1], [2], [8]]


def replaced(path: str, old: str, new: str) -> Callable[[Project], object]:
    return lambda project: project.replace(path, old, new)


@pytest.mark.parametrize(
    "change",
    [
        replaced("evaluation/predictions.csv", "test,5,1,1", "test,5,1,2"),
        replaced("params.yaml", "seed: 1", "seed: 0"),
        lambda project: (project.folder / "dvc.lock").unlink(),
    ],
)
def test_committed_results_that_dvc_lock_does_not_match_are_no_run(ran, run_noise, change):
    change(ran)
    assert trained(run_noise("--seeds", "2")) == [0, 1]


def test_seeds_of_another_machine_are_trained_again_and_not_mixed(ran, run, run_noise, monkeypatch):
    ran.replace("params.yaml", "seed: 1", "seed: 0")
    ran.run("dvc repro -q")
    monkeypatch.setenv("ELSEWHERE", "0 1 2")
    assert trained(run_noise("--seeds", "2", "--anew")) == [0, 1]  # though dvc.lock has results of seed 0
    assert ran.records()[0]["environment"] == {"kernels": "avx512_core"}
    assert trained(run_noise("--seeds", "2")) == []
    monkeypatch.setenv("ELSEWHERE", "1")
    why = "noise: `kernels` changed between two trainings: measure again, on machines of one kind\n"
    assert run("--seeds", "3", "--anew")[::2] == (1, why)
    monkeypatch.delenv("ELSEWHERE")
    printed = run_noise("--seeds", "4")
    elsewhere = "they come from another machine (`kernels` `avx512_core` -> `avx2`)"
    assert printed.startswith(f"noise: the 2 seeds in {FILE} are not used: {elsewhere}\nnoise: this folder: training ")
    assert trained(printed) == [1, 3]
    record = ran.records()[0]
    assert (record["environment"], record["looks"]) == ({"kernels": "avx2"}, [4])
    assert record["seeds"] == seeds_of(0, 1, 2, 3)


def test_a_revision_is_measured_with_its_code_and_its_record_is_not_written(here):
    here.run("git checkout -q -b branch")
    here.replace("stages/evaluate.py", "{seed, 9}", "{seed, 8, 9}")
    here.replace("params.yaml", "epochs: 5", "epochs: 6")
    here.commit("Evaluate otherwise")
    recipe = load_recipe(revision="main")
    assert (recipe.parameters, recipe.commit) == ({"train.epochs": 5}, here.run("git rev-parse main").strip())
    record = measure(recipe, range(2))
    assert [list(run.on("test").misread) for run in record.runs] == [[0, 9], [1, 9]]
    assert here.run("git status --porcelain") == ""
    record = measure(load_recipe(), range(2))
    assert [list(run.on("test").misread) for run in record.runs] == [[0, 8, 9], [1, 8, 9]]
    here.replace("params.yaml", "seed: 1", "seed:  3")  # Git may miss an edit of the same size and second
    here.run("dvc repro -q")
    here.commit("Results of seed 3, and the noise of seeds 0 and 1")
    here.run("git rm -qr evaluation/noise metrics.json")
    here.run("git for-each-ref --format='delete %(refname)' refs/exps | git update-ref --stdin")
    assert [run.seed for run in measure(load_recipe(revision="HEAD"), range(2)).runs] == [0, 1, 3]
    assert here.runs() == []
    assert not Path(FILE).exists()


def test_runs_are_kept_apart_by_all_that_they_depend_on(here, monkeypatch):
    first = load_recipe()
    here.replace("params.yaml", "seed: 1", "seed: 7")
    here.put("docs.md", "A page")
    here.put(FILE, "changed")
    here.commit("Another commit")
    same = [load_recipe(), load_recipe(revision="HEAD"), load_recipe(changes=["train.seed=9"])]
    assert {recipe.trial(3, 0).name for recipe in same} == {first.trial(3, 0).name}
    others = [first, load_recipe(changes=["train.epochs=6"])]
    for path in ("stages/train.py", "stages/evaluate.py", "data/raw/mnist.npz"):
        with (here.folder / path).open("a") as file:
            file.write("# changed\n")
        others.append(load_recipe())
    here.replace("dvc.yaml", "cmd: python -m stages.train", "cmd: python -E -m stages.train")
    others.append(load_recipe())
    monkeypatch.setattr("review.training.versions", lambda: {"numpy": "9"})
    others.append(load_recipe())
    assert len({recipe.identity for recipe in others}) == len(others)
    here.put(FILE, "measured since")
    assert load_recipe().tree == others[-1].tree


def test_a_stage_that_fails_is_named_by_its_last_line_and_the_runs_before_it_are_kept(here, run):
    failing = "if seed == '1': raise SystemExit('first\\ntrain: no memory')\nenvironment ="
    here.replace("stages/train.py", "environment =", failing)
    assert run("--seeds", "3")[::2] == (1, "noise: train: no memory\n")
    assert (here.runs(), here.records()) == (["0"], [])
    here.replace("stages/train.py", failing, "environment =")
    here.replace("stages/train.py", '"dataset": "mnist"', '"dataset": "mnist-5k"')
    assert run("--seeds", "3")[::2] == (1, "noise: seed 0 was trained on mnist-5k, expected mnist\n")
    assert here.records() == []


def written(path: str, text: str) -> Callable[[Project], object]:
    return lambda project: project.put(path, text)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (written(FILE, "["), "", f"{FILE} of this folder: Expected `object`, got `array`"),
        (written(FILE, '{"dataset": "x"}'), "", f"{FILE} of this folder: Object missing required field"),
        (written("dvc.lock", "schema: '2.0'\nstages:\n  train"), "", "dvc.lock is not a whole lock file"),
        (replaced("dvc.yaml", "  train:\n", "  fit:\n"), "", "dvc.yaml has no stage train"),
        (lambda _: Path("data/raw/dataset.json").unlink(), "", "dataset.json is missing: `dvc repro download` fetches"),
        (replaced("data/raw/dataset.json", "mnist", "mnist-5k"), "", "data/raw holds mnist-5k, params.yaml has mnist"),
        (written("recipe.yaml", "download: mnist\ntrain: {}"), "recipe.yaml", "recipe.yaml: expected the sections of"),
        (written("recipe.yaml", "train: ]"), "recipe.yaml", "recipe.yaml: not valid YAML: "),
        (lambda _: None, "nowhere.yaml", "nowhere.yaml"),
        (lambda _: None, "-S train.epochs=]", "-S train.epochs=]: expected KEY=VALUE of a parameter in params.yaml: "),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line_before_anything_is_trained(
    here, run, change, arguments, message
):
    change(here)
    before = here.run("git status --porcelain")
    status, lines, error = run(*arguments.split())
    assert (status, lines, error.count("\n"), error.startswith("noise: ")) == (1, [], 1, True)
    assert message in error
    assert (here.run("git status --porcelain"), here.runs()) == (before, [])


def test_one_seed_has_no_deviation_and_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--seeds", "1"])
    assert "a standard deviation takes at least 2 seeds" in capsys.readouterr().err
