"""The file of measured noise: its form, for which revision a record holds, and what verify says of a false one."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest

from classifier.paths import NOISE
from review.report import about_lock
from review.results import Predictions, Record, Results, recipe_of
from review.seeds import contradiction, differing_environment, parse_record, parse_records, why_stale, write_record
from review.verify import main
from tests.conftest import REPOSITORY
from tests.review.repository import IMAGES, OLD, TRAINING, Repository, lock, model, noise, record

CHANGED = TRAINING | {"stages/train.py": "c" * 32}
HERE = {"kernels": "avx2", "threads": 2}
THERE = {"environment": {"kernels": "avx512_core"}}


def a_record(**changes: Any) -> Record:
    """Two seeds, measured here."""
    return parse_record(record(0.75, 0.8, **({"environment": HERE} | changes)), "recipe 1")


def predicted(*misread: int, images: int = IMAGES) -> Predictions:
    """The predictions of a model that misreads these images."""
    actual = np.arange(images) % 10
    return Predictions(np.arange(images), actual, np.where(np.isin(np.arange(images), misread), 9 - actual, actual))


SIDE = Results(
    revision=None,
    commit=None,
    dataset="mnist",
    train_images=200,
    parameters={"download.dataset": "mnist", "train.epochs": 5, "train.filters": [32, 64], "train.seed": 0},
    environment=HERE,
    training=TRAINING,
    steps={},
    model=model(0),
    metrics={"validation.accuracy": 0.75, "validation.loss": 0.1},
    predictions={"validation": predicted(*range(10))},
    noise=[],
    history={},
    data_set=None,
)
SEED_1 = {"parameters": SIDE.parameters | {"train.seed": 1}, "model": model(1), "predictions": {}}
SEED_7 = {"parameters": SIDE.parameters | {"train.seed": 7}}


def test_a_record_gives_its_runs_and_their_accuracy_from_the_misread_images_whatever_else_the_file_says() -> None:
    measured = a_record(mean=0.1, standard_deviation=0.7, splits={})
    readings = measured.readings("validation")
    assert readings is not None
    assert (readings.accuracy, readings.deviation) == pytest.approx((mean([0.75, 0.8]), stdev([0.75, 0.8])))
    assert (readings.seeds, readings.images, readings.errors.tolist()) == (2, IMAGES, [10, 8])
    assert readings.counts.tolist() == [2] * 8 + [1] * 2 + [0] * 30
    assert measured.readings("test") is None
    run = measured.run(1)
    assert run is not None
    assert (run.model, run.loss, run.misread["validation"].tolist()) == (model(1), {"validation": 0.1}, [*range(8)])
    assert measured.run(2) is measured.run(None) is None


def test_a_recipe_is_all_parameters_but_the_seed_of_training_and_the_source_of_the_data() -> None:
    parameters = {"download.dataset": 1, "preprocess.seed": 2, "preprocess.validation_images": 3, "train.seed": 4}
    assert recipe_of(parameters) == {"preprocess.seed": 2, "preprocess.validation_images": 3}


@pytest.mark.parametrize("key", ["preprocess.seed", "train.epochs", "train.shift"])
def test_a_record_does_not_hold_at_another_value_of_any_parameter_of_the_recipe(key: str) -> None:
    measured = a_record(parameters=recipe_of(SIDE.parameters) | {key: 0})
    assert why_stale(measured, replace(SIDE, parameters=SIDE.parameters | {key: 1})) == f"it was measured at `{key}` 0"


ANOTHER_MODEL = {"model": "f" * 32}
OTHER_FILES = "it was measured with other files: `stages/train.py`"
OTHER_COUNT = "it says 40 validation images, of which predictions.csv has 50"
OTHER_LOSS = "it says another validation loss of the same model than metrics.json"
FIFTY = {"predictions": {"validation": predicted(*range(10), images=50)}}


@pytest.mark.parametrize(
    ("measured", "side", "reason"),
    [
        ({}, {}, None),
        ({}, {"parameters": SIDE.parameters | {"download.dataset": "copy"}}, None),
        ({}, {"training": CHANGED}, None),  # a comment in the code, for which the bytes tell
        ({}, {"training": CHANGED} | ANOTHER_MODEL, OTHER_FILES),
        ({}, ANOTHER_MODEL, "its seed 0 gave another model from the same files"),
        # a seed that was not measured has no bytes to tell by, and nor has another machine
        ({}, SEED_7 | ANOTHER_MODEL, None),
        ({}, SEED_7 | {"training": CHANGED}, OTHER_FILES),
        (THERE, ANOTHER_MODEL, None),
        (THERE, {"training": CHANGED}, None),
        (THERE, {"training": CHANGED} | ANOTHER_MODEL, OTHER_FILES),
        ({}, {"training": {}, "model": None}, "`dvc.lock` does not say what trained the model"),
        ({"dataset": "mnist-5k"}, {}, "it was measured on `mnist-5k`"),
        (
            {},
            {"metrics": {"validation.loss": 0.2}},
            "it says another validation loss of the same model than metrics.json",
        ),
        (
            {},
            {"predictions": {"validation": predicted(*range(9), 12)}},
            "it says that other validation images are misread than predictions.csv says of the same model",
        ),
        ({}, FIFTY, OTHER_COUNT),
        (THERE, FIFTY, OTHER_COUNT),  # the number of images is the data's, on whichever machine
        # what one of the two does not tell contradicts nothing, and what another seed misreads cannot be checked
        ({}, {"metrics": {}, "predictions": {"test": predicted(1)}}, None),
        ({}, SEED_1, None),
    ],
)
def test_a_record_holds_where_the_same_files_or_the_same_model_tell_so(
    measured: dict[str, Any], side: dict[str, Any], reason: str | None
) -> None:
    assert why_stale(a_record(**measured), replace(SIDE, **side)) == reason


def test_a_record_of_an_older_form_is_read_and_holds_for_nothing() -> None:
    (old,) = parse_records(noise(OLD))
    assert why_stale(old, SIDE) == "it was measured in an older form"
    assert contradiction(old, SIDE) is None
    assert old.readings("validation") is None


def test_many_files_are_named_in_part_and_another_environment_by_its_keys() -> None:
    others = {f"stages/{number}.py": "d" * 32 for number in range(9)}
    reason = why_stale(a_record(), replace(SIDE, training=TRAINING | others, model="f" * 32))
    files = ", ".join(f"`stages/{number}.py`" for number in range(5))
    assert reason == f"it was measured with other files: {files}, 4 more"
    there = replace(SIDE, environment={"kernels": "avx512_core", "versions.keras": "4"})
    assert differing_environment(a_record(), there) == ["kernels", "threads", "versions.keras"]


def seeds(**changes: Any) -> dict[str, Any]:
    """A record whose second seed is changed."""
    first, second = record(0.75, 0.8)["seeds"]
    return record(0.75, 0.8, seeds=[first, second | changes])


def misread(*numbers: int, loss: Any = 0.1) -> dict[str, Any]:
    return seeds(validation={"loss": loss, "misread": list(numbers)})


@pytest.mark.parametrize(
    "broken",
    [
        {},
        record(0.5, dataset=1),
        record(0.5, looks=None),
        record(looks=[0]),
        seeds(seed=0),
        seeds(validation=None),
        record(0.5, 0.6, looks=[1]),
        record(0.5, 0.6, looks=[2, 1, 2]),
        misread(40),
        misread(-1),
        misread(2, 1),
        misread(1, 1),
        misread(loss=-0.5),
        misread(loss=float("nan")),
    ],
)
def test_a_record_of_another_form_is_refused_by_its_place_and_not_written(broken: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^recipe 2: .+\Z"):
        parse_records(noise(record(0.5), broken))
    with pytest.raises(ValueError, match=r"^the record: "):
        write_record(broken, tmp_path / "seed_noise.json")
    assert not list(tmp_path.iterdir())


def test_a_record_replaces_that_of_its_recipe_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "seed_noise.json"
    path.write_text(noise(OLD, record(0.5, 0.6, epochs=8)))
    for measured in (record(0.5, 0.6, epochs=9), record(0.7, 0.8), record(0.7, 0.9)):
        write_record(measured, path)
    kept = [record(0.7, 0.9), record(0.5, 0.6, epochs=8), record(0.5, 0.6, epochs=9)]
    assert json.loads(path.read_text())["recipes"] == kept
    path.write_text("[")
    with pytest.raises(ValueError, match=r"brings back the committed one"):
        write_record(record(0.7, 0.8), path)
    assert path.read_text() == "["


def test_each_committed_record_gives_the_bytes_of_the_committed_file(tmp_path: Path) -> None:
    committed = (REPOSITORY / NOISE).read_bytes()
    path = tmp_path / "seed_noise.json"
    path.write_bytes(committed)
    for measured in json.loads(committed)["recipes"]:
        write_record(measured, path)
        assert path.read_bytes() == committed


def test_lists_of_other_things_and_text_that_looks_like_a_list_stay_as_they_are(tmp_path: Path) -> None:
    odd = {
        "train.a": ["x", 1],
        "train.b": [None],
        "train.c": "[\n  1,\n  2\n]",
        "train.d": [1e-05, -2.5],
        "train.e": [],
    }
    write_record(record(0.7, parameters=odd), tmp_path / "seed_noise.json")
    assert json.loads((tmp_path / "seed_noise.json").read_text())["recipes"] == [record(0.7, parameters=odd)]


HOLDS = ["verify: train: matches", "verify: dvc.lock of HEAD matches all 1 stages"]
FALSE = "evaluation/seed_noise.json: it says that other validation images are misread than predictions.csv says"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"seeds": record(0.75, 0.1)["seeds"]}, None),  # of a seed that is not committed
        ({"parameters": {"train.epochs": 7}, "seeds": record(0.1, 0.8)["seeds"]}, None),
        (THERE | {"seeds": record(0.1, 0.8)["seeds"]}, None),
        ({"seeds": record(set(range(1, 11)), 0.8)["seeds"]}, FALSE),
        ({"seeds": []}, "evaluation/seed_noise.json of "),
    ],
)
def test_noise_that_cannot_be_true_is_a_line_of_verify_and_of_the_report(
    repository: Repository, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], reason: str | None
) -> None:
    code = "KERNELS = 3\n"
    training = {"stages/train.py": hashlib.md5(code.encode()).hexdigest()}
    repository.put("stages/train.py", code)
    repository.put("dvc.yaml", "stages: {train: {cmd: echo 1, deps: [stages/train.py], outs: [models/model.keras]}}\n")
    repository.put("dvc.lock", lock(training=training))
    repository.write(seed=0, validation=set(range(10)), environment=HERE)
    repository.put(
        "evaluation/seed_noise.json", noise(record(0.75, 0.8, environment=HERE, training=training) | changes)
    )
    repository.commit("Noise")
    for revision in ("HEAD", None):
        assert main([revision] if revision else []) == (1 if reason else 0)
        lines = capsys.readouterr().out.replace("this folder", "HEAD").splitlines()
        assert [line for line in lines if not line.startswith("verify: seed noise: ")] == HOLDS
        assert not reason or lines[1].startswith(f"verify: seed noise: {reason}")
        assert (f"- `measured noise`: `{reason}" in about_lock(revision)) == bool(reason)
