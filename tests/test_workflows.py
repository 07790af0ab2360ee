"""The GitHub workflows: their permissions, and the comment on a pull request, with a script in place of gh."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY

WORKFLOWS = {path.name: path.read_text() for path in sorted((REPOSITORY / ".github/workflows").glob("*.yml"))}
DOCUMENTS: dict[str, Any] = {name: YAML(typ="safe").load(text) for name, text in WORKFLOWS.items()}
REVIEW = DOCUMENTS["review.yml"]

PNG = b"\x89PNG\r\n\x1a\n"
SHA = "0123456789abcdef0123456789abcdef01234567"
LATER = SHA[::-1]

GH = """\
#!/usr/bin/env python3
import json, pathlib, sys
state = pathlib.Path(__file__).with_name("comments.json")
comments = json.loads(state.read_text())
arguments = sys.argv[1:]
assert arguments.pop(0) == "api"
if "--slurp" in arguments:
    assert arguments == ["--paginate", "--slurp", "repos/owner/name/issues/7/comments"], arguments
    print(json.dumps([comments[:1], comments[1:]]))
else:
    _, method, where, *rest = arguments
    assert rest == ["--input", "-"], rest
    body = json.load(sys.stdin)["body"]
    if method == "POST":
        assert where == "repos/owner/name/issues/7/comments", where
        comments.append({"id": 100 + len(comments), "user": {"login": "github-actions[bot]"}, "body": body})
    else:
        assert method == "PATCH", method
        (comment,) = [each for each in comments if where == f"repos/owner/name/issues/comments/{each['id']}"]
        comment["body"] = body
    state.write_text(json.dumps(comments))
"""


class GitHub:
    """A pull request with its comments, a bare repository as origin, and a report to post."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin = folder / "owner/name"
        self.report = folder / "report"
        self.report.mkdir()
        self.state = folder / "bin/comments.json"
        self.state.parent.mkdir()
        self.state.write_text("[]")
        gh = folder / "bin/gh"
        gh.write_text(GH)
        gh.chmod(0o755)
        self.git("init", "--quiet", "--bare", str(self.origin))
        self.write({"curves.png": PNG + b"1"})

    def write(self, pictures: dict[str, bytes], text: str = "**verdict**\n\n![Curves](curves.png)\n") -> None:
        (self.report / "report.md").write_text(text)
        for name, content in pictures.items():
            (self.report / name).write_bytes(content)

    def post(self, sha: str = SHA, number: str = "7") -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_SERVER_URL": self.folder.as_uri(),
            "GITHUB_RUN_ID": "42",
            "PULL_REQUEST": number,
            "HEAD_SHA": sha,
        }
        return subprocess.run(
            [sys.executable, str(REPOSITORY / ".github/comment.py"), str(self.report)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def posted(self, sha: str = SHA) -> str:
        """Post, and return the text of the last comment."""
        done = self.post(sha)
        assert done.returncode == 0, done.stderr
        return str(self.comments()[-1]["body"])

    def comments(self) -> list[dict[str, Any]]:
        return list(json.loads(self.state.read_text()))

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def commit(self, paths: list[str]) -> str:
        """Write a commit with these paths to the origin, as another run would, and return its hash."""
        blob = self.git("-C", str(self.origin), "hash-object", "-w", "--stdin").strip()
        index = ["env", f"GIT_INDEX_FILE={self.folder / 'index'}", "git", "-C", str(self.origin)]
        listed = "".join(f"100644 {blob}\t{path}\n" for path in paths)
        subprocess.run([*index, "update-index", "--index-info"], input=listed, text=True, check=True, timeout=60)
        tree = subprocess.check_output([*index, "write-tree"], text=True, timeout=60).strip()
        who = ["-c", "user.name=Other", "-c", "user.email=other@example.org"]
        return self.git("-C", str(self.origin), *who, "commit-tree", tree, "-m", "of another run").strip()

    def pushed(self) -> list[str]:
        """The paths on the branch of pictures; empty if there is no such branch."""
        if not self.git("-C", str(self.origin), "branch", "--list", "review-pictures"):
            return []
        return self.git("-C", str(self.origin), "ls-tree", "-r", "--name-only", "review-pictures").split()


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    return GitHub(tmp_path)


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


def test_the_job_that_may_write_runs_the_script_of_base_and_no_checkout_keeps_a_token() -> None:
    job = REVIEW["jobs"]["comment"]
    checkout, download, comment = job["steps"]
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert download["with"]["path"] == "${{ runner.temp }}/report"  # in the checkout, it could replace the script
    assert comment["run"] == 'python3 .github/comment.py "$RUNNER_TEMP/report"'
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


def test_the_first_comment_is_posted_and_its_pictures_are_pushed_to_a_new_branch(github: GitHub) -> None:
    text = github.posted()
    assert text.startswith("<!-- review -->\n**verdict**\n")
    address = re.findall(r"!\[Curves\]\((.*?)\)", text)
    assert address == [f"{github.folder.as_uri()}/owner/name/raw/review-pictures/pr-7/{SHA}/curves.png"]
    assert github.pushed() == [f"pr-7/{SHA}/curves.png"]
    found = subprocess.check_output(["git", "-C", github.origin, "show", f"review-pictures:pr-7/{SHA}/curves.png"])
    assert found == PNG + b"1"
    assert f"Commit {SHA}; " in text
    assert "/owner/name/actions/runs/42)" in text


def test_a_later_commit_updates_the_comment_and_replaces_its_pictures(github: GitHub) -> None:
    github.posted()
    (before,) = github.comments()
    github.write({"curves.png": PNG + b"2"}, "**another**\n\n![Curves](curves.png)\n")
    text = github.posted(LATER)
    (after,) = github.comments()
    assert after["id"] == before["id"]
    assert "**another**" in text
    assert f"/pr-7/{LATER}/curves.png)" in text
    assert github.pushed() == [f"pr-7/{LATER}/curves.png"]
    assert github.git("-C", str(github.origin), "rev-list", "--count", "review-pictures") == "1\n"


def test_the_branch_of_pictures_has_the_newest_hundred_pull_requests_and_no_history(github: GitHub) -> None:
    before = github.commit([f"pr-{number}/{LATER}/curves.png" for number in range(100, 220)])
    github.git("-C", str(github.origin), "update-ref", "refs/heads/review-pictures", before)
    github.posted()
    numbers = sorted(int(path.split("/")[0].removeprefix("pr-")) for path in github.pushed())
    assert numbers == [7, *range(121, 220)]  # number 7 is old, but it is under review
    assert github.git("-C", str(github.origin), "rev-list", "--count", "review-pictures") == "1\n"


def test_comments_of_others_are_not_changed(github: GitHub) -> None:
    others = [
        {"id": 1, "user": {"login": "someone"}, "body": "<!-- review -->\nnot ours"},
        {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "of another workflow, about <!-- review -->"},
    ]
    github.state.write_text(json.dumps(others))
    github.posted()
    github.posted(LATER)
    assert github.comments()[:2] == others
    assert len(github.comments()) == 3


def test_only_small_png_files_of_the_report_are_pushed(github: GitHub) -> None:
    (github.folder / "secret.png").write_bytes(PNG)
    (github.report / "link.png").symlink_to(github.folder / "secret.png")
    pictures = {"page.png": b"<html>", "large.png": PNG + bytes(2**20), "Odd name.png": PNG, "code.py": PNG}
    github.write(pictures, "![a](curves.png) ![b](page.png) ![c](link.png) [d](https://example.org/curves.png)")
    text = github.posted()
    assert github.pushed() == [f"pr-7/{SHA}/curves.png"]
    assert "![b](page.png) ![c](link.png) [d](https://example.org/curves.png)" in text


def test_a_report_that_is_a_link_is_not_read(github: GitHub) -> None:
    (github.folder / "secret").write_text("secret")
    (github.report / "report.md").unlink()
    (github.report / "report.md").symlink_to(github.folder / "secret")
    done = github.post()
    assert (done.returncode, done.stderr) == (1, "comment: report.md is a link\n")
    assert github.comments() == []


def test_a_report_without_pictures_is_posted_and_pushes_nothing(github: GitHub) -> None:
    (github.report / "curves.png").unlink()
    github.write({}, "report: no split in common\n")
    assert "\nreport: no split in common\n" in github.posted()
    assert github.pushed() == []


def test_a_report_longer_than_github_accepts_is_cut_and_says_so(github: GitHub) -> None:
    github.write({}, "- `@user [a](b)`\n" * 10_000)
    text = github.posted()
    assert 60_000 < len(text) <= 65_536
    # Half a code span would be read as Markdown, so the cut is at the end of a line.
    assert "\n- `@user [a](b)`\n\n(The rest is in the artifact.)\n" in text
    assert text.endswith("/actions/runs/42).\n")


def hook(github: GitHub, script: str) -> None:
    path = github.origin / "hooks/pre-receive"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_if_another_run_pushes_first_the_push_is_repeated_on_its_commit(github: GitHub) -> None:
    github.posted()
    other = github.commit([f"pr-8/{SHA}/curves.png"])
    move = f"env -u GIT_QUARANTINE_PATH git update-ref refs/heads/review-pictures {other}"
    hook(github, f"test -e once || {{ touch once; {move}; }}")  # while our first push arrives
    assert f"/pr-7/{LATER}/curves.png)" in github.posted(LATER)
    assert github.pushed() == [f"pr-7/{LATER}/curves.png", f"pr-8/{SHA}/curves.png"]


def test_if_the_pictures_cannot_be_pushed_no_comment_is_posted(github: GitHub) -> None:
    hook(github, "exit 1")
    assert github.post().returncode == 1
    assert github.comments() == []


@pytest.mark.parametrize(("sha", "number"), [("main", "7"), (SHA, "7/../8"), (SHA.upper(), "7"), (SHA, "")])
def test_an_invalid_pull_request_number_or_commit_is_refused(github: GitHub, sha: str, number: str) -> None:
    done = github.post(sha, number)
    assert done.returncode == 1
    assert done.stderr.startswith("comment: expected the number of a pull request and a commit, got ")
    assert github.pushed() == []


def test_the_dev_container_has_the_newest_tested_python_and_runs_make_setup() -> None:
    container = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())
    newest = DOCUMENTS["test.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"][-1]
    assert f"/python:1-{newest}-" in container["image"]
    assert container["postCreateCommand"] == "make setup"
