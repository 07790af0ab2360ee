"""Merges: what they leave of measured noise, and what each command says until they are ended."""

import re
import shutil
from collections.abc import Callable

import pytest
from filelock import FileLock
from msgspec import convert

from review import compare, decide, noise, report, verify
from review.lock import stage_findings
from review.results import Record
from review.revision import find_commit, read_noise
from review.seeds import write_record
from sweep import __main__ as sweep
from tests.clone import Clone
from tests.conftest import REPOSITORY
from tests.review.repository import record


def test_noise_of_two_recipes_merges_without_a_conflict_and_that_of_one_conflicts_whole(repository):
    shutil.copy(REPOSITORY / ".gitattributes", repository.folder)
    repository.commit("Attributes")
    for name, epochs, accuracy in (("one", 6, 0.5), ("two", 7, 0.6), ("three", 7, 0.7)):
        repository.run(f"git checkout -q -b {name} main")
        write_record(convert(record(accuracy, epochs=epochs), Record))
        repository.commit(name)
    repository.run("git checkout -q main && git merge -q one && git merge -q --no-edit two")
    before = read_noise("main")
    assert sorted(measured.parameters["train.epochs"] for measured in before) == [6, 7]
    assert repository.attempt("git merge three").returncode == 1
    assert re.fullmatch(r"AA evaluation/noise/mnist-[0-9a-f]{12}\.json\n", repository.run("git status --porcelain"))
    repository.run("git reset -q")
    assert read_noise(None) == before


COMMANDS: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "verify": (verify.main, []),
    "compare": (compare.main, ["one"]),
    "report": (report.main, ["one"]),
    "noise": (noise.main, []),
    "decide": (decide.main, ["one"]),
    "sweep": (sweep.main, ["-S", "train.seed=4"]),
}


def test_in_a_conflict_each_command_says_in_one_line_how_to_end_it_and_that_ends_it(here, capsys):
    shutil.copy(REPOSITORY / ".gitattributes", here.folder)
    here.commit("Attributes")
    for name, seed in (("one", 20), ("two", 300)):  # of another length: Git may miss an edit of the same size
        here.run(f"git checkout -q -b {name} main")
        here.replace("params.yaml", "seed: 1", f"seed: {seed}")
        here.run("dvc repro -q")
        here.commit(name)
    for way in ("merge", "rebase", "cherry-pick"):
        assert here.attempt(f"git checkout -q -b {way} two && git {way} one").returncode == 1
        before = here.run("git status --porcelain")
        files = ", ".join(line.split()[1] for line in before.splitlines() if line[0] in "AU")
        assert verify.main(["one"]) == 0  # another revision is judged all the same
        capsys.readouterr()
        for name, (main, arguments) in COMMANDS.items():
            assert main(arguments)
            printed = capsys.readouterr()
            assert printed.err.startswith(f"{name}: a merge left conflicts in {files}: edit what is marked, or ")
            assert (printed.out, printed.err.count("\n"), here.runs()) == ("", 1, [])
        assert here.run("git status --porcelain") == before
        ours, repro, add, *_ = re.findall("`(.+?)`", printed.err)
        assert ours == "git checkout --ours params.yaml"
        here.run(f"{ours.replace('--ours', '--theirs')} && {repro} && {add}")
        here.run(f"git -c core.editor=true {way} --continue")
        assert verify.main(["HEAD"]) == verify.main([]) == 0


def test_a_file_that_one_side_has_deleted_is_removed_as_the_line_says(repository, monkeypatch):
    monkeypatch.chdir(repository.folder)
    for name, change in (("one", "echo more >> params.yaml"), ("two", "git rm -q params.yaml")):
        repository.run(f"git checkout -q -b {name} main && {change}")
        repository.commit(name)
    assert repository.attempt("git merge one").returncode == 1
    with pytest.raises(ValueError, match=r"`git rm params\.yaml`, which one side has deleted; `dvc"):
        find_commit(None)
    repository.run("git rm -q params.yaml")
    assert find_commit(None) is None


SIDES = ("ours", "theirs")
BY_HAND = "git merge -q b; git diff --name-only --diff-filter=U | xargs git checkout -q"
BOTH = "git checkout -q b params.yaml && sed -i 's/epochs: 1 /epochs: 2 /' params.yaml;"  # GitHub's editor of conflicts
MERGE_A, REVERT_A = "git reset -q --hard origin/main && git merge -q --no-ff -m a origin/a", "git revert --no-edit -m 1"
WAYS = [
    "git merge -q -s ours b",
    *(f"git merge -q -X {side} b" for side in SIDES),
    *(f"git merge -q --squash -X {side} b; git commit -qm b" for side in SIDES),
    *(f"git rebase -q -X {side} b" for side in SIDES),
    *(f"git cherry-pick -X {side} b" for side in SIDES),
    *(f"{MERGE_A} && git merge -q -X {side} b && {REVERT_A} -X theirs HEAD~" for side in SIDES),
    *(f"{BY_HAND} --{side} --; {edit} git commit -qam b" for side in SIDES for edit in ("", BOTH)),
]


@pytest.fixture(scope="session")
def branches(clone_of_session) -> Clone:
    """On the branches a and b are other parameters of training, of which two stand side by side, and their results."""
    branches = Clone(clone_of_session.parent / "branches")
    with FileLock(f"{branches.folder}.lock"):
        if not branches.folder.exists():
            clone = Clone(branches.folder.with_name("training"))
            shutil.copytree(clone_of_session, clone.folder, symlinks=True)
            for branch, changes in {"a": {"epochs": 2}, "b": {"batch_size": 50, "shift": 0.0}}.items():
                clone.run(f"git checkout -q -b {branch} main")
                for name, value in changes.items():
                    clone.set(f"train.{name}", value)
                clone.run("dvc repro")
                clone.commit(branch)
            clone.folder.rename(branches.folder)
    return branches


def reasons() -> list[str]:
    """What verify finds in this folder."""
    return [reason for of_stage in stage_findings(None).values() for reason in of_stage]


@pytest.mark.slow
@pytest.mark.walks
@pytest.mark.parametrize("merged_by_lines", ["", "dvc.lock !merge"], ids=["attributes", "none of dvc.lock"])
@pytest.mark.parametrize("way", WAYS)
def test_after_a_merge_results_are_of_one_side_or_verify_fails(branches, tmp_path, monkeypatch, way, merged_by_lines):
    here = Clone(tmp_path / "here")
    branches.run(f"git clone -q -c core.autocrlf=true {branches.folder} {here.folder}")  # as Git on Windows
    here.run("git checkout -q -B b origin/b && git checkout -q -b a origin/a")
    (here.folder / ".git/info/attributes").write_text(merged_by_lines)
    here.run(way)
    monkeypatch.chdir(here.folder)
    assert here.run("git status --porcelain") == ""
    merged, *true = here.run("git rev-parse {HEAD,origin/{main,a,b}}^{tree}").split()
    assert (reasons() == []) == (merged in true)
    lock, *whole = here.run("git rev-parse {HEAD,origin/{main,a,b}}:dvc.lock").split()
    assert lock in whole or merged_by_lines
