"""download and preprocess take the same memory for any number of images."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from classifier.data import splits
from classifier.paths import RAW
from stages import download, preprocess

IMAGES = 40_000  # 31 MB of pixels, 125 MB as float32
MOST = 12_000_000  # bytes


def peak(stage: Callable[[], None]) -> int:
    """The most memory that a stage had at one time, in bytes; NumPy reports its arrays."""
    tracemalloc.start()
    try:
        stage()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_stage_has_all_images_in_memory(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.zeros((IMAGES, 28, 28), np.uint8)
    labels = np.arange(IMAGES, dtype=np.uint8) % 2
    np.savez_compressed(
        project / "own.npz", x_train=images, y_train=labels, x_test=images[:10] + np.uint8(1), y_test=labels[:10]
    )
    own = {"dataset": "own.npz", "fallback": None, "test_share": 0.2, "seed": 0, "resize": None, "most_gib": 1}
    recipe = {"download": own, "preprocess": {"validation_images": 5000, "seed": 0}}
    (project / "params.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    peaks = {stage.__name__: peak(stage.main) for stage in (download, preprocess)}
    assert RAW.stat().st_size > images.nbytes
    assert splits.images_path("train").stat().st_size == 128 + (IMAGES - 5000) * 784 * 4
    assert max(peaks.values()) < MOST, peaks
