from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

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
