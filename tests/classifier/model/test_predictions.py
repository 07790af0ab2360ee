import os

import numpy as np

from classifier.data.catalogue import MNIST
from classifier.model import onnx_file, predictions
from classifier.model.predictions import Outcome
from tests.classifier.page.test_document import some_layers


def test_predictions_of_several_batches_are_in_the_order_of_the_images():
    count = 2 * predictions.BATCH + 7
    random = np.random.default_rng(1)
    images, labels = random.random((count, 28, 28, 1), np.float32), np.eye(10)[random.integers(0, 10, count)]
    session = predictions.open_session(onnx_file.build(some_layers(), MNIST), MNIST)
    outcomes = predictions.predict_splits(session, {"test": (images, labels), "validation": (images[:0], labels[:0])})
    (outcome,) = outcomes.values()
    assert (outcome.probabilities.shape, outcome.probabilities.dtype) == ((count, 10), np.float32)
    np.testing.assert_array_equal(np.eye(10)[outcome.actual], labels)
    assert [len(batch) for batch in predictions.batches(images)] == [100, 100, 7]
    for row in (0, 99, 100, count - 1):
        (alone,) = session.run(None, {"images": images[row : row + 1]})
        np.testing.assert_allclose(outcome.probabilities[row], alone[0], atol=1e-6)


def test_settings_that_choose_other_kernels_are_removed(monkeypatch):
    monkeypatch.setenv("MLAS_NCHWC_FSS_TARGET", "1")
    monkeypatch.setenv("ORT_INTRA_OP_NUM_THREADS", "7")
    session = predictions.open_session(onnx_file.build(some_layers(), MNIST), MNIST)
    assert not [name for name in os.environ if name.startswith(("MLAS_", "ORT_"))]
    assert session.get_session_options().intra_op_num_threads == 1


def test_the_most_confident_errors_are_first_and_equal_ones_keep_their_order():
    probabilities = np.array([[0.3, 0.5, 0.2], [0.99, 0.01, 0.0], [0.05, 0.05, 0.9], [0.4, 0.1, 0.5]])
    images, actual = np.zeros((4, 2, 2, 1)), np.array([0, 0, 0, 0])
    assert Outcome(images, actual, probabilities).errors().tolist() == [2, 0, 3]
    assert Outcome(images, np.array([1, 0, 2, 2]), probabilities).errors().tolist() == []
