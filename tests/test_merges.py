"""Two branches with real results, merged in the ways of Git and GitHub: verify accepts only the results of one."""

import shutil

import pytest
from filelock import FileLock

from review.lock import stage_findings
from tests.clone import Clone

pytestmark = [pytest.mark.slow, pytest.mark.walks]

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


@pytest.mark.parametrize("merged_by_lines", ["", "dvc.lock !merge"], ids=["attributes", "none of dvc.lock"])
@pytest.mark.parametrize("way", WAYS)
def test_after_a_merge_results_are_of_one_side_or_verify_says_why_not(
    branches, tmp_path, monkeypatch, way, merged_by_lines
):
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
