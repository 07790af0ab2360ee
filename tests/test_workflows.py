"""The GitHub workflows: their permissions, and what their shell scripts do; a pull request is judged by base's code."""

import itertools
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clone import REPOSITORY, Clone
from tests.review.repository import Repository
from tests.runner import DOCUMENTS, WORKFLOWS, Runner, evaluate

REVIEW = DOCUMENTS["review.yml"]
STEPS = [step for document in DOCUMENTS.values() for job in document["jobs"].values() for step in job["steps"]]


def test_every_action_is_given_by_one_commit_with_the_version_in_a_comment():
    actions = {action.strip() for text in WORKFLOWS.values() for action in re.findall(r"uses:(.*)", text)}
    for action in actions:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action)
    assert len({action.split("@")[0] for action in actions}) == len(actions)


def test_only_the_jobs_that_comment_and_publish_may_write():
    writers = {
        (name, job): sorted(scope for scope, access in asked["permissions"].items() if access == "write")
        for name, document in DOCUMENTS.items()
        for job, asked in document["jobs"].items()
        if "write" in asked.get("permissions", {}).values()
    }
    assert all(set(document["permissions"].values()) <= {"read"} for document in DOCUMENTS.values())
    assert writers == {
        ("pages.yml", "publish"): ["id-token", "pages"],
        ("review.yml", "comment"): ["contents", "pull-requests"],
    }


def test_no_shell_script_contains_text_from_the_event():
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert [script for script in scripts if "${{" in script and "matrix." not in script] == []


def test_the_job_that_may_write_checks_nothing_out_and_no_checkout_keeps_a_token():
    job = REVIEW["jobs"]["comment"]
    assert [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step] == ["actions/download-artifact"]
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_job_that_publishes_the_page_runs_no_code_of_the_repository():
    page, publish = DOCUMENTS["pages.yml"]["jobs"].values()
    assert page["steps"][-1]["with"]["path"] == "page"
    assert [step["uses"].split("@")[0] for step in publish["steps"]] == ["actions/deploy-pages"]


RESULTS = ("success", "failure", "cancelled", "skipped")


def test_the_check_passes_only_if_everything_that_it_needs_succeeded(tmp_path):
    job = REVIEW["jobs"]["lock"]
    assert job["needs"] == ["report", "comment"]
    assert job["if"] == "always()"  # a required check that is skipped counts as passed
    (step,) = job["steps"]
    values = {
        "REPORT": "${{ needs.report.result }}",
        "LOCK": "${{ needs.report.outputs.lock }}",
        "COMMENT": "${{ needs.comment.result }}",
        "SAME_REPOSITORY": "${{ github.event.pull_request.head.repo.full_name == github.repository }}",
    }
    assert step["env"] == values
    assert REVIEW["jobs"]["comment"]["if"] in values["SAME_REPOSITORY"]  # skipped on purpose where it is false

    runner = Runner(tmp_path / "checkout")

    def passes(*given: str) -> bool:
        return runner.step(step, **dict(zip(values, given, strict=True))).returncode == 0

    cases = itertools.product(RESULTS, ("true", "false", ""), RESULTS, ("true", "false"))
    assert {case for case in cases if passes(*case)} == {
        ("success", "true", "success", "true"),
        ("success", "true", "success", "false"),
        ("success", "true", "skipped", "false"),
    }


def test_a_crash_of_the_report_fails_the_job(tmp_path):
    runner = Runner(tmp_path / "checkout")
    (runner.folder / "verify.txt").touch()
    runner.environment |= {"BASE_SHA": "0" * 40, "HEAD_SHA": "1" * 40}
    (step,) = [step for step in REVIEW["jobs"]["report"]["steps"] if "make report" in step.get("run", "")]
    runner.put_program("../bin/make", "echo Traceback >&2; exit 2")
    assert runner.step(step).returncode == 1


REMOTE = ["make extra PYTHON=python", "dvc pull page/index.html"]


@pytest.mark.parametrize(("remote", "ran"), [("shared s3://store", REMOTE), ("", ["make repro PYTHON=python"])])
def test_the_page_is_fetched_with_the_packages_for_servers_or_else_made(tmp_path, remote, ran):
    runner = Runner(tmp_path / "checkout")
    runner.put_program("../bin/make", 'echo "make $*" >> ran')
    runner.put_program(".venv/bin/dvc", f'test "$1" = remote && echo "{remote}" || echo "dvc $*" >> ran')
    (step,) = [step for step in STEPS if "dvc pull" in step.get("run", "")]
    assert runner.step(step).returncode == 0
    assert runner.read("ran").splitlines() == ran


def test_a_merge_queue_gets_the_required_checks_and_another_base_of_a_pull_request_is_reviewed_again():
    assert all("merge_group" in DOCUMENTS[name]["on"] for name in ("review.yml", "test.yml"))
    assert {"opened", "synchronize", "reopened", "edited"} == set(REVIEW["on"]["pull_request"]["types"])
    pull_request = {"pull_request": {"base": {"sha": "b"}, "head": {"sha": "h"}}}
    for event in (pull_request, {"merge_group": {"base_sha": "b", "head_sha": "h"}}):
        sha = {name: evaluate(text, github={"event": event}) for name, text in REVIEW["env"].items()}
        assert (sha["BASE_SHA"], sha["HEAD_SHA"]) == ("b", "h")


def test_each_job_that_installs_packages_keeps_their_files_for_the_next_run():
    pip = "/home/runner/.cache/pip/"  # which setup-python keeps
    assert all(document["env"]["UV_CACHE_DIR"].startswith(pip) for document in DOCUMENTS.values())
    for job in (job for document in DOCUMENTS.values() for job in document["jobs"].values()):
        installs = any(re.search(r"\bmake ", step.get("run", "")) for step in job["steps"])
        python = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@")]
        keeps = [(given.get("cache"), given.get("cache-dependency-path")) for given in python]
        assert keeps == [("pip", "requirements*.txt")] * installs


def test_ci_stops_at_the_first_step_that_fails(tmp_path):
    runner = Runner(tmp_path / "checkout")
    runner.put_program("../bin/apt-get", "true")
    runner.put_program("../bin/make", f"echo $1 >> '{tmp_path}/asked'; test $1 != extra")
    assert runner.attempt(f"bash '{REPOSITORY}/.ci/run'").returncode == 1
    assert (tmp_path / "asked").read_text().split() == ["setup", "test", "extra"]


def test_the_dev_container_has_the_newest_tested_python_and_runs_make_setup():
    container = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())
    newest = DOCUMENTS["test.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"][-1]
    assert f"/python:1-{newest}-" in container["image"]
    assert container["postCreateCommand"] == "make setup"
    assert container["remoteEnv"]["PATH"] == "${containerWorkspaceFolder}/.venv/bin:${containerEnv:PATH}"


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
    origin.init("base")
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
