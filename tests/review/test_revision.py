"""What each file of a revision may hold, and the line that refuses it otherwise."""

import json

import pytest

from classifier.data.catalogue import FASHION_MNIST
from review.results import leaves, parse_lock, parse_metrics, parse_parameters, parse_provenance
from review.revision import parse_description, parse_history


def test_parameters_are_the_leaves_with_the_values_that_dvc_sees() -> None:
    found = parse_parameters("train:\n  learning_rate: 1e-5\n  filters: [32, 64]\n  extra: {}\nnote: on\n")
    assert found == {"train.learning_rate": 0.00001, "train.filters": [32, 64], "train.extra": {}, "note": "on"}
    assert parse_parameters("") == {}


def test_parameters_that_are_no_sections_are_refused() -> None:
    with pytest.raises(ValueError, match="expected sections of keys"):
        parse_parameters("- 1\n")


def test_a_key_that_a_terminal_would_obey_is_quoted() -> None:
    assert dict(leaves({"\033[31m": {1: 2}})) == {"'\\x1b[31m'.1": 2}


@pytest.mark.parametrize("value", ['"x"', "NaN", "Infinity", "1e999", "true", "null", "[1]", "1" + "0" * 400])
def test_a_metric_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"test\.accuracy must be a number, got "):
        parse_metrics(f'{{"test": {{"accuracy": {value}}}}}')


def test_metrics_are_read_by_dotted_key() -> None:
    assert parse_metrics('{"train": {"images": 9}, "test": {"loss": 0.5}}') == {"train.images": 9, "test.loss": 0.5}
    with pytest.raises(ValueError, match="expected metrics by split"):
        parse_metrics("[]")


@pytest.mark.parametrize(
    "document",
    [[], {}, {"dataset": "mnist"}, {"dataset": 1, "images": {"train": 1}}, {"dataset": "a\nb", "images": {"train": 1}}],
)
def test_provenance_without_a_data_set_and_its_size_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"expected the keys dataset, a name, and images\.train, a whole number"):
        parse_provenance(json.dumps(document))


def test_provenance_names_the_data_set_how_many_images_trained_and_the_environment() -> None:
    document: dict[str, object] = {"dataset": "mnist", "images": {"train": 55000, "validation": 5000}, "threads": 2}
    document["versions"] = {"numpy": "2.4.6"}
    assert parse_provenance(json.dumps(document)) == ("mnist", 55000, {"threads": 2, "versions.numpy": "2.4.6"})


def test_a_history_is_read_by_column_with_and_without_validation() -> None:
    assert parse_history("epoch,accuracy,loss\n1,0.9,0.5\n2,1.000000,12.25\n") == {
        "accuracy": [0.9, 1.0],
        "loss": [0.5, 12.25],
    }
    blank = parse_history("epoch,accuracy,loss,validation_accuracy,validation_loss\n1,0.9,0.5,,\n")
    assert blank == {"accuracy": [0.9], "loss": [0.5]}
    found = parse_history("epoch,lr,validation_loss,loss,accuracy,validation_accuracy\n1,x,0.25,0.5,0,1\n")
    assert found == {"validation_loss": [0.25], "loss": [0.5], "accuracy": [0.0], "validation_accuracy": [1.0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column epoch is missing; expected are epoch,accuracy,loss"),
        ("epoch,loss\n1,0.5\n", "column accuracy is missing"),
        ("epoch,accuracy,loss\n", "expected a row for each epoch, found none"),
        ("epoch,accuracy,loss\n1,0.5\n", "line 2: expected 3 cells, found 2"),
        ("epoch,accuracy,loss\n1,1.5,0.5\n", "line 2: accuracy must be a number from 0 to 1, got '1.5'"),
        ("epoch,accuracy,loss\n1,0.5,nan\n", "line 2: loss must be a number of at least 0, got 'nan'"),
        ("epoch,accuracy,loss\n1,0.5,-0.1\n", "line 2: loss must be a number of at least 0, got '-0.1'"),
        (
            "epoch,accuracy,loss,validation_loss\n1,0.5,0.5,x\n",
            "line 2: validation_loss must be a number of at least 0, got 'x'",
        ),
        (
            "epoch,accuracy,loss,validation_loss\n1,0.5,0.5,\n2,0.5,0.5,0.5\n",
            "validation_loss must be a number in each row or in none",
        ),
        ("epoch,accuracy,loss\n0,0.5,0.5\n", "line 2: expected epoch 1"),
        ("epoch,accuracy,loss\n1,0.5,0.5\n3,0.5,0.5\n", "line 3: expected epoch 2"),
    ],
)
def test_a_history_of_another_form_is_refused_with_the_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_history(text)
    assert message in str(refused.value)


def test_the_lock_names_the_model_and_what_trained_and_evaluated_it() -> None:
    train = {
        "deps": [{"path": "stages/train.py", "md5": "a"}],
        "outs": [{"path": "models/model.keras", "md5": "b"}],
    }
    evaluate = [{"path": "stages/evaluate.py", "md5": "c"}, {"path": "models/model.onnx", "md5": "d"}]
    export = [{"path": "stages/export.py", "md5": "e"}, {"path": "models/model.keras", "md5": "b"}]
    stages = {
        "train": {"cmd": "train", **train},
        "export": {"cmd": "export", "deps": export},
        "evaluate": {"cmd": "evaluate", "deps": evaluate},
    }
    steps = {"train": "train", "evaluate": "evaluate", "stages/evaluate.py": "c"}
    both = {**steps, "export": "export", "stages/export.py": "e"}
    assert parse_lock(json.dumps({"stages": stages})) == ({"stages/train.py": "a"}, both, "b")
    del stages["export"]  # as in older commits
    assert parse_lock(json.dumps({"stages": stages})) == ({"stages/train.py": "a"}, steps, "b")


@pytest.mark.parametrize("text", ["", "[]", "stages: {train: 1}", "stages: {train: {deps: 1, outs: [2, {}]}}"])
def test_a_lock_without_the_stage_train_names_no_model(text: str) -> None:
    training, _, model = parse_lock(text)
    assert (training, model) == ({}, None)


def test_a_description_is_read_and_that_of_the_first_versions_had_none() -> None:
    names = {"dataset": "fashion-mnist", "requested": "fashion-mnist"}
    (found,) = parse_description(json.dumps(names | FASHION_MNIST.as_json()))
    assert (found.name, found.classes) == ("fashion-mnist", FASHION_MNIST.classes)
    assert parse_description(json.dumps(names)) == []


@pytest.mark.parametrize("text", ["[]", "{}", '{"dataset": "a", "requested": "b", "classes": []}', "not JSON"])
def test_a_description_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected the keys|Expecting value"):
        parse_description(text)
