"""What tests share: tiny arrays, a folder in which a stage runs, clones, and the error message of a stage."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from filelock import FileLock

from classifier import command
from classifier.data.arrays import Arrays
from classifier.data.catalogue import MNIST
from classifier.data.data_set import DataSet
from classifier.model import runtime
from classifier.paths import SOURCE
from tests.clone import REPOSITORY, Clone

PARAMS = REPOSITORY / "tests/params.yaml"  # the project's own file changes with every tuning


@pytest.fixture
def arrays() -> Arrays:
    """Sixteen train and eight test images of noise, with labels 0 to 9."""
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (16, 28, 28), np.uint8),
        "y_train": np.arange(16, dtype=np.uint8) % 10,
        "x_test": random.integers(0, 256, (8, 28, 28), np.uint8),
        "y_test": np.arange(8, dtype=np.uint8),
    }


def describe(folder: Path, data_set: DataSet = MNIST, requested: str | None = None) -> None:
    """Write data/raw/dataset.json, as download does."""
    (folder / SOURCE).parent.mkdir(parents=True, exist_ok=True)
    replace(data_set, requested=requested).save(folder / SOURCE)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with only the params.yaml of the tests, which becomes the current directory."""
    shutil.copy(PARAMS, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATASET_MIRROR", raising=False)
    return tmp_path


@pytest.fixture
def refusal(capsys) -> Callable[[str, Callable[[], None]], str]:
    """Run a stage's main, which must exit with 1 and no traceback; return the last line on stderr."""

    def run(name: str, main: Callable[[], None]) -> str:
        with pytest.raises(SystemExit) as stopped:
            command.run(name, main)
        assert stopped.value.code == 1
        lines = capsys.readouterr().err.splitlines()
        assert "Traceback" not in "\n".join(lines)
        return lines[-1]

    return run


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    """Keras as the stages start it, once: TensorFlow accepts a number of threads only once in a process."""
    runtime.start(seed=0)
    import keras

    return keras


@pytest.fixture(scope="session")
def clone_of_session(tmp_path_factory) -> Path:
    """A clone of the files that Git has or would add here, with the params.yaml of the tests and committed results.

    It is made once for all processes that run tests, without a network. Tests do not change it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    clone = Clone(shared / "clone/project")
    with FileLock(shared / "clone.lock"):
        if not clone.folder.exists():
            clone.folder.mkdir(parents=True)
            listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            for name in subprocess.check_output(listing, cwd=REPOSITORY, text=True).split("\0"):
                if (REPOSITORY / name).is_file() and not name.endswith(".dvc"):  # the user's data are not copied
                    (clone.folder / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(REPOSITORY / name, clone.folder / name)
            shutil.copy(PARAMS, clone.folder / "params.yaml")
            clone.set("download.dataset", "mnist-5k")  # as a stand-in they would be trained for more epochs
            clone.run("git init -q -b main")
            clone.run("dvc repro")
            clone.commit("Results on the embedded digits")
    return clone.folder


@pytest.fixture
def clone(clone_of_session) -> Iterator[Clone]:
    """A copy of the clone of the session, with its cache; it has 40 MB and is removed after the test.

    All copies have the same HOME. Matplotlib keeps its list of fonts there, which takes seconds to make.
    """
    folder = Path(tempfile.mkdtemp(prefix="copy-", dir=clone_of_session.parent))
    yield Clone(shutil.copytree(clone_of_session, folder, symlinks=True, dirs_exist_ok=True))
    shutil.rmtree(folder, ignore_errors=True)
