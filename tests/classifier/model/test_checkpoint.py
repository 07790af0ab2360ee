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


def test_a_checkpoint_is_given_back_to_its_training_alone(project: Path, keras: ModuleType) -> None:
    saved, network = build(), build()
    saved.optimizer.build(saved.trainable_variables)
    checkpoint.save(saved, HISTORY, "this training")
    before = network.get_weights()
    assert checkpoint.resume(network, "another training") == []
    assert all(map(np.array_equal, network.get_weights(), before))
    assert checkpoint.resume(network, "this training") == HISTORY
    assert all(map(np.array_equal, network.get_weights(), saved.get_weights()))


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
