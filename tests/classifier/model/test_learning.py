from typing import Any

import numpy as np
import pytest

from classifier.data.catalogue import MNIST
from classifier.model import architecture, checkpoint, learning


def rates(schedule: str, peak: float, warmup: float, steps: int) -> list[float]:
    """The learning rate at each step."""
    rate = learning.rate(schedule, peak, warmup, steps)
    return [float(np.asarray(rate(step))) if callable(rate) else rate for step in range(steps)]


def test_the_cosine_schedule_rises_to_the_peak_and_falls_to_0_and_a_constant_rate_stays(keras):
    seen = rates("cosine", peak=0.004, warmup=0.2, steps=100)
    assert seen[0] == 0
    assert seen[10] == pytest.approx(0.002)
    assert max(seen) == seen[20] == pytest.approx(0.004)
    assert seen[60] == pytest.approx(0.002)
    assert 0 < seen[99] < 0.00001
    assert seen[20:] == sorted(seen[20:], reverse=True)
    assert rates("cosine", peak=0.004, warmup=0, steps=10)[0] == pytest.approx(0.004)
    assert rates("cosine", peak=0.004, warmup=0.9, steps=1) == [pytest.approx(0.004)]
    assert rates("constant", peak=0.004, warmup=0.2, steps=3) == [0.004] * 3


HISTORY = [{"loss": 0.1 + 0.2, "accuracy": 1 / 3}]


def build() -> Any:
    """Make a small network with an optimizer, with other weights each time."""
    network = architecture.build(MNIST, [2], 3, [4], batch_normalization=True)
    learning.prepare(network, 0.01, 0.0)
    return network


def test_a_checkpoint_is_given_back_to_its_training_alone(project, keras):
    saved, network = build(), build()
    checkpoint.save(saved, HISTORY, "this training")
    before = network.get_weights()
    assert checkpoint.resume(network, "another training") == []
    assert all(map(np.array_equal, network.get_weights(), before))
    assert checkpoint.resume(network, "this training") == HISTORY
    assert all(map(np.array_equal, network.get_weights(), saved.get_weights()))


def test_a_training_step_is_traced_once(keras):
    network, traced = build(), []
    step = network.train_step
    network.train_step = lambda batch: traced.append(batch) or step(batch)
    network.fit(np.zeros((20, 28, 28, 1), np.float32), np.eye(10, dtype=np.float32)[[1] * 20], batch_size=10, verbose=0)
    assert len(traced) == 1
