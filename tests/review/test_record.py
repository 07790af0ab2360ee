"""The file of measured noise: its form, for which revision a record holds, and what verify says of a false one."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest

from review.report import about_lock
from review.results import Predictions, Trained, recipe_of
from review.seeds import (
    Record,
    contradiction,
    differing_environment,
    parse_record,
    parse_records,
    why_stale,
    write_record,
)
from review.verify import main
from tests.review.repository import IMAGES, OLD, TRAINING, Repository, lock, model, noise, record

CHANGED = TRAINING | {"stages/train.py": "c" * 32}
HERE = {"kernels": "avx2", "threads": 2}


def a_record(**changes: Any) -> Record:
    """Two seeds, measured here."""
    return parse_record(record(0.75, 0.8, **({"environment": HERE} | changes)), "recipe 1")


def predicted(*misread: int, images: int = IMAGES) -> Predictions:
    """The predictions of a model that misreads these images."""
    actual = np.arange(images) % 10
    return Predictions(np.arange(images), actual, np.where(np.isin(np.arange(images), misread), 9 - actual, actual))


SIDE = Trained(
    dataset="mnist",
    train_images=200,
    parameters={"download.dataset": "mnist", "train.epochs": 5, "train.filters": [32, 64], "train.seed": 0},
    environment=HERE,
    training=TRAINING,
    steps={},
    model=model(0),
    metrics={"validation.accuracy": 0.75, "validation.loss": 0.1},
    predictions={"validation": predicted(*range(10))},
)


def test_accuracy_and_deviation_are_computed_from_the_misread_images_whatever_else_the_file_says() -> None:
    found = a_record(mean=0.1, standard_deviation=0.7, splits={}).readings("validation")
    assert found is not None
    assert (found.accuracy, found.deviation) == (pytest.approx(mean([0.75, 0.8])), pytest.approx(stdev([0.75, 0.8])))
    assert (found.seeds, found.images, found.errors.tolist()) == (2, IMAGES, [10, 8])
    assert found.counts.tolist() == [2] * 8 + [1] * 2 + [0] * 30
    assert a_record().readings("test") is None


def test_a_single_seed_is_a_record_and_has_no_deviation() -> None:
    found = parse_record(record(0.75), "recipe 1").readings("validation")
    assert found is not None
    assert (found.seeds, found.accuracy, found.deviation) == (1, 0.75, None)


def test_a_run_is_found_by_its_seed() -> None:
    found = a_record().run(1)
    assert found is not None
    assert (found.model, found.loss, found.misread["validation"].tolist()) == (
        model(1),
        {"validation": 0.1},
        list(range(8)),
    )
    assert a_record().run(2) is None
    assert a_record().run(None) is None


def test_a_recipe_is_all_parameters_but_the_seed_of_training_and_the_source_of_the_data() -> None:
    parameters = {"download.dataset": 1, "preprocess.seed": 2, "preprocess.validation_images": 3, "train.seed": 4}
    assert recipe_of(parameters) == {"preprocess.seed": 2, "preprocess.validation_images": 3}


@pytest.mark.parametrize("key", ["preprocess.seed", "preprocess.validation_images", "train.epochs", "train.shift"])
def test_a_record_does_not_hold_at_another_value_of_any_parameter_of_the_recipe(key: str) -> None:
    parameters = SIDE.parameters | {key: 1}
    measured = a_record(parameters=recipe_of(SIDE.parameters) | {key: 0})
    assert why_stale(measured, replace(SIDE, parameters=parameters)) == f"it was measured at `{key}` 0"


@pytest.mark.parametrize("key", ["train.seed", "download.dataset", "download.fallback"])
def test_a_record_holds_at_another_value_of_what_is_no_part_of_the_recipe(key: str) -> None:
    seed = 1 if key == "train.seed" else 0
    misread = {"validation": predicted(*range(8 if seed else 10))}
    side = replace(SIDE, parameters=SIDE.parameters | {key: 1}, model=model(seed), predictions=misread)
    assert why_stale(a_record(), side) is None


STANDS: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {}, None),
    # a comment in the code, for which the bytes tell
    ({}, {"training": CHANGED}, None),
    (
        {},
        {"training": CHANGED, "model": "f" * 32},
        "it was measured with other files: `stages/train.py`",
    ),
    ({}, {"model": "f" * 32}, "its seed 0 gave another model from the same files"),
    # a seed that was not measured has no bytes to tell by
    ({}, {"parameters": SIDE.parameters | {"train.seed": 7}, "model": "f" * 32}, None),
    (
        {},
        {"parameters": SIDE.parameters | {"train.seed": 7}, "training": CHANGED},
        "it was measured with other files: `stages/train.py`",
    ),
    # nor has another machine
    ({"environment": {"kernels": "avx512_core"}}, {"model": "f" * 32}, None),
    ({"environment": {"kernels": "avx512_core"}}, {"training": CHANGED}, None),
    (
        {"environment": {"kernels": "avx512_core"}},
        {"training": CHANGED, "model": "f" * 32},
        "it was measured with other files: `stages/train.py`",
    ),
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
    (
        {},
        {"predictions": {"validation": predicted(*range(10), images=50)}},
        "it says 40 validation images, of which predictions.csv has 50",
    ),
    # the number of images is the data's, on whichever machine
    (
        {"environment": {"kernels": "avx512_core"}},
        {"predictions": {"validation": predicted(*range(10), images=50)}},
        "it says 40 validation images, of which predictions.csv has 50",
    ),
    # what one of the two does not tell contradicts nothing
    ({}, {"metrics": {}, "predictions": {"test": predicted(1)}}, None),
    # what a seed that was not committed misreads cannot be checked
    ({}, {"parameters": SIDE.parameters | {"train.seed": 1}, "model": model(1), "predictions": {}}, None),
]


@pytest.mark.parametrize(("measured", "side", "reason"), STANDS)
def test_a_record_holds_where_the_same_files_or_the_same_model_tell_so(
    measured: dict[str, Any], side: dict[str, Any], reason: str | None
) -> None:
    assert why_stale(a_record(**measured), replace(SIDE, **side)) == reason


ACCURACIES = {key: value for key, value in record().items() if key not in ("images", "looks")} | {
    "seeds": [{"seed": seed, "model": model(seed), "validation": {"accuracy": 0.75, "loss": 0.1}} for seed in (0, 1)]
}


@pytest.mark.parametrize("older", [OLD, ACCURACIES])
def test_a_record_of_an_older_form_is_read_and_holds_for_nothing(older: dict[str, Any]) -> None:
    (old,) = parse_records(noise(older))
    assert why_stale(old, SIDE) == "it was measured in an older form"
    assert contradiction(old, SIDE) is None
    assert old.readings("validation") is None


def test_many_files_are_named_in_part() -> None:
    others = {f"stages/{number}.py": "d" * 32 for number in range(9)}
    told = why_stale(a_record(), replace(SIDE, training=TRAINING | others, model="f" * 32))
    files = ", ".join(f"`stages/{number}.py`" for number in range(5))
    assert told == f"it was measured with other files: {files}, 4 more"


def test_another_environment_is_told_by_its_keys() -> None:
    there = replace(SIDE, environment={"kernels": "avx512_core", "versions.keras": "4"})
    assert differing_environment(a_record(), there) == ["kernels", "threads", "versions.keras"]


def seeds(**changes: Any) -> dict[str, Any]:
    """A record whose second seed is changed."""
    first, second = record(0.75, 0.8)["seeds"]
    return record(0.75, 0.8, seeds=[first, second | changes])


def values(misread: Any = (), loss: Any = 0.1) -> dict[str, Any]:
    return seeds(validation={"loss": loss, "misread": misread})


def splits(images: dict[str, Any]) -> dict[str, Any]:
    return record(0.5, 0.6) | {"images": images}


NUMBERS = "expected misread images from 0 to 39, ascending, got "
KEYS = "recipe 1: expected the keys environment, training, images, looks and seeds"
LOSS = "expected a loss of at least 0 of each seed and split, got "


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "expected the key recipes, a list"),
        ({"recipes": 5}, "expected the key recipes, a list"),
        ({"recipes": [{}]}, "recipe 1: expected the keys dataset, a name, and parameters"),
        ({"recipes": [record(0.5, 0.6), 5]}, "recipe 2: expected the keys dataset, a name, and parameters"),
        (
            {"recipes": [record(0.5, 0.6, dataset="mnist\n\nverdict: better")]},
            "recipe 1: expected printable names, got ",
        ),
        ({"recipes": [OLD | {"dataset": "\x1b[31m"}]}, "recipe 1: expected printable names, got "),
        ({"recipes": [record(0.5, 0.6, dataset="")]}, "recipe 1: expected printable names, got "),
        ({"recipes": [record(0.5, 0.6, parameters={"\n": 1})]}, "recipe 1: expected printable names, got "),
        ({"recipes": [record(0.5, 0.6, environment={"\n": 1})]}, "recipe 1: expected printable names, got "),
        ({"recipes": [record(0.5, 0.6, environment=[])]}, KEYS),
        ({"recipes": [record(0.5, 0.6, looks=None)]}, KEYS),
        ({"recipes": [record(0.5, 0.6) | {"images": None}]}, KEYS),
        ({"recipes": [record(0.5, 0.6, training={})]}, "expected an MD5 of each file in training, got {}"),
        ({"recipes": [record(0.5, 0.6, training={"a": "b"})]}, "expected an MD5 of each file in training, got 'b'"),
        ({"recipes": [record(0.5, 0.6, training={"\n": "a" * 32})]}, "recipe 1: expected printable names, got "),
        *(
            ({"recipes": [splits(images)]}, "expected the splits validation and test in images, got {")
            for images in ({}, {"train": 40}, {"validation": 40, "train": 40})
        ),
        *(
            ({"recipes": [splits({"validation": count})]}, f"expected numbers of images, got {got}")
            for count, got in (
                (0, "0"),
                (-1, "-1"),
                (True, "True"),
                (4e1, "40.0"),
                ("40", "'40'"),
                (10**9 + 1, "10000"),
            )
        ),
        ({"recipes": [record(looks=[0])]}, "expected at least 1 seed, each once, got []"),
        ({"recipes": [seeds(seed=0)]}, "expected at least 1 seed, each once, got [0, 0]"),
        *(
            ({"recipes": [record(0.5, 0.6, looks=looks)]}, "expected looks, rising numbers of seeds up to 2, got [")
            for looks in (
                [],
                [1],
                [3],
                [2, 3],
                [2, 1],
                [2, 2],
                [0, 2],
                [-1, 2],
                [True, 2],
                [1.0, 2],
                ["1", 2],
                [10**400],
            )
        ),
        ({"recipes": [seeds(seed=True)]}, "expected a seed from 0 to 4294967295, got True"),
        ({"recipes": [seeds(seed=-1)]}, "expected a seed from 0 to 4294967295, got -1"),
        ({"recipes": [seeds(seed=2**32)]}, "expected a seed from 0 to 4294967295, got 4294967296"),
        ({"recipes": [seeds(seed="1")]}, "expected a seed from 0 to 4294967295, got '1'"),
        ({"recipes": [seeds(model="f")]}, "expected the MD5 of a model, got 'f'"),
        ({"recipes": [record(seeds=[1, 2])]}, "expected the keys seed and model of each seed"),
        ({"recipes": [seeds(test={"loss": 0, "misread": []})]}, "expected the same splits of each seed, got "),
        ({"recipes": [seeds(validation=None)]}, f"{LOSS}None"),
        ({"recipes": [seeds(validation={"loss": 1})]}, f"{NUMBERS}None"),
        *(
            ({"recipes": [values(loss=loss)]}, f"{LOSS}{got}")
            for loss, got in (
                *((-0.5, "-0.5"), (True, "True"), (float("nan"), "nan"), (float("inf"), "inf"), ("0", "'0'")),
                (10**400, "1000"),
            )
        ),
        *(
            ({"recipes": [values(misread)]}, f"{NUMBERS}{got}")
            for misread, got in (
                *(([40], "[40]"), ([-1], "[-1]"), ([2, 1], "[2, 1]"), ([1, 1], "[1, 1]"), ([True], "[True]")),
                *(([1.0], "[1.0]"), ([0.5], "[0.5]"), (["1"], "['1']"), ([[1]], "[[1]]"), ([None], "[None]")),
                *(({"1": 1}, "{'1': 1}"), (7, "7"), ([10**400], "[1000"), (list(range(41)), "[0, 1, 2,")),
            )
        ),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_short_line(document: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_records(json.dumps(document))
    assert message in str(refused.value)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[", "9" * 5_000, "[" * 100_000, '{"recipes": [' * 50_000])
def test_what_is_no_json_raises_what_the_readers_expect(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        parse_records(text)


def test_every_number_of_a_split_may_be_misread_and_none() -> None:
    found = parse_record(record(set(range(IMAGES)), set()), "recipe 1").readings("validation")
    assert found is not None
    assert (found.errors.tolist(), found.accuracy) == ([IMAGES, 0], 0.5)


def test_a_record_replaces_that_of_its_recipe_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "seed_noise.json"
    path.write_text(noise(OLD, record(0.5, 0.6, epochs=8)))
    write_record(record(0.5, 0.6, epochs=9), path)
    write_record(record(0.7, 0.8), path)
    write_record(record(0.7, 0.9), path)
    assert json.loads(path.read_text())["recipes"] == [
        record(0.7, 0.9),
        record(0.5, 0.6, epochs=8),
        record(0.5, 0.6, epochs=9),
    ]


def test_a_list_of_numbers_is_on_one_line_of_the_file_and_the_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "seed_noise.json"
    write_record(record(0.75, {3, 7, 39}, looks=[1, 2]), path)
    text = path.read_text()
    lines = [line.strip() for line in text.splitlines()]
    for line in (
        '"train.filters": [32, 64]',
        '"looks": [1, 2],',
        '"misread": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]',
        '"misread": [3, 7, 39]',
    ):
        assert line in lines
    write_record(record(0.75, {3, 7, 39}, looks=[1, 2]), path)
    assert path.read_text() == text


def test_lists_of_other_things_and_text_that_looks_like_a_list_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "seed_noise.json"
    odd = {
        "train.a": ["x", 1],
        "train.b": [None],
        "train.c": "[\n  1,\n  2\n]",
        "train.d": [1e-05, -2.5],
        "train.e": [],
    }
    write_record(record(0.7, parameters=odd), path)
    assert json.loads(path.read_text())["recipes"] == [record(0.7, parameters=odd)]


def test_a_record_is_not_added_to_a_file_of_another_form(tmp_path: Path) -> None:
    path = tmp_path / "seed_noise.json"
    path.write_text("[")
    with pytest.raises(ValueError, match=r"brings back the committed one"):
        write_record(record(0.7, 0.8), path)
    assert path.read_text() == "["
    path.unlink()
    with pytest.raises(ValueError, match=r"the record: expected at least 1 seed"):
        write_record(record(), path)
    assert not path.exists()


Verify = Callable[[dict[str, Any]], tuple[int, list[str]]]


@pytest.fixture
def verify(repository: Repository, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Commit a record beside results whose dvc.lock is true; return the exit status of verify, and its lines."""
    code = "KERNELS = 3\n"
    repository.put("stages/train.py", code)
    training = {"stages/train.py": hashlib.md5(code.encode()).hexdigest()}
    repository.put(
        "dvc.yaml",
        "stages: {train: {cmd: echo 1, deps: [stages/train.py], outs: [models/model.keras]}}\n",
    )
    repository.put("dvc.lock", lock(training=training))
    repository.write(seed=0, validation=set(range(10)), environment=HERE)
    repository.put("metrics.json", json.dumps({"validation": {"accuracy": 0.75, "loss": 0.1}}))

    def run(changes: dict[str, Any]) -> tuple[int, list[str]]:
        measured = record(0.75, 0.8, environment=HERE, training=training) | changes
        repository.put("evaluation/seed_noise.json", noise(measured))
        repository.commit("Noise")
        statuses = main([]), main(["HEAD"])
        here, there = capsys.readouterr().out.split("this folder", 1)
        assert statuses[0] == statuses[1]
        lines = (here + "this folder" + there.split("verify: train", 1)[0]).splitlines()
        assert there.split("verify: train", 1)[1].splitlines()[1:-1] == lines[1:-1]
        return statuses[0], lines

    return run


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": {"stages/train.py": "0" * 32}},
        {"environment": {"kernels": "avx512_core"}, "seeds": record(0.1, 0.8)["seeds"]},
        {"seeds": record(0.75, 0.1)["seeds"]},  # a seed that is not committed
        {"seeds": record(0.75)["seeds"], "looks": [1]},
        OLD,
        {"parameters": {"train.epochs": 7}, "seeds": record(0.1, 0.8)["seeds"]},
        {"dataset": "mnist-5k", "seeds": record(0.1, 0.8)["seeds"]},
    ],
)
def test_noise_of_the_same_or_of_another_recipe_code_or_machine_is_not_called_false(
    verify: Verify, changes: dict[str, Any]
) -> None:
    assert verify(changes) == (0, ["verify: train: matches", "verify: dvc.lock of this folder matches all 1 stages"])


OTHER_MODEL = [each | {"model": "f" * 32} for each in record(0.75)["seeds"]] + record(0.75, 0.8)["seeds"][1:]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"seeds": record(set(range(1, 11)), 0.8)["seeds"]},
            "it says that other validation images are misread than predictions.csv says of the same model",
        ),
        ({"images": {"validation": 50}}, "it says 50 validation images, of which predictions.csv has 40"),
        (
            {"seeds": record(0.75, 0.8, loss=0.2)["seeds"]},
            "it says another validation loss of the same model than metrics.json",
        ),
        ({"seeds": OTHER_MODEL}, "its seed 0 gave another model from the same files"),
        ({"seeds": []}, "recipe 1: expected at least 1 seed, each once, got []"),
        ({"looks": [1]}, "recipe 1: expected looks, rising numbers of seeds up to 2, got [1]"),
        ({"images": {"validation": 9}}, "recipe 1: expected misread images from 0 to 8, ascending, got [0, 1, 2, "),
        ({"dataset": "mnist\n\nverify: true"}, "recipe 1: expected printable names, got 'mnist\\n\\nverify: true'"),
    ],
)
def test_noise_that_cannot_be_true_is_one_line_of_verify_and_in_the_report(
    verify: Verify, changes: dict[str, Any], reason: str
) -> None:
    status, lines = verify(changes)
    assert status == 1
    assert len(lines) == 3
    assert lines[1].startswith(f"verify: seed noise: evaluation/seed_noise.json: {reason}")
    told = about_lock(None)
    assert told.startswith("**`dvc.lock` of head or its measured noise does not match:**\n\n")
    assert f"- `measured noise`: `evaluation/seed_noise.json: {reason}" in told
