from types import ModuleType

import numpy as np
import pytest

from classifier.data.catalogue import MNIST
from classifier.model import architecture, learning


def rates(schedule: str, peak: float, warmup: float, steps: int) -> list[float]:
    """The learning rate at each step."""
    rate = learning.rate(schedule, peak, warmup, steps)
    return [float(np.asarray(rate(step))) if callable(rate) else rate for step in range(steps)]


def test_the_cosine_schedule_rises_to_the_peak_and_falls_to_0_and_a_constant_rate_stays(keras: ModuleType) -> None:
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


def test_label_smoothing_gives_each_digit_a_share_of_the_label(keras: ModuleType) -> None:
    network = architecture.build(MNIST, [1], 3, [1])
    learning.prepare(network, 0.001, label_smoothing=0.1)
    label, probabilities = np.eye(10, dtype=np.float32)[:1], np.full((1, 10), 0.1, np.float32)
    probabilities[0, 0], probabilities[0, 1] = 0.15, 0.05
    smoothed = [0.91, *[0.01] * 9]
    assert float(network.loss(label, probabilities)) == pytest.approx(-np.dot(smoothed, np.log(probabilities[0])))
