"""The command on the embedded digits, with stages that really train, and its arithmetic on numbers made here."""

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from review.noise import identity, keep, main, summarize
from tests.clone import Clone

SECTIONS = "expected the sections of a params.yaml, download with the key dataset"
COMMAND = "python -m review.noise --seeds 2"


def record(epochs: int, *accuracies: float) -> dict[str, Any]:
    runs = [{"test": {"accuracy": each, "loss": 0.5}} for each in accuracies]
    document = {"download": {"dataset": "mnist"}, "train": {"epochs": epochs, "seed": 7}}
    return summarize("mnist", document, runs)


@pytest.mark.slow
def test_a_recipe_is_measured_and_the_pipelines_outputs_stay(clone: Clone) -> None:
    output = clone.run(COMMAND)
    assert clone.run("git status --porcelain --untracked-files=all").split() == ["M", "evaluation/seed_noise.json"]
    assert "up to date" in clone.run("dvc status")
    *others, found = json.loads(clone.read("evaluation/seed_noise.json"))["recipes"]
    assert others == json.loads(clone.run("git show HEAD:evaluation/seed_noise.json"))["recipes"]
    assert found["dataset"] == "mnist-5k"
    assert found["parameters"]["train.epochs"] == 1
    assert "train.seed" not in found["parameters"]
    first, second = found["splits"]["test"]["accuracy"]["by_seed"]
    assert first != second
    assert found["splits"]["test"]["accuracy"]["mean"] == pytest.approx(mean([first, second]))
    assert first == json.loads(clone.read("metrics.json"))["test"]["accuracy"]  # its seed is 0 as well
    assert "noise: seed 1 of 0 to 1: accuracy validation 0." in output

    clone.run("git checkout -q -B noise")
    clone.commit("Noise")
    assert "seeds: one recipe, whose noise was measured" in clone.run("python -m review.compare main")

    (kept,) = (clone.folder / ".dvc/tmp/noise").iterdir()
    (kept / "seed-1.json").unlink()
    again = clone.run(COMMAND)  # as after a run that was cut off
    assert [line for line in again.splitlines() if line.endswith("training")] == ["noise: seed 1 of 0 to 1: training"]
    assert clone.run("git status --porcelain") == ""


@pytest.mark.slow
def test_a_stage_that_refuses_is_told_in_its_own_words_and_nothing_is_kept(clone: Clone) -> None:
    clone.set("train.batch_size", 0)
    done = clone.attempt(COMMAND)
    assert done.returncode == 1
    expected = "train: params.yaml: train.batch_size must be a whole number of at least 1, got 0"
    assert done.stderr.splitlines() == [f"noise: {expected}"]
    assert clone.run("git status --porcelain").split() == ["M", "params.yaml"]


def test_a_summary_is_of_all_seeds_and_of_the_recipe_without_its_seed() -> None:
    found = record(5, 0.98, 0.99, 0.97)
    assert found["parameters"] == {"train.epochs": 5}
    accuracy = found["splits"]["test"]["accuracy"]
    assert accuracy["mean"] == pytest.approx(0.98)
    assert accuracy["standard_deviation"] == pytest.approx(stdev([0.98, 0.99, 0.97]))
    assert accuracy["by_seed"] == [0.98, 0.99, 0.97]
    assert "validation" not in found["splits"]


def test_a_record_replaces_that_of_its_recipe_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "seed_noise.json"
    for each in (record(5, 0.98, 0.99), record(3, 0.97, 0.98), record(5, 0.98, 0.99, 0.97)):
        keep(each, path)
    kept = json.loads(path.read_text())["recipes"]
    assert [len(each["splits"]["test"]["accuracy"]["by_seed"]) for each in kept] == [3, 2]


def test_runs_are_kept_apart_by_recipe_and_code_but_not_by_seed(project: Path) -> None:
    for name in ("stages/train.py", "data/raw/dataset.json"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text("{}")
    first = identity({"train": {"epochs": 5, "seed": 0}})
    assert identity({"train": {"epochs": 5, "seed": 3}}) == first
    assert identity({"train": {"epochs": 6, "seed": 0}}) != first
    Path("stages/train.py").write_text("{ }")
    assert identity({"train": {"epochs": 5, "seed": 0}}) != first


@pytest.mark.parametrize(
    ("arguments", "source", "message"),
    [
        ([], None, "data/raw/dataset.json is missing: `dvc repro download` fetches the data set first"),
        ([], "mnist-5k", "data/raw holds mnist-5k, the recipe asks for mnist: `dvc repro download` first"),
        (["nowhere.yaml"], "mnist", "nowhere.yaml: no such file; it must be a params.yaml"),
        (["pyproject.toml"], "mnist", f"pyproject.toml: {SECTIONS}"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], source: str | None, message: str
) -> None:
    Path("pyproject.toml").write_text("[]")
    if source:
        Path("data/raw").mkdir(parents=True)
        Path("data/raw/dataset.json").write_text(json.dumps({"dataset": source, "requested": source}))
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"noise: {message}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((f"download: {section}\ntrain: {{}}", SECTIONS) for section in ("null", "{}", "mnist", "2026-01-31")),
        ("download: {dataset: mnist}", SECTIONS),
        ("download: {dataset: 2026-01-31}\ntrain: {}", "expected texts, numbers, lists and true, false or null: "),
        ("download: {dataset: mnist}\ntrain: {begun: 2026-01-31}", "expected texts, numbers, lists and true, false"),
        ("download: {dataset: mnist}\ntrain: {epochs: .nan}", "expected texts, numbers, lists and true, false"),
        ("train: ]", "while parsing"),
    ],
)
def test_a_recipe_of_another_form_is_refused_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    Path("recipe.yaml").write_text(text)
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/dataset.json").write_text(json.dumps({"dataset": "mnist", "requested": "mnist"}))
    assert main(["recipe.yaml"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"noise: recipe.yaml: {message}")
    assert printed.count("\n") == 1


def test_one_seed_has_no_deviation_and_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--seeds", "1"])
    assert stopped.value.code == 2
    assert "a standard deviation takes at least 2 seeds" in capsys.readouterr().err
