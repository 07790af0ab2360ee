"""What the files of a run or a revision say, as Git holds them, and the line that refuses one of another form."""

import json
import re
from pathlib import Path

import pytest

from classifier.parameters import parse_yaml
from review import results
from review.revision import find_commit, read_file, read_noise, read_results
from tests.review.repository import TRAINING, lock, model, record

HEADER = "split,image,actual,predicted,confidence\n"


def test_predictions_are_read_by_split_in_the_order_of_images_whatever_the_order_of_columns():
    rows = "test,9,7,1,0.5\ntest,0,3,3,1.0\ntest,4,2,0,1\nvalidation,4,2,2,0\n"
    predictions = results.parse_predictions(HEADER + rows)
    assert list(predictions) == ["validation", "test"]
    test = predictions["test"]
    assert [test.image.tolist(), test.actual.tolist(), test.predicted.tolist()] == [[0, 4, 9], [3, 2, 7], [3, 0, 1]]
    assert (test.misread().tolist(), predictions["validation"].misread().tolist()) == ([4, 9], [])
    test = results.parse_predictions("image,split,predicted,actual,confidence,hash\n0,test,3,5,0.9,abc\n")["test"]
    assert (test.actual.tolist(), test.predicted.tolist()) == ([5], [3])


def test_parameters_metrics_and_provenance_are_leaves_by_dotted_key():
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


def test_a_history_is_read_by_column_with_and_without_validation():
    without = "epoch,accuracy,loss,validation_accuracy,validation_loss\n1,0.9,0.5,,\n2,1,12.25,,\n"
    assert results.parse_history(without) == {"accuracy": [0.9, 1.0], "loss": [0.5, 12.25]}
    both = results.parse_history("epoch,lr,validation_loss,loss,accuracy,validation_accuracy\n1,x,0.25,0.5,0,1\n")
    assert both == {"accuracy": [0.0], "loss": [0.5], "validation_accuracy": [1.0], "validation_loss": [0.25]}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("evaluation/predictions.csv", "image,actual,predicted\n0,7,7\n"),
        ("evaluation/predictions.csv", HEADER + "test,0,7\n"),
        ("evaluation/predictions.csv", HEADER + "test,0,7,-1,1\n"),
        ("evaluation/predictions.csv", HEADER + "train,0,7,7,1\ntest,0,7,7,1\n"),
        ("evaluation/predictions.csv", HEADER + "test,0,7,7,1\ntest,0,7,7,1\n"),
        ("metrics.json", '{"test": {"loss": NaN}}'),
        ("models/provenance.json", '{"dataset": "a\\nb", "images": {"train": 1}}'),
        ("params.yaml", "train: ]"),
        ("dvc.lock", "stages: {train: 1}"),
        ("evaluation/history.csv", "epoch,loss\n1,0.5\n"),
        ("evaluation/history.csv", "epoch,accuracy,loss,validation_loss\n1,0.5,0.5,\n2,0.5,0.5,0.5\n"),
        ("data/raw/dataset.json", '{"dataset": "a", "requested": "b", "classes": []}'),
        ("evaluation/noise/mnist.json", "{}"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line_with_its_name(repository, path, text):
    repository.put(path, text)
    with pytest.raises(ValueError, match=rf"^{path} of this folder: .+\Z"):
        read_results(None)
    repository.put(path, f"<<<<<<< HEAD\n{text}\n=======\n{text}\n>>>>>>> topic\n")
    repository.commit("Somebody committed the markers of a merge")
    for revision in (None, "HEAD"):
        with pytest.raises(ValueError, match=f"a merge left conflicts in {path}: edit .* `git checkout --ours {path}`"):
            read_results(revision)


def test_a_commit_is_found_by_branch_tag_hash_and_name_of_an_experiment(repository):
    main = repository.run("git rev-parse main").strip()
    assert {find_commit(name) for name in ("main", "v1", "HEAD", main, main[:7])} == {main}
    assert find_commit(None) is None
    repository.branch("other", epochs=9)
    other = repository.run("git rev-parse other").strip()
    repository.run(f"git update-ref refs/exps/aa/bb/bright-owl {other}")
    assert find_commit("bright-owl") == read_results("bright-owl").commit == other
    repository.run(f"git update-ref refs/exps/cc/dd/bright-owl {main}")
    for revision, why in (("bright-owl", "ambiguous"), ("HEAD~9", "unknown"), ("", "unknown"), ("f" * 40, "unknown")):
        with pytest.raises(ValueError, match=f"^{why} Git revision '{revision}'"):
            find_commit(revision)


def test_in_a_shallow_clone_an_unknown_revision_names_the_way_out(repository, monkeypatch):
    repository.branch("other", epochs=9)
    repository.run("git clone -q --depth 1 --branch other file://$PWD ../shallow")
    monkeypatch.chdir("../shallow")
    way_out = "the clone is shallow, and `git fetch --unshallow` may fetch it"
    with pytest.raises(ValueError, match=f"^unknown Git revision 'HEAD~1': {way_out}$"):
        find_commit("HEAD~1")


def test_noise_is_read_from_the_file_of_each_recipe(repository):
    repository.put_noise(record(0.7, epochs=9), record(0.8))
    repository.commit("Two recipes")
    repository.put("evaluation/noise/.partial-0.json", "{")  # as a killed command leaves it
    for revision, epochs in (("HEAD~1", []), ("HEAD", [9, 5]), (None, [9, 5])):
        assert [record.parameters["train.epochs"] for record in read_noise(revision)] == epochs


def test_a_file_has_the_bytes_that_git_holds_whatever_it_does_at_checkout(repository):
    repository.run("git config core.autocrlf true")
    assert read_file("v1", "params.yaml") == (repository.folder / "params.yaml").read_bytes()
    assert b"\r" not in read_file("v1", "params.yaml")
    repository.put("notes.txt", "changed here\n")
    assert read_file(None, Path("notes.txt")) == b"changed here\n"
    for commit in ("v1", None):
        with pytest.raises(FileNotFoundError, match=r"^there is no absent\.txt$"):
            read_file(commit, "absent.txt")


def test_results_are_those_of_the_revision_and_not_of_the_folder(repository):
    evaluation = {"models/model.onnx": "d" * 32, "stages/evaluate.py": "c" * 32}
    repository.write(validation={1}, epochs=9, lock=lock(model(3), evaluation=evaluation))
    for revision, epochs, errors in (("v1", 5, 10), (None, 9, 1)):
        results = read_results(revision)
        assert (results.revision, results.commit) == (revision, find_commit(revision))
        assert results.parameters == {"train.epochs": epochs, "train.filters": [32, 64]}
        assert len(results.predictions["validation"].misread()) == errors
        assert (results.dataset, results.train_images) == ("mnist", 200)
        assert (results.noise, results.history, results.data_set) == ([], {}, None)
    assert (results.model, results.training) == (model(3), TRAINING)
    # The steps are commands and what they read but the models, which a seed changes too.
    assert results.steps["evaluate"] == ("echo 2", [("stages/evaluate.py", "c" * 32)])
    assert results.steps.keys() == {"train", "evaluate"}
    assert (read_results("v1").model, read_results("v1").steps) == (None, {})


def test_a_missing_file_is_named_with_the_way_out(repository):
    (repository.folder / "evaluation/predictions.csv").unlink()
    repository.commit("incomplete")
    for revision, place, remedy in ((None, "this folder", "writes it"), ("main", "`main`", "there and commit it")):
        message = f"{place} holds no evaluation/predictions.csv: `dvc repro` {remedy}"
        with pytest.raises(OSError, match=f"^{re.escape(message)}$"):
            read_results(revision)


def test_a_folder_without_git_and_a_repository_of_another_user_are_refused_with_the_way_out(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("HOME", str(repository.folder.parent))
    with pytest.raises(OSError, match=rf"git config --global --add safe\.directory {repository.folder}$"):
        find_commit("main")
    monkeypatch.chdir(repository.folder.parent)
    with pytest.raises(OSError, match=rf"^{repository.folder.parent} is not a git repository: run `git init`, "):
        find_commit("main")
