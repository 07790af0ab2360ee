from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data.catalogue import MNIST
from classifier.model import architecture, checkpoint, learning

HISTORY = [{"loss": 0.1 + 0.2, "accuracy": 1 / 3}]


def build() -> Any:
    """Make a small network with an optimizer, with other weights each time."""
    network = architecture.build(MNIST, [2], 3, [4], batch_normalization=True)
    learning.prepare(network, 0.01, 0.0)
    return network


def state(network: Any) -> list[np.ndarray]:
    return [np.array(variable) for variable in (*network.weights, *network.optimizer.variables)]


def test_a_checkpoint_gives_back_the_bits_of_weights_optimizer_and_history_to_its_training_alone(
    project: Path, keras: ModuleType
) -> None:
    trained = build()
    random = np.random.default_rng(0)
    images, labels = random.random((20, 28, 28, 1), np.float32), np.eye(10)[random.integers(0, 10, 20)]
    trained.fit(images, labels, batch_size=10, verbose=0)
    checkpoint.save(trained, HISTORY, "this training")

    network = build()
    before = network.get_weights()
    assert checkpoint.resume(network, "another training") == []
    assert all(map(np.array_equal, network.get_weights(), before))

    assert checkpoint.resume(network, "this training") == HISTORY
    restored, expected = state(network), state(trained)
    assert len(restored) == len(expected) > 20  # also the moments of Adam
    for ours, theirs in zip(restored, expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert int(network.optimizer.iterations) == 2


def test_the_digest_changes_with_the_code_and_the_data(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "CODE", project / "code")
    files = [project / "stage.py", project / "code/model/layers.py", project / "images.npy"]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    digests = [checkpoint.digest(files[0], files[2:])]
    for path in files:
        path.write_text("x")
        digests.append(checkpoint.digest(files[0], files[2:]))
    assert len(set(digests)) == 4
    assert len(checkpoint.digest(files[0], files[2:])) == 64
