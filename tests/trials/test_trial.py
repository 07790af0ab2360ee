"""What a trial starts from, and its name."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clone import Clone
from trials.git import git, snapshot
from trials.trial import Trial


@pytest.fixture
def here(tmp_path, monkeypatch) -> Clone:
    """A repository with two files, as the current directory."""
    clone = Clone(tmp_path / "project")
    for path, text in {"a": "a", "b": "b", ".gitignore": "/ignored\n"}.items():
        clone.put(path, text)
    clone.init("Two files")
    monkeypatch.chdir(clone.folder)
    return clone


def test_a_snapshot_has_the_files_as_they_are_and_changes_nothing(here):
    commit, tree = snapshot()
    assert (commit, tree) == (git("rev-parse", "HEAD"), git("rev-parse", "HEAD^{tree}"))
    here.put("a", "changed")
    (here.folder / "b").unlink()
    here.put("new", "new")
    here.put("ignored", "ignored")
    before = git("status", "--porcelain")
    _, changed = snapshot()
    assert git("status", "--porcelain") == before
    assert git("ls-tree", "--name-only", changed).split() == [".gitignore", "a", "new"]
    assert git("cat-file", "blob", f"{changed}:a") == "changed"
    assert snapshot("main") == (commit, tree)
    _, without = snapshot(but=Path("a"))
    assert git("diff", "--name-only", tree, without).split() == ["b", "new"]


def test_a_snapshot_has_an_edit_that_left_size_and_time_as_they_were(here):
    git("config", "core.trustctime", "false")
    file = here.folder / "a"
    os.utime(file, (10**9, 10**9))
    git("update-index", "--refresh")
    file.write_text("c")
    os.utime(file, (10**9, 10**9))
    assert git("status", "--porcelain") == ""
    _, tree = snapshot()
    assert git("cat-file", "blob", f"{tree}:a") == "c"


def test_a_trial_has_the_name_of_all_that_it_depends_on():
    trial = Trial("a" * 40, "b" * 40, ("train.seed=1", "train.rate=2"))
    assert trial.name == replace(trial, changes=trial.changes[::-1]).name
    others = [{"commit": "c" * 40}, {"tree": "c" * 40}, {"changes": ("train.seed=1",)}, {"identity": "other"}]
    names = {replace(trial, **other).name for other in others}  # type: ignore[arg-type]
    assert len(names | {trial.name}) == 5
    # An identity stands for all of them.
    named = replace(trial, identity="other")
    assert named.name == replace(named, commit="c" * 40, tree="d" * 40, changes=()).name
