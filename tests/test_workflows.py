"""The GitHub workflows: their permissions, and what their shell scripts do."""

import itertools
import json
import re

import pytest

from tests.clone import REPOSITORY
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
