"""The GitHub workflows: their permissions, and what their shell scripts do."""

import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.conftest import REPOSITORY

WORKFLOWS = {path.name: path.read_text() for path in sorted((REPOSITORY / ".github/workflows").glob("*.yml"))}
DOCUMENTS: dict[str, Any] = {name: YAML(typ="safe").load(text) for name, text in WORKFLOWS.items()}
REVIEW = DOCUMENTS["review.yml"]
STEPS = [step for document in DOCUMENTS.values() for job in document["jobs"].values() for step in job["steps"]]


def test_every_action_is_given_by_one_commit_with_the_version_in_a_comment() -> None:
    actions = {action.strip() for text in WORKFLOWS.values() for action in re.findall(r"uses:(.*)", text)}
    for action in actions:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action)
    assert len({action.split("@")[0] for action in actions}) == len(actions)


def test_only_the_jobs_that_comment_and_publish_may_write() -> None:
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


def test_no_shell_script_contains_text_from_the_event() -> None:
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert [script for script in scripts if "${{" in script and "matrix." not in script] == []


def test_the_job_that_may_write_checks_nothing_out_and_no_checkout_keeps_a_token() -> None:
    job = REVIEW["jobs"]["comment"]
    assert [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step] == ["actions/download-artifact"]
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def run_script(job: dict[str, Any], word: str, folder: Path, make: str = "true", **environment: str) -> int:
    """Run the script of a job that has a word, with a script in place of make; return its exit status."""
    (script,) = [step["run"] for step in job["steps"] if word in step.get("run", "")]
    (folder / "make").write_text(f"#!/bin/sh\n{make}\n")
    (folder / "make").chmod(0o755)
    environment["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, check=False, timeout=60).returncode


def test_the_job_that_publishes_the_page_runs_no_code_of_the_repository() -> None:
    page, publish = DOCUMENTS["pages.yml"]["jobs"].values()
    assert page["steps"][-1]["with"]["path"] == "page"
    assert [step["uses"].split("@")[0] for step in publish["steps"]] == ["actions/deploy-pages"]


RESULTS = ("success", "failure", "cancelled", "skipped")


def test_the_check_passes_only_if_everything_that_it_needs_succeeded(tmp_path: Path) -> None:
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

    def passes(*given: str) -> bool:
        return run_script(job, "fail", tmp_path, **dict(zip(values, given, strict=True))) == 0

    cases = itertools.product(RESULTS, ("true", "false", ""), RESULTS, ("true", "false"))
    assert {case for case in cases if passes(*case)} == {
        ("success", "true", "success", "true"),
        ("success", "true", "success", "false"),
        ("success", "true", "skipped", "false"),
    }


def test_a_crash_of_the_report_fails_the_job(tmp_path: Path) -> None:
    (tmp_path / "verify.txt").touch()
    commits = {"BASE_SHA": "0" * 40, "HEAD_SHA": "1" * 40, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    refuse, crash = "echo 'report: no split in common' >&2; exit 2", "echo Traceback >&2; exit 2"
    assert run_script(REVIEW["jobs"]["report"], "make report", tmp_path, refuse, **commits) == 0
    assert run_script(REVIEW["jobs"]["report"], "make report", tmp_path, crash, **commits) == 1


def test_ci_stops_at_the_first_step_that_fails(tmp_path: Path) -> None:
    (tmp_path / "apt-get").symlink_to("/bin/true")
    job = {"steps": [{"run": f"bash '{REPOSITORY}/.ci/run'"}]}
    make = f"echo $1 >> '{tmp_path}/asked'; test $1 != extra"
    assert run_script(job, "ci/run", tmp_path, make) == 1
    assert (tmp_path / "asked").read_text().split() == ["setup", "test", "extra"]


def test_the_dev_container_has_the_newest_tested_python_and_runs_make_setup() -> None:
    container = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())
    newest = DOCUMENTS["test.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"][-1]
    assert f"/python:1-{newest}-" in container["image"]
    assert container["postCreateCommand"] == "make setup"
