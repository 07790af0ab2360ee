"""What the files of a run say, and the line that refuses one of another form; test_revision.py reads them from Git."""

import json

import pytest

from classifier.parameters import parse_yaml
from classifier.paths import SOURCE
from review import results
from review.revision import read_results
from tests.conftest import REPOSITORY
from tests.review.repository import Repository

HEADER = "split,image,actual,predicted,confidence\n"


def test_predictions_are_read_by_split_in_the_order_of_images_whatever_the_order_of_columns() -> None:
    rows = "test,9,7,1,0.5\ntest,0,3,3,1.0\ntest,4,2,0,1\nvalidation,4,2,2,0\n"
    predictions = results.parse_predictions(HEADER + rows)
    assert list(predictions) == ["validation", "test"]
    test = predictions["test"]
    assert [test.image.tolist(), test.actual.tolist(), test.predicted.tolist()] == [[0, 4, 9], [3, 2, 7], [3, 0, 1]]
    assert (test.misread().tolist(), predictions["validation"].misread().tolist()) == ([4, 9], [])
    test = results.parse_predictions("image,split,predicted,actual,confidence,hash\n0,test,3,5,0.9,abc\n")["test"]
    assert (test.actual.tolist(), test.predicted.tolist()) == ([5], [3])


def test_parameters_metrics_and_provenance_are_leaves_by_dotted_key() -> None:
    text = "train:\n  learning_rate: 1e-5\n  filters: [32, 64]\n  extra: {}\nnote: on\n"
    parameters = {"train.learning_rate": 0.00001, "train.filters": [32, 64], "train.extra": {}, "note": "on"}
    assert results.parse_parameters(parse_yaml(text.encode())) == parameters  # as DVC sees them
    assert results.parse_parameters(None) == {}
    metrics = results.parse_metrics('{"train": {"images": 9}, "test": {"loss": 0.5}}')
    assert metrics == {"train.images": 9, "test.loss": 0.5}
    document = {"dataset": "mnist", "images": {"train": 55000}, "threads": 2, "versions": {"numpy": "2.4.6"}}
    environment = {"threads": 2, "versions.numpy": "2.4.6"}
    trained = {"parameters": {"epochs": 2}, "data": {"data/raw/dataset.json": "a" * 32}}
    for more in ({}, trained):  # older files lack both
        assert results.parse_provenance(json.dumps(document | more)) == ("mnist", 55000, environment)


def test_a_history_is_read_by_column_with_and_without_validation() -> None:
    without = "epoch,accuracy,loss,validation_accuracy,validation_loss\n1,0.9,0.5,,\n2,1,12.25,,\n"
    assert results.parse_history(without) == {"accuracy": [0.9, 1.0], "loss": [0.5, 12.25]}
    both = results.parse_history("epoch,lr,validation_loss,loss,accuracy,validation_accuracy\n1,x,0.25,0.5,0,1\n")
    assert both == {"accuracy": [0.0], "loss": [0.5], "validation_accuracy": [1.0], "validation_loss": [0.25]}


def test_a_description_is_read_and_that_of_the_first_versions_had_none() -> None:
    description = results.parse_description((REPOSITORY / SOURCE).read_text())
    assert description
    assert (description.name, description.classes) == ("mnist", tuple("0123456789"))
    assert results.parse_description('{"dataset": "mnist", "requested": "mnist"}') is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("evaluation/predictions.csv", "image,actual,predicted\n0,7,7\n"),
        ("evaluation/predictions.csv", HEADER),
        ("evaluation/predictions.csv", HEADER + "test,0,seven,7,1\n"),
        ("evaluation/predictions.csv", HEADER + "test,0,7\n"),
        ("evaluation/predictions.csv", HEADER + "test,0,7,-1,1\n"),
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
        ("evaluation/noise/mnist.json", "{}"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line_with_its_name(
    repository: Repository, path: str, text: str
) -> None:
    repository.put(path, text)
    with pytest.raises(ValueError, match=rf"^{path} of this folder: .+\Z"):
        read_results(None)
    repository.put(path, f"<<<<<<< HEAD\n{text}\n=======\n{text}\n>>>>>>> topic\n")
    repository.commit("Somebody committed the markers of a merge")
    for revision in (None, "HEAD"):
        with pytest.raises(ValueError, match=f"a merge left conflicts in {path}: edit .* `git checkout --ours {path}`"):
            read_results(revision)
