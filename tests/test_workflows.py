"""The GitHub workflows: their permissions, and what their shell scripts do."""

import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY

WORKFLOWS = {path.name: path.read_text() for path in sorted((REPOSITORY / ".github/workflows").glob("*.yml"))}
DOCUMENTS: dict[str, Any] = {name: YAML(typ="safe").load(text) for name, text in WORKFLOWS.items()}
REVIEW = DOCUMENTS["review.yml"]

SHA = "0123456789abcdef0123456789abcdef01234567"
LATER = SHA[::-1]


def test_every_action_is_given_by_its_commit_with_the_version_in_a_comment() -> None:
    for name, text in WORKFLOWS.items():
        for used in re.findall(r"uses:(.*)", text):
            assert re.fullmatch(r" [\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", used), f"{name}: {used}"


def test_an_action_has_the_same_commit_in_every_workflow() -> None:
    commits = {tuple(used.split("@")) for text in WORKFLOWS.values() for used in re.findall(r"uses: (\S+)", text)}
    assert len(commits) == len({action for action, _ in commits})


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
    scripts = [
        step["run"]
        for document in DOCUMENTS.values()
        for job in document["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    assert [script for script in scripts if "${{" in script and "matrix." not in script] == []


def test_the_job_that_may_write_checks_nothing_out_and_no_checkout_keeps_a_token() -> None:
    job = REVIEW["jobs"]["comment"]
    assert [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step] == ["actions/download-artifact"]
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    checkouts = [
        step
        for document in DOCUMENTS.values()
        for each in document["jobs"].values()
        for step in each["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize(
    ("remotes", "command"),
    [("store\t/mnt/store\n", "dvc pull page/index.html"), ("", "make repro PYTHON=python")],
)
def test_the_published_page_is_the_committed_one_if_a_remote_has_it(tmp_path: Path, remotes: str, command: str) -> None:
    (tmp_path / "remotes").write_text(remotes)
    list_or_note = 'if [ "$1 $2" = "remote list" ]; then cat remotes; else echo "dvc $@" > ran; fi'
    for name, body in ((".venv/bin/dvc", list_or_note), ("make", 'echo "make $@" > ran')):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    page, publish = DOCUMENTS["pages.yml"]["jobs"].values()
    (script,) = [step["run"] for step in page["steps"] if "dvc" in step.get("run", "")]
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=True, timeout=60)
    assert (tmp_path / "ran").read_text() == f"{command}\n"
    assert page["steps"][-1]["with"]["path"] == "page"
    assert [step["uses"].split("@")[0] for step in publish["steps"]] == ["actions/deploy-pages"]


RESULTS = ("success", "failure", "cancelled", "skipped")


def test_the_check_passes_only_if_everything_that_it_needs_succeeded() -> None:
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
        environment = dict(zip(values, given, strict=True))
        return not subprocess.run(
            ["bash", "-e", "-c", step["run"]], env=environment, check=False, timeout=60
        ).returncode

    cases = itertools.product(RESULTS, ("true", "false", ""), RESULTS, ("true", "false"))
    assert {case for case in cases if passes(*case)} == {
        ("success", "true", "success", "true"),
        ("success", "true", "success", "false"),
        ("success", "true", "skipped", "false"),
    }


@pytest.mark.parametrize(
    ("make", "status", "report"),
    [
        ("mkdir report; echo '**better**' > report/report.md", 0, "**better**\n"),
        (
            "echo 'report: no split in common' >&2; echo 'make: *** Error 2' >&2; exit 2",
            0,
            "    report: no split in common\n    verify: train: matches\n",
        ),
        ("echo Traceback >&2; exit 2", 1, None),
    ],
)
def test_revisions_that_cannot_be_compared_give_one_line_and_a_crash_fails_the_job(
    tmp_path: Path, make: str, status: int, report: str | None
) -> None:
    (tmp_path / "make").write_text(f'#!/bin/sh\necho "$@" > asked\n{make}\n')
    (tmp_path / "make").chmod(0o755)
    (tmp_path / "verify.txt").write_text("verify: train: matches\n")
    (script,) = [step["run"] for step in REVIEW["jobs"]["report"]["steps"] if "make report" in step.get("run", "")]
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "BASE_SHA": SHA,
        "HEAD_SHA": LATER,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=False, timeout=60)
    assert done.returncode == status
    assert (tmp_path / "asked").read_text() == f"report PYTHON=python BASE={SHA} HEAD={LATER}\n"
    if report is not None:
        assert (tmp_path / "report/report.md").read_text() == report
        assert (tmp_path / "summary.md").read_text() == report


def test_the_dev_container_has_the_newest_tested_python_and_runs_make_setup() -> None:
    container = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())
    newest = DOCUMENTS["test.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"][-1]
    assert f"/python:1-{newest}-" in container["image"]
    assert container["postCreateCommand"] == "make setup"
