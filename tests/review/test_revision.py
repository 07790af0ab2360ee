"""The files of a revision, as Git holds them."""

import os
from pathlib import Path

import pytest

from review.revision import find_commit, read_file, read_results
from tests.review.repository import TRAINING, Repository, lock, model


def test_a_commit_is_found_by_branch_tag_hash_and_name_of_an_experiment(repository: Repository) -> None:
    main = repository.run("git rev-parse main").strip()
    assert {find_commit(name) for name in ("main", "v1", "HEAD", main, main[:7])} == {main}
    assert find_commit(None) is None
    repository.branch("other", epochs=9)
    other = repository.run("git rev-parse other").strip()
    repository.run(f"git update-ref refs/exps/aa/bb/bright-owl {other}")
    assert find_commit("bright-owl") == read_results("bright-owl").commit == other
    repository.run(f"git update-ref refs/exps/cc/dd/bright-owl {main}")
    with pytest.raises(ValueError, match=r"^ambiguous Git revision 'bright-owl'"):
        find_commit("bright-owl")


@pytest.mark.parametrize("revision", ["no-such-branch", "HEAD~9", "", "main:models", "f" * 40])
def test_what_is_no_revision_is_refused_by_its_name(repository: Repository, revision: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown Git revision '{revision}'"):
        find_commit(revision)


def test_a_file_has_the_bytes_that_git_holds_whatever_it_does_at_checkout(repository: Repository) -> None:
    repository.run("git config core.autocrlf true")
    repository.put("notes.txt", "changed here\n")
    assert read_file("v1", "params.yaml") == (repository.folder / "params.yaml").read_bytes()
    assert b"\r" not in read_file("v1", "params.yaml")
    assert read_file(None, Path("notes.txt")) == b"changed here\n"
    for commit in ("v1", None):
        with pytest.raises(FileNotFoundError, match=r"^there is no absent\.txt$"):
            read_file(commit, "absent.txt")


def test_results_are_those_of_the_revision_and_not_of_the_folder(repository: Repository) -> None:
    repository.write(validation={1}, epochs=9)
    for revision, epochs, errors in (("v1", 5, 10), (None, 9, 1)):
        results = read_results(revision)
        assert (results.revision, results.commit) == (revision, find_commit(revision))
        assert results.parameters == {"train.epochs": epochs, "train.filters": [32, 64]}
        assert len(results.predictions["validation"].misread()) == errors
        assert (results.dataset, results.train_images) == ("mnist", 200)
        assert (results.noise, results.history, results.data_set, results.model) == ([], {}, None, None)


def test_the_steps_are_commands_and_files_but_the_models_which_the_seed_changes_too(repository: Repository) -> None:
    repository.put(
        "dvc.lock", lock(model(3), evaluation={"models/model.onnx": "d" * 32, "stages/evaluate.py": "c" * 32})
    )
    results = read_results(None)
    assert (results.model, results.training) == (model(3), TRAINING)
    assert results.steps["evaluate"] == ("echo 2", [("stages/evaluate.py", "c" * 32)])
    assert results.steps.keys() == {"train", "evaluate"}


def test_a_missing_file_is_named_with_the_way_out(repository: Repository) -> None:
    (repository.folder / "evaluation/predictions.csv").unlink()
    with pytest.raises(OSError, match=r"^this folder holds no evaluation/predictions\.csv: `dvc repro` writes it$"):
        read_results(None)
    repository.run("git checkout -q -b topic")
    repository.commit("topic")
    with pytest.raises(
        OSError, match=r"^`topic` holds no evaluation/predictions\.csv: `dvc repro` there and commit it"
    ):
        read_results("topic")


def test_a_folder_without_git_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=rf"^{tmp_path} is not a git repository: run `git init`, "):
        find_commit("main")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_repository_of_another_user_is_refused_with_gits_own_way_out(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(repository.folder.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for path in (repository.folder, *repository.folder.rglob("*")):
        os.chown(path, 4321, 4321)
    with pytest.raises(OSError, match=rf"git config --global --add safe\.directory {repository.folder}$"):
        find_commit("main")
