"""The file of measured noise: its form, for which revision a record holds, and what verify says of a false one."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from review.report import check_lock
from review.results.record import Record, contradiction, elsewhere, keep, parse_record, parse_records, stale
from review.results.trained import Trained, recipe_of
from review.verify import main
from tests.review.repository import OLD, TRAINING, Repository, lock, model, noise, record

CHANGED = TRAINING | {"stages/train.py": "c" * 32}
HERE = {"kernels": "avx2", "threads": 2}


def a_record(**changes: Any) -> Record:
    """Two seeds, measured here."""
    return parse_record(record(0.75, 0.8, **({"environment": HERE} | changes)), "recipe 1")


SIDE = Trained(
    dataset="mnist",
    parameters={"download.dataset": "mnist", "train.epochs": 5, "train.filters": [32, 64], "train.seed": 0},
    environment=HERE,
    training=TRAINING,
    model=model(0),
    metrics={"validation.accuracy": 0.75, "validation.loss": 0.1},
)


def test_mean_and_deviation_are_computed_from_the_values_whatever_else_the_file_says() -> None:
    found = a_record(mean=0.1, standard_deviation=0.7, splits={}).spread("validation")
    assert found is not None
    assert (found.mean, found.standard_deviation, found.n) == (mean([0.75, 0.8]), stdev([0.75, 0.8]), 2)
    assert a_record().spread("test") is None


def test_a_recipe_is_all_parameters_but_the_seed_of_training_and_the_source_of_the_data() -> None:
    parameters = {"download.dataset": 1, "preprocess.seed": 2, "preprocess.validation_images": 3, "train.seed": 4}
    assert recipe_of(parameters) == {"preprocess.seed": 2, "preprocess.validation_images": 3}


@pytest.mark.parametrize("key", ["preprocess.seed", "preprocess.validation_images", "train.epochs", "train.shift"])
def test_a_record_does_not_hold_at_another_value_of_any_parameter_of_the_recipe(key: str) -> None:
    parameters = SIDE.parameters | {key: 1}
    measured = a_record(parameters=recipe_of(SIDE.parameters) | {key: 0})
    assert stale(measured, replace(SIDE, parameters=parameters)) == f"it was measured at `{key}` 0"


@pytest.mark.parametrize("key", ["train.seed", "download.dataset", "download.fallback"])
def test_a_record_holds_at_another_value_of_what_is_no_part_of_the_recipe(key: str) -> None:
    seed = 1 if key == "train.seed" else 0
    side = replace(SIDE, parameters=SIDE.parameters | {key: 1}, model=model(seed), metrics={})
    assert stale(a_record(), side) is None


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
        {"metrics": {"validation.accuracy": 0.76}},
        "it says validation accuracy 0.75 of the model of which metrics.json says 0.76",
    ),
]


@pytest.mark.parametrize(("measured", "side", "reason"), STANDS)
def test_a_record_holds_where_the_same_files_or_the_same_model_tell_so(
    measured: dict[str, Any], side: dict[str, Any], reason: str | None
) -> None:
    assert stale(a_record(**measured), replace(SIDE, **side)) == reason


def test_a_record_of_the_older_form_is_read_and_holds_for_nothing() -> None:
    (old,) = parse_records(noise(OLD))
    assert stale(old, SIDE) == "it was measured in an older form"
    assert contradiction(old, SIDE) is None


def test_many_files_are_named_in_part() -> None:
    others = {f"stages/{number}.py": "d" * 32 for number in range(9)}
    told = stale(a_record(), replace(SIDE, training=TRAINING | others, model="f" * 32))
    files = ", ".join(f"`stages/{number}.py`" for number in range(5))
    assert told == f"it was measured with other files: {files}, 4 more"


def test_another_environment_is_told_by_its_keys() -> None:
    there = replace(SIDE, environment={"kernels": "avx512_core", "versions.keras": "4"})
    assert elsewhere(a_record(), there) == ["kernels", "threads", "versions.keras"]


def seeds(**changes: Any) -> dict[str, Any]:
    """A record whose second seed is changed."""
    first, second = record(0.75, 0.8)["seeds"]
    return record(seeds=[first, second | changes])


def values(accuracy: Any = 0.8, loss: Any = 0.1) -> dict[str, Any]:
    return seeds(validation={"accuracy": accuracy, "loss": loss})


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
        ({"recipes": [record(0.5, 0.6, environment=[])]}, "expected the keys environment, training and seeds"),
        ({"recipes": [record(0.5, 0.6, training={})]}, "expected an MD5 of each file in training, got {}"),
        ({"recipes": [record(0.5, 0.6, training={"a": "b"})]}, "expected an MD5 of each file in training, got 'b'"),
        ({"recipes": [record()]}, "expected at least 2 seeds, each once, got []"),
        ({"recipes": [record(0.5)]}, "expected at least 2 seeds, each once, got [0]"),
        ({"recipes": [seeds(seed=0)]}, "expected at least 2 seeds, each once, got [0, 0]"),
        ({"recipes": [seeds(seed=True)]}, "expected a seed from 0 to 4294967295, got True"),
        ({"recipes": [seeds(seed=-1)]}, "expected a seed from 0 to 4294967295, got -1"),
        ({"recipes": [seeds(seed=2**32)]}, "expected a seed from 0 to 4294967295, got 4294967296"),
        ({"recipes": [seeds(seed="1")]}, "expected a seed from 0 to 4294967295, got '1'"),
        ({"recipes": [seeds(model="f")]}, "expected the MD5 of a model, got 'f'"),
        ({"recipes": [record(seeds=[1, 2])]}, "expected the keys seed and model of each seed"),
        ({"recipes": [seeds(test={"accuracy": 1, "loss": 0})]}, "expected the same splits of each seed, got "),
        ({"recipes": [seeds(validation=None)]}, "expected accuracy from 0 to 1 of each seed and split, got None"),
        ({"recipes": [values(accuracy=1.5)]}, "expected accuracy from 0 to 1 of each seed and split, got 1.5"),
        ({"recipes": [values(accuracy=-0.5)]}, "expected accuracy from 0 to 1 of each seed and split, got -0.5"),
        ({"recipes": [values(accuracy=True)]}, "expected accuracy from 0 to 1 of each seed and split, got True"),
        ({"recipes": [values(accuracy=float("nan"))]}, "expected accuracy from 0 to 1 of each seed and split, got nan"),
        ({"recipes": [values(accuracy=10**400)]}, "expected accuracy from 0 to 1 of each seed and split, got 1000"),
        ({"recipes": [values(loss=10**400)]}, "expected loss from 0 to 1.79769e+308 of each seed and split, got 1000"),
        ({"recipes": [values(loss=float("inf"))]}, "expected loss from 0 to 1.79769e+308 of each seed and split, got "),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_short_line(document: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_records(json.dumps(document))
    assert message in str(refused.value)
    assert len(str(refused.value)) < 500


def test_a_record_replaces_that_of_its_recipe_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "seed_noise.json"
    path.write_text(noise(OLD, record(0.5, 0.6, epochs=8)))
    keep(record(0.5, 0.6, epochs=9), path)
    keep(record(0.7, 0.8), path)
    keep(record(0.7, 0.9), path)
    assert json.loads(path.read_text())["recipes"] == [
        record(0.7, 0.9),
        record(0.5, 0.6, epochs=8),
        record(0.5, 0.6, epochs=9),
    ]


def test_a_record_is_not_added_to_a_file_of_another_form(tmp_path: Path) -> None:
    path = tmp_path / "seed_noise.json"
    path.write_text("[")
    with pytest.raises(ValueError, match=r"brings back the committed one"):
        keep(record(0.7, 0.8), path)
    assert path.read_text() == "["
    path.unlink()
    with pytest.raises(ValueError, match=r"the record: expected at least 2 seeds"):
        keep(record(0.7), path)
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
        {"parameters": {"train.epochs": 7}, "seeds": record(0.1, 0.8)["seeds"]},
        {"dataset": "mnist-5k", "seeds": record(0.1, 0.8)["seeds"]},
    ],
)
def test_noise_of_the_same_or_of_another_recipe_code_or_machine_is_not_called_false(
    verify: Verify, changes: dict[str, Any]
) -> None:
    assert verify(changes) == (0, ["verify: train: matches", "verify: dvc.lock of this folder matches all 1 stages"])


def other_model(accuracy: float) -> list[dict[str, Any]]:
    first, second = record(accuracy, 0.8)["seeds"]
    return [first | {"model": "f" * 32}, second]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"seeds": record(0.7, 0.8)["seeds"]},
            "it says validation accuracy 0.7 of the model of which metrics.json says 0.75",
        ),
        ({"seeds": other_model(0.75)}, "its seed 0 gave another model from the same files"),
        ({"seeds": record(0.75)["seeds"]}, "recipe 1: expected at least 2 seeds, each once, got [0]"),
        ({"dataset": "mnist\n\nverify: true"}, "recipe 1: expected printable names, got 'mnist\\n\\nverify: true'"),
    ],
)
def test_noise_that_cannot_be_true_is_one_line_of_verify_and_in_the_report(
    verify: Verify, changes: dict[str, Any], reason: str
) -> None:
    status, lines = verify(changes)
    assert status == 1
    assert lines[1] == f"verify: seed noise: evaluation/seed_noise.json: {reason}"
    told = check_lock(None)
    assert "`dvc.lock` of head matches" in told
    assert f"**The measured noise of head is not valid:**\n\n- `evaluation/seed_noise.json: {reason}`" in told
