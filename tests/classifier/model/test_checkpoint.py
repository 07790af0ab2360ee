import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data.catalogue import MNIST
from classifier.model import architecture, checkpoint, learning

HISTORY = [{"loss": 0.1 + 0.2, "accuracy": 1 / 3}]


@pytest.fixture
def network(keras: ModuleType) -> Callable[[], Any]:
    """Make a small network with an optimizer, with other weights each time."""

    def make() -> Any:
        made = architecture.build(MNIST, [2], 3, [4], batch_normalization=True)
        learning.prepare(made, 0.01, 0.0)
        return made

    return make


def state(network: Any) -> list[np.ndarray]:
    return [np.array(each) for each in (*network.weights, *network.optimizer.variables)]


@pytest.fixture
def saved(project: Path, network: Callable[[], Any]) -> tuple[Path, list[np.ndarray]]:
    """The checkpoint of a network after two steps, and its state."""
    trained = network()
    random = np.random.default_rng(0)
    images, labels = (
        random.random((20, 28, 28, 1), np.float32),
        np.eye(10, dtype=np.float32)[random.integers(0, 10, 20)],
    )
    trained.fit(images, labels, batch_size=10, verbose=0)
    path = project / "state.checkpoint"
    checkpoint.save(path, trained, HISTORY)
    return path, state(trained)


def test_a_checkpoint_gives_back_the_bits_of_weights_optimizer_and_history(
    saved: tuple[Path, list[np.ndarray]], network: Callable[[], Any]
) -> None:
    path, expected = saved
    other = network()
    assert checkpoint.load(path, other) == HISTORY
    found = state(other)
    assert len(found) == len(expected) > 20  # also the moments of Adam
    for one, two in zip(found, expected, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    assert int(other.optimizer.iterations) == 2


def test_a_damaged_checkpoint_is_ignored_with_a_warning(
    saved: tuple[Path, list[np.ndarray]], network: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = saved
    whole = path.read_bytes()
    other = network()
    before = other.get_weights()
    for place in range(0, len(whole), len(whole) // 50):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            assert checkpoint.load(path, other) == []
            assert capsys.readouterr().err == f"train: warning: {path} is damaged, so training starts anew\n"
    assert all(map(np.array_equal, other.get_weights(), before))


def test_a_checkpoint_belongs_to_all_that_the_weights_depend_on(project: Path) -> None:
    names = set()
    for belongs_to in ({"seed": 0}, {"seed": 1}, [{"seed": 0}, "a digest"], {"seed": 0, "threads": 2}):
        for _ in range(2):
            with checkpoint.reserve(belongs_to) as path:
                names.add(path)
    assert len(names) == 4


def test_the_digest_changes_with_the_code_and_the_data(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "CODE", project / "code")
    files = [project / "stage.py", project / "code/model/layers.py", project / "images.npy"]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    found = [checkpoint.digest(files[0], files[2:])]
    for path in files:
        path.write_text("x")
        found.append(checkpoint.digest(files[0], files[2:]))
    assert len(set(found)) == 4
    assert len(checkpoint.digest(files[0], files[2:])) == 64


def test_the_checkpoint_stays_if_the_training_fails_and_is_removed_if_it_succeeds(project: Path) -> None:
    def training(fails: bool) -> Path:
        with checkpoint.reserve("training") as path:
            assert path
            path.write_text("state")
            if fails:
                raise ValueError
            return path

    with pytest.raises(ValueError):  # noqa: PT011  # it has no message
        training(fails=True)
    kept = list(checkpoint.folder().glob("*.checkpoint"))
    assert [path.read_text() for path in kept] == ["state"]
    assert [training(fails=False)] == kept
    assert list(checkpoint.folder().iterdir()) == []


def test_of_two_equal_trainings_at_once_only_the_first_keeps_checkpoints(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with checkpoint.reserve("training") as first:
        assert first
        first.write_text("state")
        with checkpoint.reserve("training") as second:
            assert second is None
        warning = "train: warning: no checkpoints are kept: another process runs the same training\n"
        assert capsys.readouterr().err == warning
        with checkpoint.reserve("another training") as other:
            assert other is not None
        assert first.read_text() == "state"


def test_a_folder_that_cannot_be_written_does_not_stop_the_training(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.folder().parent.mkdir(parents=True)
    checkpoint.folder().write_text("not a folder")
    with checkpoint.reserve("training") as path:
        assert path is None
    assert capsys.readouterr().err.startswith("train: warning: no checkpoints are kept: ")


def test_checkpoints_that_nobody_used_for_a_week_are_removed(project: Path) -> None:
    checkpoint.folder().mkdir(parents=True)
    for name, age in (("old", 8), ("recent", 6)):
        path = checkpoint.folder() / f"{name}.checkpoint"
        path.write_text(json.dumps(HISTORY))
        os.utime(path, (time.time() - age * 86_400,) * 2)
    with checkpoint.reserve("training"):
        pass
    assert [path.name for path in checkpoint.folder().iterdir()] == ["recent.checkpoint"]


@pytest.mark.parametrize("inside", ["exps/tmpa1b2c3", "noise/0123456789abcdef", "exps/tmpa/.dvc/tmp/noise/0123"])
def test_a_training_inside_dvc_tmp_keeps_its_checkpoints_in_the_checkout_around_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    here = checkpoint.folder().resolve()
    folder = project / ".dvc/tmp" / inside
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert checkpoint.folder() == here == project / ".dvc/tmp/checkpoints"
