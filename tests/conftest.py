"""What tests share: tiny digits made here, a folder to run a stage in, and a stage run as the shell sees it."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stages import command, runtime
from stages.archive import Arrays
from stages.catalogue import Array
from tests.clone import Clone

REPOSITORY = Path(__file__).resolve().parents[1]


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


def identities(arrays: Arrays) -> dict[str, Array]:
    """The catalogue's entry for these arrays."""
    return {name: Array(array.shape, hashlib.sha256(array.tobytes()).hexdigest()) for name, array in arrays.items()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the project's params.yaml, as the current directory."""
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATASET_MIRROR", raising=False)
    return tmp_path


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Callable[[], None]], str]:
    """Run a stage's main as the shell does; it must exit with 1, and the last line on stderr is returned."""

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
    """Keras as the stages start it: TensorFlow takes its threads once a process."""
    runtime.start(seed=0)
    import keras

    return keras


@pytest.fixture(scope="session")
def clone_of_session(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The files that Git has or would add here, committed, with one epoch to train, run offline and committed."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    clone = Clone(folder)
    clone.run("git init -q -b main")
    clone.set("train.epochs", 1)
    clone.first_output = clone.run("dvc repro")
    clone.commit("Results on the embedded digits")
    return clone


@pytest.fixture
def clone(clone_of_session: Clone) -> Clone:
    """That clone, with the committed files and the outputs that belong to them."""
    clone_of_session.run("git checkout -q -f main && git clean -q -f -d && dvc checkout -q -f")
    return clone_of_session
