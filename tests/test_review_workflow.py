"""The review workflow in a shell: the code of base judges the commit of head, and one comment has the report."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY
from tests.review.repository import Repository

JOBS: dict[str, Any] = YAML(typ="safe").load((REPOSITORY / ".github/workflows/review.yml").read_text())["jobs"]
JOB = JOBS["report"]

PIPELINE = "stages:\n  train:\n    cmd: echo 1\n    params:\n    - train\n"
LOCK = "schema: '2.0'\nstages:\n  train:\n    cmd: echo 1\n    params:\n      params.yaml:\n"
LOCK += "        train:\n          epochs: 5\n          filters: [32, 64]\n"

LIAR = "from pathlib import Path\nPath('{mark}').touch()\nprint('verify: dvc.lock matches')\nmain = lambda *_: 0\n"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose branch main, the base, has this project's review and small results that match dvc.lock."""
    origin = Repository(tmp_path_factory.mktemp("origin") / "project")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("classifier", "review"):
        shutil.copytree(REPOSITORY / name, origin.folder / name, ignore=ignored)
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


def report(origin: Repository, head: str, folder: Path) -> tuple[str, str, str]:
    """Run the steps of the job; return its output, its summary and everything that it printed."""
    base = origin.run("git rev-parse main").strip()
    checkout = JOB["steps"][0]["with"]
    ref = checkout["ref"].replace("${{ github.event.pull_request.base.sha }}", base)
    clone = Repository(folder / "checkout")
    clone.folder.mkdir()
    clone.run(f"git clone -q {origin.folder.as_uri()} . && git checkout -q {ref}")
    # Instead of `make setup`, which would install packages, make an environment that runs the python of these tests.
    python = clone.folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    clone.run("git hash-object requirements.txt > .venv/installed")
    values = {
        "BASE_SHA": base,
        "HEAD_SHA": head,
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }
    clone.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # PYTHON=python
    printed = ""
    for step in JOB["steps"]:
        if "run" in step and not step["run"].startswith("make setup"):
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=clone.folder,
                env=clone.environment | values,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            printed += done.stdout + done.stderr
            assert done.returncode == 0, printed
    return (folder / "output").read_text(), (folder / "summary").read_text(), printed


@pytest.mark.slow
def test_a_pull_request_with_matching_results_gets_a_report_and_passes(origin: Repository, tmp_path: Path) -> None:
    origin.write(validation=set(), test=set(range(10)))
    head = pull_request(origin)
    output, summary, _ = report(origin, head, tmp_path)
    assert output == "lock=true\n"
    assert summary.startswith(f"**verdict: undecided: `{head[:10]}` and `")


@pytest.mark.slow
def test_a_pull_request_cannot_pass_by_its_own_review_code_and_none_of_its_code_runs(
    origin: Repository, tmp_path: Path
) -> None:
    mark = tmp_path / "was-run"
    origin.write(validation=set(), test=set(range(10)), epochs=9)  # dvc.lock has other epochs
    for path in ("review/__init__.py", "review/verify.py", "review/report.py", "classifier/__init__.py"):
        origin.put(path, LIAR.format(mark=mark))
    origin.put("Makefile", f"$(shell touch {mark})\nsetup report:\n\ttouch {mark}\n")
    origin.put("sitecustomize.py", LIAR.format(mark=mark))
    output, summary, printed = report(origin, pull_request(origin), tmp_path)
    assert output == "lock=false\n"
    assert "verify: train: changed parameter train.epochs: 5 -> 9\n" in printed
    assert "- `train`: `changed parameter train.epochs: 5 -> 9`" in summary
    assert not mark.exists()


@pytest.mark.slow
def test_invalid_results_of_a_pull_request_are_reported_as_plain_text(origin: Repository, tmp_path: Path) -> None:
    origin.put("models/provenance.json", '{"dataset": "![@user](http://e.vil)", "images": {"train": 1}}')
    output, summary, _ = report(origin, pull_request(origin), tmp_path)
    assert output == "lock=true\n"
    lines = summary.splitlines()
    assert "![@user](http://e.vil)" in lines[0]
    assert all(line.startswith("    ") for line in lines)  # indented lines are code in Markdown


GH = '#!/bin/sh\nprintf "%s\\n" "$@" > "$HOME/asked"\ncp comment.md "$HOME/comment"\n'  # only the comment is its work
PNG = b"\x89PNG\r\n\x1a\n"
SHA = "0123456789abcdef0123456789abcdef01234567"


class GitHub:
    """A bare repository as origin, a script in place of gh, and a report to post."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.origin, self.report = folder, folder / "owner/name", folder / "temp/report"
        self.report.mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "bin/gh").write_text(GH)
        (folder / "bin/gh").chmod(0o755)
        self.git("init", "--quiet", "--bare", str(self.origin))

    def post(self, text: str, **pictures: bytes) -> str:
        """Run the step that comments on a report, and return the comment."""
        shutil.rmtree(self.report)
        self.report.mkdir()
        (self.report / "report.md").write_text(text)
        for name, content in pictures.items():
            (self.report / f"{name}.png").write_bytes(content)
        *_, step = JOBS["comment"]["steps"]
        environment = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "RUNNER_TEMP": str(self.report.parent),
            "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_SERVER_URL": self.folder.as_uri(),
            "GITHUB_RUN_ID": "42",
            "PULL_REQUEST": "7",
            "HEAD_SHA": SHA,
            "NAME": step["env"]["NAME"],
        }
        subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=self.folder,
            env=environment,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return (self.folder / "comment").read_text()

    def git(self, *arguments: str) -> bytes:
        return subprocess.run(["git", *arguments], capture_output=True, check=True, timeout=60).stdout

    def picture(self, comment: str) -> bytes:
        """The picture whose address the comment has, as GitHub serves it."""
        (address,) = re.findall(r"!\[Curves\]\((.*?)\)", comment)
        commit, _, name = address.removeprefix(f"{self.origin.as_uri()}/raw/").partition("/")
        assert self.git("-C", str(self.origin), "for-each-ref", "--format=%(objectname) %(refname)").decode() == (
            f"{commit} refs/review/7\n"
        )
        assert self.git("-C", str(self.origin), "rev-list", "--count", commit) == b"1\n"
        return self.git("-C", str(self.origin), "show", f"{commit}:{name}")


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    return GitHub(tmp_path)


def test_a_comment_has_the_report_with_its_pictures_and_a_later_commit_replaces_both(github: GitHub) -> None:
    for picture in (PNG + b"1", PNG + b"2"):
        comment = github.post("**verdict**\n\n![Curves](curves.png)\n", curves=picture)
        assert comment.startswith("**verdict**\n")
        assert f"\nCommit {SHA}; " in comment
        assert "/owner/name/actions/runs/42)" in comment
        assert github.picture(comment) == picture
    asked = ["pr", "comment", "7", "--repo", "owner/name", "--edit-last", "--create-if-none"]
    assert (github.folder / "asked").read_text().split()[:7] == asked


def test_a_report_without_pictures_is_posted_and_pushes_nothing(github: GitHub) -> None:
    assert github.post("report: no split in common\n").startswith("report: no split in common\n")
    assert github.git("-C", str(github.origin), "for-each-ref") == b""


def test_a_report_longer_than_github_accepts_is_cut_at_the_end_of_a_line(github: GitHub) -> None:
    comment = github.post("- `@user [a](b)`\n" * 10_000)
    assert 59_000 < len(comment) <= 65_536
    assert "\n- `@user [a](b)`\n\n\nCommit " in comment


def test_if_the_pictures_cannot_be_pushed_no_comment_is_posted(github: GitHub) -> None:
    shutil.rmtree(github.origin)
    with pytest.raises(subprocess.CalledProcessError):
        github.post("**verdict**\n", curves=PNG)
    assert not (github.folder / "asked").exists()
