"""What the files of a run say, and the line that refuses one of another form; test_revision.py reads them from Git."""

import json

import pytest

from classifier.paths import SOURCE
from review.results import (
    parse_description,
    parse_history,
    parse_lock,
    parse_metrics,
    parse_parameters,
    parse_predictions,
    parse_provenance,
)
from review.revision import read_results
from tests.conftest import REPOSITORY
from tests.review.repository import Repository

HEADER = "split,image,actual,predicted,confidence\n"


def test_predictions_are_read_by_split_in_the_order_of_images_whatever_the_order_of_columns() -> None:
    rows = "test,9,7,1,0.5\ntest,0,3,3,1.0\ntest,4,2,0,1\nvalidation,4,2,2,0\n"
    predictions = parse_predictions(HEADER + rows)
    assert list(predictions) == ["validation", "test"]
    assert predictions["test"].image.tolist() == [0, 4, 9]
    assert predictions["test"].actual.tolist() == [3, 2, 7]
    assert predictions["test"].predicted.tolist() == [3, 0, 1]
    assert predictions["test"].misread().tolist() == [4, 9]
    assert predictions["validation"].misread().tolist() == []
    other = parse_predictions("image,split,predicted,actual,confidence,hash\n0,test,3,5,0.9,abc\n")["test"]
    assert (other.actual.tolist(), other.predicted.tolist()) == ([5], [3])


def test_parameters_are_the_leaves_with_the_values_that_dvc_sees() -> None:
    text = "train:\n  learning_rate: 1e-5\n  filters: [32, 64]\n  extra: {}\nnote: on\n"
    expected = {"train.learning_rate": 0.00001, "train.filters": [32, 64], "train.extra": {}, "note": "on"}
    assert parse_parameters(text) == expected
    assert parse_parameters("") == {}


def test_metrics_and_provenance_are_read_by_dotted_key() -> None:
    assert parse_metrics('{"train": {"images": 9}, "test": {"loss": 0.5}}') == {"train.images": 9, "test.loss": 0.5}
    document = {"dataset": "mnist", "images": {"train": 55000}, "threads": 2, "versions": {"numpy": "2.4.6"}}
    assert parse_provenance(json.dumps(document)) == ("mnist", 55000, {"threads": 2, "versions.numpy": "2.4.6"})


def test_a_history_is_read_by_column_with_and_without_validation() -> None:
    without = "epoch,accuracy,loss,validation_accuracy,validation_loss\n1,0.9,0.5,,\n2,1,12.25,,\n"
    assert parse_history(without) == {"accuracy": [0.9, 1.0], "loss": [0.5, 12.25]}
    both = parse_history("epoch,lr,validation_loss,loss,accuracy,validation_accuracy\n1,x,0.25,0.5,0,1\n")
    assert both == {"accuracy": [0.0], "loss": [0.5], "validation_accuracy": [1.0], "validation_loss": [0.25]}


def test_the_lock_is_read_by_stage() -> None:
    files = {"deps": [{"path": "a.py", "md5": "1"}], "outs": [{"path": "b.csv", "md5": "2"}]}
    stages = {"train": {"cmd": "x", "params": {"params.yaml": {"train": {"epochs": 1}}}, **files}, "more": {"cmd": "y"}}
    lock = parse_lock(json.dumps({"stages": stages}))
    assert (lock["train"].command, lock["train"].parameters) == ("x", {"params.yaml:train.epochs": 1})
    assert (lock["train"].inputs, lock["train"].outputs) == ({"a.py": "1"}, {"b.csv": "2"})
    assert (lock["more"].inputs, lock["more"].outputs) == ({}, {})


def test_a_description_is_read_and_that_of_the_first_versions_had_none() -> None:
    description = parse_description((REPOSITORY / SOURCE).read_text())
    assert description
    assert (description.name, description.classes) == ("mnist", tuple("0123456789"))
    assert parse_description('{"dataset": "mnist", "requested": "mnist"}') is None


BROKEN = [
    ("evaluation/predictions.csv", "image,actual,predicted\n0,7,7\n"),
    ("evaluation/predictions.csv", HEADER),
    ("evaluation/predictions.csv", HEADER + "test,0,seven,7,1\n"),
    ("evaluation/predictions.csv", HEADER + "test,0,7\n"),
    ("evaluation/predictions.csv", HEADER + "train,0,7,7,1\ntest,0,7,7,1\n"),
    ("evaluation/predictions.csv", HEADER + "test,0,7,7,1\ntest,0,7,7,1\n"),
    ("metrics.json", '{"test": {"loss": NaN}}'),
    ("metrics.json", '{"test": {"loss": "0.1"}}'),
    ("models/provenance.json", '{"dataset": "a\\nb", "images": {"train": 1}}'),
    ("params.yaml", "train: ]"),
    ("dvc.lock", "stages: {train: 1}"),
    ("evaluation/history.csv", "epoch,loss\n1,0.5\n"),
    ("evaluation/history.csv", "epoch,accuracy,loss,validation_loss\n1,0.5,0.5,\n2,0.5,0.5,0.5\n"),
    ("data/raw/dataset.json", '{"dataset": "a", "requested": "b", "classes": []}'),
    ("evaluation/seed_noise.json", "{}"),
]


@pytest.mark.parametrize(("path", "text"), BROKEN)
def test_a_file_of_another_form_is_refused_in_one_line_with_its_name(
    repository: Repository, path: str, text: str
) -> None:
    repository.put(path, text)
    with pytest.raises(ValueError, match=rf"^{path} of this folder: .+\Z"):
        read_results(None)
