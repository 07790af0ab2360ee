from pathlib import Path

import pytest

from classifier.data.catalogue import MNIST
from classifier.model import architecture, memory


def test_a_step_may_need_half_of_the_memory() -> None:
    network = (MNIST, [4], 3, [8])
    weights, outputs = architecture.size(*network)
    needed = 4 * (4 * weights + 2 * outputs * 10)
    memory.check(*network, images=10, available=2 * needed)
    with pytest.raises(ValueError, match="more than half of the"):
        memory.check(*network, images=10, available=2 * needed - 2)


def test_the_memory_limit_of_a_container_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = memory.available()
    assert machine > 0
    limits = [tmp_path / "unlimited", tmp_path / "limited", tmp_path / "absent"]
    limits[0].write_text("max\n")
    limits[1].write_text("12345\n")
    monkeypatch.setattr(memory, "LIMITS", limits)
    assert memory.available() == 12345
