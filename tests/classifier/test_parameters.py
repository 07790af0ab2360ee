import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dvc.api
import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from classifier import parameters
from stages import download, preprocess, train
from tests.conftest import PARAMS, REPOSITORY

GOOD = {
    "filters": "[32, 64, 64]",
    "kernel_size": "3",
    "dense_units": "[128, 64]",
    "batch_normalization": "false",
    "shift": "0.0",
    "rotation": "0.0",
    "zoom": "0.0",
    "label_smoothing": "0.0",
    "schedule": "constant",
    "learning_rate": "0.001",
    "warmup": "0.1",
    "epochs": "5",
    "batch_size": "100",
    "precision": "float32",
    "seed": "0",
}


def write_train(folder: Path, **changed: str | None) -> None:
    lines = [f"  {key}: {value}" for key, value in (GOOD | changed).items() if value is not None]
    (folder / "params.yaml").write_text("\n".join(["train:", *lines]) + "\n")


STAGES = {"download": download.Parameters, "preprocess": preprocess.Parameters, "train": train.Parameters}
RECIPES = [PARAMS, REPOSITORY / "params.yaml", *sorted((REPOSITORY / "recipes").glob("*.yaml"))]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_each_recipe_has_the_parameters_of_each_stage_in_order(recipe: Path) -> None:
    keys = {section: list(values) for section, values in YAML(typ="safe").load(recipe.read_text()).items()}
    assert keys == {name: [field.name for field in dataclasses.fields(kind)] for name, kind in STAGES.items()}
    for name, kind in STAGES.items():
        assert parameters.load(name, kind, recipe)


def test_all_recipes_have_the_same_comments() -> None:
    comments = {tuple(re.findall(r"(?m)^  (\w+): .* # (.*)$", path.read_text())) for path in RECIPES if path != PARAMS}
    assert len(comments) == 1
    assert len(comments.pop()) == sum(len(dataclasses.fields(kind)) for kind in STAGES.values())


def test_the_notebook_recipe_has_the_parameters_of_the_notebook() -> None:
    recipe = REPOSITORY / "recipes/notebook.yaml"
    assert parameters.load("train", train.Parameters, recipe) == train.Parameters(
        filters=(32, 64, 64),
        kernel_size=3,
        dense_units=(128, 64),
        batch_normalization=False,
        shift=0,
        rotation=0,
        zoom=0,
        label_smoothing=0,
        schedule="constant",
        learning_rate=0.001,
        warmup=0.1,
        epochs=5,
        batch_size=100,
        precision="float32",
        seed=0,
    )
    assert parameters.load("preprocess", preprocess.Parameters, recipe) == preprocess.Parameters(0, 0)
    assert parameters.load("download", download.Parameters, recipe) == download.Parameters(
        "mnist", "mnist-5k", test_share=0.2, seed=0, resize=None, most_gib=1
    )


@pytest.mark.parametrize("text", ["1e-5", "1e-05", "1.0E-05", "0.001", "1", "on", "0o17", "017", "1_000", "0x1F", "~"])
def test_a_stage_reads_the_same_value_as_dvc(project: Path, text: str) -> None:
    Repo.init(no_scm=True).close()
    write_train(project, learning_rate=text, seed=text)
    seen = dvc.api.params_show()["train"]["learning_rate"]
    assert_same_reading("learning_rate", seen, lambda value: type(value) in (int, float))
    assert_same_reading("seed", seen, lambda value: type(value) is int)


def assert_same_reading(key: str, seen: Any, acceptable: Callable[[Any], bool]) -> None:
    good_values = {"learning_rate": 0.5, "seed": 0}
    document = Path("params.yaml").read_text().splitlines()
    lines = [
        f"  {name}: {good_values[name]}"
        if (name := line.strip().split(":")[0]) in good_values and name != key
        else line
        for line in document
    ]
    Path("one.yaml").write_text("\n".join(lines))
    if acceptable(seen):
        assert getattr(parameters.load("train", train.Parameters, Path("one.yaml")), key) == seen
    else:
        with pytest.raises(ValueError, match=f"train.{key} must be"):
            parameters.load("train", train.Parameters, Path("one.yaml"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_sise": "100"}, "train.batch_sise is not a known key; known keys: filters, kernel_size, dense_units"),
        ({"epochs": None}, "train.epochs is missing; it must be a whole number from 1 to 10000"),
        ({"epochs": "five"}, "train.epochs must be a whole number from 1 to 10000, got 'five'"),
        ({"epochs": "-1"}, "train.epochs must be a whole number from 1 to 10000, got -1"),
        ({"epochs": "2.0"}, "train.epochs must be a whole number from 1 to 10000, got 2.0"),
        ({"epochs": "true"}, "train.epochs must be a whole number from 1 to 10000, got True"),
        ({"epochs": ""}, "train.epochs must be a whole number from 1 to 10000, got null"),
        ({"batch_size": "0"}, "train.batch_size must be a whole number of at least 1, got 0"),
        ({"kernel_size": "0"}, "train.kernel_size must be a whole number from 1 to 128, got 0"),
        ({"kernel_size": "129"}, "train.kernel_size must be a whole number from 1 to 128, got 129"),
        ({"epochs": "1" + "0" * 20}, "train.epochs must be a whole number from 1 to 10000, got 1000000000000"),
        ({"learning_rate": ".nan"}, "train.learning_rate must be a number greater than 0, got nan"),
        ({"learning_rate": ".inf"}, "train.learning_rate must be a number greater than 0, got inf"),
        ({"learning_rate": "1" + "0" * 400}, "train.learning_rate must be a number greater than 0, got 1000"),
        ({"learning_rate": "0"}, "train.learning_rate must be a number greater than 0, got 0"),
        ({"learning_rate": "fast"}, "train.learning_rate must be a number greater than 0, got 'fast'"),
        ({"filters": "[]"}, "train.filters must be a list of 1 to 7 whole numbers of at least 1, got []"),
        (
            {"filters": "[8, 8, 8, 8, 8, 8, 8, 8]"},
            "must be a list of 1 to 7 whole numbers of at least 1, got [8, 8, 8, 8, 8, 8, 8, 8]",
        ),
        ({"filters": "32"}, "train.filters must be a list of 1 to 7 whole numbers of at least 1, got 32"),
        ({"dense_units": "[128, 0]"}, "train.dense_units must be a list of 1 to 8 whole numbers of at least 1"),
        ({"batch_normalization": "1"}, "train.batch_normalization must be true or false, got 1"),
        ({"shift": "-1"}, "train.shift must be a number of at least 0 and below 64, got -1"),
        ({"rotation": "180"}, "train.rotation must be a number of at least 0 and below 180, got 180"),
        ({"zoom": "a little"}, "train.zoom must be a number of at least 0 and below 1, got 'a little'"),
        ({"label_smoothing": "1"}, "train.label_smoothing must be a number of at least 0 and below 1, got 1"),
        ({"warmup": "1"}, "train.warmup must be a number of at least 0 and below 1, got 1"),
        ({"schedule": "linear"}, "train.schedule must be constant or cosine, got 'linear'"),
        ({"precision": "float16"}, "train.precision must be float32, mixed_bfloat16 or auto, got 'float16'"),
        ({"seed": "-1"}, "train.seed must be a whole number from 0 to 4294967295, got -1"),
    ],
)
def test_a_wrong_training_parameter_is_refused_in_one_line(
    project: Path, refusal: Callable[..., str], changed: dict[str, str | None], message: str
) -> None:
    write_train(project, **changed)
    line = refusal("train", train.main)
    assert line.startswith("train: params.yaml: train.")
    assert message in line


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "params.yaml must have sections of keys, got null"),
        ("- 1", "params.yaml must have sections of keys, got [1]"),
        ("download: {}", "params.yaml: section train is missing"),
        ("train: 5", "params.yaml: train must be a section of keys, got 5"),
        ("train: {epochs: 1", "params.yaml is not valid YAML: while parsing a flow mapping"),
        ("train: {epochs: 1}\ntrain: {epochs: 2}", "params.yaml is not valid YAML: while constructing a mapping"),
        ("a: \x00", "params.yaml is not valid YAML"),
    ],
)
def test_a_document_without_the_sections_is_refused_in_one_line(
    project: Path, refusal: Callable[..., str], document: str, message: str
) -> None:
    (project / "params.yaml").write_text(document)
    assert message in refusal("train", train.main)


def test_a_missing_file_is_refused_in_one_line(project: Path, refusal: Callable[..., str]) -> None:
    (project / "params.yaml").unlink()
    assert "params.yaml is missing; run the pipeline in the folder that contains it" in refusal("train", train.main)


DATASET = "download.dataset must be mnist, mnist-5k, fashion-mnist or the path of your own data"
OWN = {"dataset": "./own", "fallback": None, "test_share": 0.2, "seed": 0, "resize": None, "most_gib": 1}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dataset": "mnits"}, f"{DATASET}, got 'mnits'"),
        ({"dataset": ""}, f"{DATASET}, got ''"),
        ({"dataset": ["mnist"]}, f"{DATASET}, got ['mnist']"),
        ({"fallback": "mnist"}, "download.fallback must be mnist-5k or null, got 'mnist'"),
        ({"resize": [32]}, "download.resize must be null or a list of 2 whole numbers from 8 to 128, got [32]"),
        ({"resize": [7, 32]}, "download.resize must be null or a list of 2 whole numbers from 8 to 128, got [7, 32]"),
        ({"seed": -1}, "download.seed must be a whole number from 0 to 4294967295, got -1"),
        ({"test_share": 1}, "download.test_share must be a number greater than 0 and below 1, got 1"),
    ],
)
def test_a_wrong_parameter_of_the_data_set_is_refused_in_one_line(
    project: Path, refusal: Callable[..., str], changed: dict[str, object], message: str
) -> None:
    (project / "params.yaml").write_text(json.dumps({"download": OWN | changed}))
    assert message in refusal("download", download.main)


def test_a_file_in_the_folder_is_the_path_of_own_data(project: Path) -> None:
    (project / "params.yaml").write_text(json.dumps({"download": OWN | {"dataset": "flowers"}}))
    with pytest.raises(ValueError, match=r"download\.dataset must be"):
        parameters.load("download", download.Parameters)
    (project / "flowers").mkdir()
    assert parameters.load("download", download.Parameters).dataset == "flowers"
