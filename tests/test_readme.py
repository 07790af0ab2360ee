"""Every command of README is run exactly as written, on the embedded digits and without a network."""

import json
import re
import sys

import numpy as np
import pytest

from tests.clone import REPOSITORY, Clone, commands

TWO_COMMANDS, OWN, PARAMETERS = "Two commands", "Make it your own classifier", "Parameters"
REVIEW = "Reviewing a change"
TYPED = commands("README.md")


@pytest.fixture
def reader(clone) -> Clone:
    """A clone as a reader of README has it; its .venv is the environment of these tests."""
    (clone.folder / ".venv").symlink_to(sys.prefix)
    who = [f"GIT_{role}_{key}" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")]
    clone.environment |= dict.fromkeys(who, "reader@example.org")
    return clone


def test_every_section_of_readme_with_commands_has_a_test_here():
    assert list(TYPED) == [TWO_COMMANDS, OWN, PARAMETERS, REVIEW]


@pytest.mark.slow
@pytest.mark.walks
def test_the_two_commands_run_and_a_wrong_copy_of_mnist_is_refused(reader):
    repro, test, enter, mirror = TYPED[TWO_COMMANDS]
    assert "To draw your own, open page/index.html in a browser.\n" in reader.run(repro)
    reader.environment["PYTEST_ADDOPTS"] = "tests/test_documents.py -k the_licence"  # all would run this test again
    reader.environment["MYPY_CACHE_DIR"] = str(REPOSITORY / ".mypy_cache")
    assert "1 passed" in reader.run(test)
    assert reader.run(f"{enter}\nwhich dvc") == f"{sys.prefix}/bin/dvc\n"
    copy = reader.folder.parent / "Downloads/mnist.npz"
    copy.parent.mkdir(exist_ok=True)
    np.savez(copy, **{name: np.zeros((2, 28, 28), np.uint8) for name in ("x_train", "y_train", "x_test", "y_test")})
    reader.set("download.dataset", "mnist")
    done = reader.attempt(mirror)
    assert done.returncode != 0
    assert f"download: {copy}: " in done.stderr


@pytest.mark.slow
@pytest.mark.walks
def test_the_walk_to_a_classifier_of_other_data_runs_as_written(reader):
    before = (reader.folder / "data/raw/mnist.npz").read_bytes()
    # The committed model was made on another machine, so it is not in the cache of this one.
    (md5,) = set(re.findall(r"path: models/model.keras\n +hash: md5\n +md5: (\w+)", reader.read("dvc.lock")))
    (reader.folder / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").unlink()
    reader.set("train.epochs", 2)
    typed = [command.replace("dataset: mnist ", "dataset: mnist-5k ") for command in TYPED[OWN]]
    back = typed.index("git checkout main")
    output = {command: reader.run(command) for command in typed[:back]}
    printed = next(line for line in output["dvc repro"].splitlines() if line.startswith("download: "))
    assert printed in (REPOSITORY / "README.md").read_text().splitlines()
    # Another processor computes other weights; a network that has learnt nothing misreads 9 of 10.
    assert json.loads(reader.read("metrics.json"))["test"]["accuracy"] > 0.5
    assert json.loads(reader.read("data/raw/dataset.json"))["image_shape"] == [8, 8, 1]
    for command in typed[back:]:
        reader.run(command)
    assert (reader.folder / "data/raw/mnist.npz").read_bytes() == before
    assert reader.run("git status --porcelain") == ""
    assert reader.run("dvc status") == "Data and pipelines are up to date.\n"


@pytest.mark.slow
@pytest.mark.walks
def test_experiments_and_recipes_run_and_a_clone_without_data_reviews_one(reader, tmp_path):
    default = reader.read("params.yaml")
    output = {command: reader.run(command) for command in TYPED[PARAMETERS]}
    assert "larger-batches" in output["dvc exp show --only-changed"]
    assert reader.ran(output["dvc repro"])[-3:] == ["train", "export", "evaluate"]
    assert reader.read("params.yaml") == default
    reader.run("dvc exp branch larger-batches tuning")
    plain = Clone(tmp_path / "plain")
    reader.run(f"git clone -q --no-local {reader.folder} {plain.folder}")
    plain.run("git checkout -q tuning && git fetch -q origin main:main")
    parameters = json.loads(plain.run("dvc params diff main --json"))
    assert parameters == {"params.yaml": {"train.batch_size": {"old": 100, "new": 200, "diff": 100}}}
    loss = json.loads(plain.run("dvc metrics diff main --json"))["metrics.json"]["test.loss"]
    assert loss["new"] != loss["old"]
    assert "verdict: undecided: " in plain.run("python -m review.compare main")
    plots = plain.run("dvc plots diff main --targets evaluation/history.csv --show-vega")
    assert all(f'"rev": "{revision}"' in plots for revision in ("main", "workspace"))


@pytest.mark.slow
@pytest.mark.sweeps
def test_the_review_in_readme_runs_as_written(reader):
    reader.set("train.epochs", 2)
    reader.run("dvc repro")
    reader.commit("Results on the embedded digits")
    reader.environment["SEEDS"] = "2"  # README's five seeds would take 3 minutes
    measured = len(reader.run("ls evaluation/noise").split())
    output = {}
    for command in TYPED[REVIEW]:
        done = reader.attempt(command)
        output[command] = done.stdout + done.stderr
        if command == "git merge no-shift":
            refused = reader.attempt("make repro").stderr
        else:
            assert done.returncode == 0, output[command]
    assert "train.epochs" in output["dvc params diff main"]
    readme = (REPOSITORY / "README.md").read_text()
    assert all("metrics.json  test.accuracy " in text for text in (output["dvc metrics diff main"], readme))
    assert "matches all 5 stages" in output["python -m review.verify"]
    compared = output["python -m review.compare main"]
    assert compared.startswith("verdict: ")
    assert " over 2 seeds\n" in compared
    assert "provisional: base has one seed" in compared  # main was not measured on the embedded digits
    assert " pictures -> report\n" in output["make report BASE=main"]
    assert "data:image/png;base64," in reader.read("report/report.html")
    # The second merge has the changes and the noise of both branches, and results of its own.
    conflicts = re.findall("(?m)^CONFLICT .* (.*)$", output["git merge no-shift"])
    assert not [path for path in conflicts if path.startswith(("evaluation/noise/", "params.yaml"))]
    assert refused.startswith(f"make: a merge left conflicts in {', '.join(sorted(conflicts))}: `dvc repro`, `git add")
    assert reader.run("git log -1 --format=%s main") == "Merge branch 'no-shift'\n"
    assert len(reader.run("ls evaluation/noise").split()) == measured + 2
    assert {("epochs", "1"), ("shift", "0.0")} <= set(re.findall(r"(\w+): (\S+)", reader.read("params.yaml")))
    assert "matches all 5 stages" in reader.run("python -m review.verify main")
