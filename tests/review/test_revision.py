"""The files of a revision, as Git holds them."""

import re
from pathlib import Path

import pytest

from review.revision import find_commit, read_file, read_noise, read_results
from tests.review.repository import TRAINING, Repository, lock, model, record


def test_a_commit_is_found_by_branch_tag_hash_and_name_of_an_experiment(repository: Repository) -> None:
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


def test_in_a_shallow_clone_an_unknown_revision_names_the_way_out(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.branch("other", epochs=9)
    repository.run("git clone -q --depth 1 --branch other file://$PWD ../shallow")
    monkeypatch.chdir("../shallow")
    way_out = "the clone is shallow, and `git fetch --unshallow` may fetch it"
    with pytest.raises(ValueError, match=f"^unknown Git revision 'HEAD~1': {way_out}$"):
        find_commit("HEAD~1")


def test_noise_is_read_from_the_file_of_each_recipe(repository: Repository) -> None:
    repository.put_noise(record(0.7, epochs=9), record(0.8))
    repository.commit("Two recipes")
    repository.put("evaluation/noise/.partial-0.json", "{")  # as a killed command leaves it
    for revision, epochs in (("HEAD~1", []), ("HEAD", [9, 5]), (None, [9, 5])):
        assert [record.parameters["train.epochs"] for record in read_noise(revision)] == epochs


def test_a_file_has_the_bytes_that_git_holds_whatever_it_does_at_checkout(repository: Repository) -> None:
    repository.run("git config core.autocrlf true")
    assert read_file("v1", "params.yaml") == (repository.folder / "params.yaml").read_bytes()
    assert b"\r" not in read_file("v1", "params.yaml")
    repository.put("notes.txt", "changed here\n")
    assert read_file(None, Path("notes.txt")) == b"changed here\n"
    for commit in ("v1", None):
        with pytest.raises(FileNotFoundError, match=r"^there is no absent\.txt$"):
            read_file(commit, "absent.txt")


def test_results_are_those_of_the_revision_and_not_of_the_folder(repository: Repository) -> None:
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


def test_a_missing_file_is_named_with_the_way_out(repository: Repository) -> None:
    (repository.folder / "evaluation/predictions.csv").unlink()
    repository.commit("incomplete")
    for revision, place, remedy in ((None, "this folder", "writes it"), ("main", "`main`", "there and commit it")):
        message = f"{place} holds no evaluation/predictions.csv: `dvc repro` {remedy}"
        with pytest.raises(OSError, match=f"^{re.escape(message)}$"):
            read_results(revision)


def test_a_folder_without_git_and_a_repository_of_another_user_are_refused_with_the_way_out(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("HOME", str(repository.folder.parent))
    with pytest.raises(OSError, match=rf"git config --global --add safe\.directory {repository.folder}$"):
        find_commit("main")
    monkeypatch.chdir(repository.folder.parent)
    with pytest.raises(OSError, match=rf"^{repository.folder.parent} is not a git repository: run `git init`, "):
        find_commit("main")
