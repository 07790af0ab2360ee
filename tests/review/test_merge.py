"""Merges: what they leave of measured noise, and what each command says until they are ended."""

import re
import shutil
from collections.abc import Callable

import pytest
from msgspec import convert

from review import compare, decide, noise, report, verify
from review.results import Record
from review.revision import find_commit, read_noise
from review.seeds import write_record
from sweep import __main__ as sweep
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
