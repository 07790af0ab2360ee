"""The review workflow in a shell: the code of base judges the commit of head, and one comment has the report."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clone import REPOSITORY, Clone
from tests.review.repository import Repository
from tests.runner import DOCUMENTS, Runner, evaluate

REVIEW = DOCUMENTS["review.yml"]

PIPELINE = "stages: {train: {cmd: echo 1, params: [train]}}\n"
VALUES = "{params.yaml: {train: {epochs: 5, filters: [32, 64]}}}"
LOCK = f"schema: '2.0'\nstages: {{train: {{cmd: echo 1, params: {VALUES}}}}}\n"
LIAR = "from pathlib import Path\nPath('{mark}').touch()\nprint('verify: dvc.lock matches')\nmain = lambda *_: 0\n"


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Repository:
    """A repository whose branch main, the base, has this project's review and small results that match dvc.lock."""
    origin = Repository(tmp_path_factory.mktemp("origin") / "project")
    for name in ("classifier", "review", "trials"):
        shutil.copytree(REPOSITORY / name, origin.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (origin.folder / ".dvc").mkdir()
    for name in (".dvc/config", "Makefile", "requirements.txt"):
        shutil.copy(REPOSITORY / name, origin.folder / name)
    origin.write(validation=set(range(10)), test=set(range(10)))
    origin.put("dvc.yaml", PIPELINE)
    origin.put("dvc.lock", LOCK)
    origin.run("git init -q -b main")
    origin.commit("base")
    return origin


def pull_request(origin: Repository) -> str:
    """Commit the files under refs/pull only, as GitHub keeps commits of forks, and check out main again."""
    origin.run("git checkout -q --detach")
    origin.commit("head")
    sha = origin.run("git rev-parse HEAD").strip()
    origin.run(f"git update-ref refs/pull/7/head {sha} && git checkout -q -f main && git clean -qfd")
    return sha


def report(origin: Repository, event: dict[str, Any], folder: Path) -> tuple[str, str, str]:
    """Run the steps of the job `report`; return its output, its summary and everything that it printed."""
    steps = REVIEW["jobs"]["report"]["steps"]
    sha = {name: evaluate(text, github={"event": event}) for name, text in REVIEW["env"].items()}
    runner = Runner(folder / "checkout")
    ref = evaluate(steps[0]["with"]["ref"], env=sha)
    runner.run(f"git clone -q {origin.folder.as_uri()} . && git checkout -q {ref}")
    # Instead of `make setup`, which would install packages, make an environment that runs the python of these tests.
    runner.put_program(".venv/bin/python", f'exec {shlex.quote(sys.executable)} "$@"')
    runner.run("git hash-object requirements.txt > .venv/installed")
    done = [runner.step(step, **sha) for step in steps if not step.get("run", "make setup").startswith("make setup")]
    assert [each.stderr for each in done if each.returncode] == []
    printed = "".join(each.stdout + each.stderr for each in done)
    return (folder / "GITHUB_OUTPUT").read_text(), (folder / "GITHUB_STEP_SUMMARY").read_text(), printed


@pytest.mark.slow
@pytest.mark.walks
def test_a_pull_request_cannot_pass_by_its_own_review_code_and_none_of_its_code_runs(origin, tmp_path):
    mark = tmp_path / "was-run"
    origin.write(validation=set(), test=set(range(10)), epochs=9)  # dvc.lock has other epochs
    for path in ("review/__init__.py", "review/verify.py", "review/report.py", "sitecustomize.py"):
        origin.put(path, LIAR.format(mark=mark))
    origin.put("Makefile", f"$(shell touch {mark})\nsetup report:\n\ttouch {mark}\n")
    base, head = origin.run("git rev-parse main").strip(), pull_request(origin)
    event = {"pull_request": {"base": {"sha": base}, "head": {"sha": head}}}
    output, summary, printed = report(origin, event, tmp_path)
    assert output == "lock=false\n"
    assert "verify: train: changed parameter train.epochs: 5 -> 9\n" in printed
    assert summary.startswith("    report: the results of ")  # without a verdict
    assert "do not match the files beside them: `train: changed parameter train.epochs: 5 -> 9`" in summary
    assert not mark.exists()


@pytest.mark.slow
@pytest.mark.walks
def test_invalid_results_in_a_merge_queue_are_reported_as_plain_text(origin, tmp_path):
    origin.put("models/provenance.json", '{"dataset": "![@user](http://e.vil)", "images": {"train": 1}}')
    base, head = origin.run("git rev-parse main").strip(), pull_request(origin)
    output, summary, _ = report(origin, {"merge_group": {"base_sha": base, "head_sha": head}}, tmp_path)
    assert output == "lock=true\n"
    lines = summary.splitlines()
    assert "![@user](http://e.vil)" in lines[0]
    assert all(line.startswith("    ") for line in lines)  # indented lines are code in Markdown


def comment(folder: Path, text: str, *pictures: bytes) -> str:
    """Run the step that comments on a report, with a bare repository as origin and a script in place of gh."""
    runner = Runner(folder / "checkout")
    runner.put_program("../bin/gh", 'printf "%s " "$@" > "$RUNNER_TEMP/asked"\ncp comment.md "$RUNNER_TEMP/comment"')
    runner.run("cd ..; rm -rf report; mkdir report; git init -q --bare owner/name")
    (folder / "report/report.md").write_text(text)
    for picture in pictures:
        (folder / "report/curves.png").write_bytes(picture)
    *_, step = REVIEW["jobs"]["comment"]["steps"]
    runner.environment |= {"GITHUB_SERVER_URL": folder.as_uri(), "GITHUB_REPOSITORY": "owner/name"}
    runner.environment |= {"PULL_REQUEST": "7", "HEAD_SHA": "0123abcd", "GITHUB_RUN_ID": "42"}
    done = runner.step(step, NAME=step["env"]["NAME"])
    assert done.returncode == 0, done.stderr
    return (folder / "comment").read_text()


def test_a_comment_has_the_report_with_its_pictures_and_a_later_commit_replaces_both(tmp_path):
    origin = Clone(tmp_path / "owner/name")
    long = comment(tmp_path, "- `@user [a](b)`\n" * 10_000)  # cut at the end of a line: GitHub takes 65,536 characters
    assert 59_000 < len(long) <= 65_536
    assert "\n- `@user [a](b)`\n\n\nCommit " in long
    assert origin.run("git for-each-ref") == ""
    for picture in (b"PNG 1", b"PNG 2"):
        text = comment(tmp_path, "**verdict**\n\n![Curves](curves.png)\n", picture)
        assert re.search(r"\nCommit 0123abcd; .*/owner/name/actions/runs/42\)", text)
        (address,) = re.findall(r"!\[Curves\]\((.*?)\)", text)
        commit, _, name = address.removeprefix(f"{tmp_path.as_uri()}/owner/name/raw/").partition("/")
        assert origin.run("git for-each-ref") == f"{commit} commit\trefs/review/7\n"
        assert origin.run(f"git rev-list --count {commit} && git show {commit}:{name}") == f"1\n{picture.decode()}"
    asked = "pr comment 7 --repo owner/name --edit-last --create-if-none --body-file comment.md "
    assert (tmp_path / "asked").read_text() == asked


def test_if_the_pictures_cannot_be_pushed_no_comment_is_posted(tmp_path):
    (tmp_path / "owner/name/refs").mkdir(parents=True)
    (tmp_path / "owner/name/refs/review").touch()
    with pytest.raises(AssertionError, match="review"):
        comment(tmp_path, "**verdict**\n", b"PNG")
    assert not (tmp_path / "asked").exists()
