"""Merges: what they leave of results and measured noise, and what each command says until they are ended."""

import re
import shutil
from collections.abc import Callable

import pytest

from review import compare, decide, noise, report, verify
from review.revision import read_noise
from sweep import __main__ as sweep
from tests.conftest import REPOSITORY
from tests.review.stand_in import Project


@pytest.fixture
def project(here: Project) -> Project:
    """On main, with results and this project's .gitattributes."""
    shutil.copy(REPOSITORY / ".gitattributes", here.folder)
    here.run("dvc repro -q")
    here.commit("Results")
    return here


def on_branch(project: Project, name: str, old: str, new: str) -> None:
    """Commit a change of params.yaml on a branch from main, with its results."""
    project.run(f"git checkout -q -b {name} main")
    project.replace("params.yaml", old, new)  # by a text of another length: Git may miss an edit of the same size
    project.run("dvc repro -q")
    project.commit(name)


def test_noise_of_two_recipes_merges_without_a_conflict_and_that_of_one_conflicts_as_a_whole_file(
    project: Project,
) -> None:
    for name, epochs in (("one", 60), ("two", 700), ("three", 700)):
        project.run(f"git checkout -q -b {name} main")
        assert noise.main(["--seeds", "2", "-S", f"train.epochs={epochs}"]) == 0
        if name == "three":
            project.replace(project.run("git ls-files -o evaluation").strip(), '"looks": [2]', '"looks": [1, 2]')
        project.commit(name)
    project.run("git checkout -q main && git merge -q --no-edit one && git merge -q --no-edit two")
    measured = [record.parameters["train.epochs"] for record in read_noise("main") if record.runs]
    before = project.records()
    assert sorted(measured) == [60, 700]
    assert project.attempt("git merge three").returncode == 1
    assert project.records() == before
    assert re.fullmatch(r"AA evaluation/noise/mnist-[0-9a-f]{12}\.json\n", project.run("git status --porcelain"))


COMMANDS: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "verify": (verify.main, []),
    "compare": (compare.main, ["main"]),
    "report": (report.main, ["main"]),
    "noise": (noise.main, []),
    "decide": (decide.main, ["main"]),
    "sweep": (sweep.main, ["-S", "train.seed=4"]),
}


def test_in_a_conflict_each_command_says_in_one_line_how_to_end_it_and_that_ends_it(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("one", 20), ("two", 300)):
        on_branch(project, name, "seed: 1", f"seed: {seed}")
    files = "dvc.lock, metrics.json, params.yaml"
    for way in ("merge", "rebase", "cherry-pick"):
        assert project.attempt(f"git checkout -q -b {way} two && git {way} one").returncode == 1
        before = project.run("git status --porcelain")
        assert verify.main(["one"]) == 0  # another revision is judged all the same
        capsys.readouterr()
        for name, (main, arguments) in COMMANDS.items():
            assert main(arguments)
            printed = capsys.readouterr()
            assert printed.err.startswith(f"{name}: a merge left conflicts in {files}: take one side's with `git check")
            assert (printed.out, printed.err.count("\n"), project.runs()) == ("", 1, [])
        assert project.run("git status --porcelain") == before
        ours, add, repro = re.findall("`(.+?)`", printed.err)
        project.run(f"{ours.replace('--ours', '--theirs')} && {add} --all && {repro} && {add} --all")
        project.run(f"git -c core.editor=true {way} --continue")
        assert verify.main(["HEAD"]) == verify.main([]) == 0
