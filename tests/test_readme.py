"""The commands of README's review, as they stand, on the embedded digits."""

import re

import pytest

from tests.clone import Clone
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow


def commands(section: str) -> list[str]:
    """The lines of a section of README.md that a reader types: those after a dollar sign."""
    text = (REPOSITORY / "README.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"(?m)^    \$ (.+)$", text)


@pytest.fixture
def reader(clone: Clone) -> Clone:
    """A clone as its reader has it: with the results of two epochs, where the branch under review has one."""
    reader = clone
    reader.set("train.epochs", 2)
    reader.set("download.dataset", "mnist-5k")
    reader.run("dvc repro")
    reader.commit("Results on the embedded digits")
    reader.run("mkdir .venv && git hash-object requirements.txt > .venv/installed")  # whose packages run this test
    reader.environment |= {
        "SEEDS": "2",  # `make noise` takes five, and 3 minutes
        "GIT_AUTHOR_NAME": "Reader",
        "GIT_AUTHOR_EMAIL": "reader@example.org",
        "GIT_COMMITTER_NAME": "Reader",
        "GIT_COMMITTER_EMAIL": "reader@example.org",
    }
    return reader


def test_the_review_in_readme_runs_as_it_stands(reader: Clone) -> None:
    typed = commands("Reviewing a change")
    output = {command: reader.run(command) for command in typed}
    words = " ".join(typed)
    for needed in ("git checkout -b", "dvc repro", "git commit", "dvc metrics diff", "make noise", "git merge"):
        assert needed in words
    assert "train.epochs" in output["dvc params diff main"]
    assert "test.accuracy" in output["dvc metrics diff main"]
    assert "is true of all 4 stages" in output["python -m review.verify"]
    assert "seeds: the noise measured for head stands in for base" in output["python -m review.compare main"]
    assert "verdict: this folder" in output["python -m review.compare main"]
    assert "-> report (learning_curves.png, " in output["make report BASE=main"]
    assert "data:image/png;base64," in reader.read("report/report.html")
    assert reader.run("git log -1 --format=%s main") == reader.run("git log -1 --format=%s one-epoch")
