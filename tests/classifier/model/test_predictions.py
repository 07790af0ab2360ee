import os
from pathlib import Path

import numpy as np
import pytest

from classifier.data.catalogue import MNIST
from classifier.model import onnx_file, predictions
from classifier.model.layers import Layer


def model() -> bytes:
    """A network of one dense layer with random weights."""
    kernel = np.random.default_rng(0).normal(0, 0.1, (784, 10)).astype(np.float32)
    dense = Layer("dense", "digits", kernel, np.zeros(10, np.float32))
    return onnx_file.build([Layer("flatten", "flatten"), dense, Layer("softmax", "digits")], MNIST)


def test_predictions_of_several_batches_are_in_the_order_of_the_images(tmp_path: Path) -> None:
    count = 2 * predictions.BATCH + 7
    images = np.random.default_rng(1).random((count, 28, 28, 1), np.float32)
    np.save(tmp_path / "images.npy", images)
    mapped = np.lib.format.open_memmap(tmp_path / "images.npy", mode="r")
    session = predictions.load(model(), MNIST)
    found = predictions.predict(session, mapped)
    assert (found.shape, found.dtype) == ((count, 10), np.float32)
    assert [len(batch) for batch in predictions.batches(mapped)] == [100, 100, 7]
    for row in (0, 99, 100, count - 1):
        (alone,) = session.run(None, {"images": images[row : row + 1]})
        np.testing.assert_allclose(found[row], alone[0], atol=1e-6)


def test_settings_that_choose_other_kernels_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLAS_NCHWC_FSS_TARGET", "1")
    monkeypatch.setenv("ORT_INTRA_OP_NUM_THREADS", "7")
    session = predictions.load(model(), MNIST)
    assert not [name for name in os.environ if name.startswith(("MLAS_", "ORT_"))]
    assert session.get_session_options().intra_op_num_threads == 1


def test_the_most_confident_errors_are_first_and_equal_ones_keep_their_order() -> None:
    actual, predicted = np.array([0, 0, 0, 0]), np.array([1, 0, 2, 3])
    confidence = np.array([0.5, 0.99, 0.9, 0.5])
    assert predictions.most_confidently_wrong(actual, predicted, confidence).tolist() == [2, 0, 3]
    assert predictions.most_confidently_wrong(actual, actual, confidence).tolist() == []
