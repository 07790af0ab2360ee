"""Predict with an ONNX model by ONNX Runtime, without TensorFlow."""

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from classifier.data.data_set import DataSet

if TYPE_CHECKING:
    import onnxruntime

INPUT, OUTPUT = "images", "probabilities"  # the names in the model
BATCH = 100  # images at once; larger batches need more memory and are not faster

# Environment variables whose names begin with these are removed: MLAS_* choose kernels that may give other bits. The
# names are in ONNX Runtime's shared library.
REMOVED = ("MLAS_", "ORT_")


class Outcome(NamedTuple):
    """Images of a split, float32 (n, height, width, channels), their classes, and the probabilities (n, classes)."""

    images: np.ndarray
    actual: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Return the class with the largest probability."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> np.ndarray:
        """Return the largest probability."""
        return np.asarray(self.probabilities.max(axis=1))

    def errors(self) -> np.ndarray:
        """Return the rows of the errors, the most confident first; equal confidence keeps the order of rows."""
        wrong = np.flatnonzero(self.actual != self.predicted)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]


def open_session(model: bytes, data_set: DataSet) -> "onnxruntime.InferenceSession":
    """Return a session that predicts a batch on one thread; `predict` has a batch on each processor instead.

    Raises:
        ValueError: the model is damaged, or does not have the input and output of `onnx_file.build`.
    """
    for name in [name for name in os.environ if name.startswith(REMOVED)]:
        del os.environ[name]
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # fatal errors only; the exception says the others
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has classes of its own, and no common one
        raise ValueError(f"not a model that can be loaded: {' '.join(str(error).split())[:200]}") from error
    expected = [(INPUT, ["n", *data_set.image_shape]), (OUTPUT, ["n", len(data_set.classes)])]
    actual = [(node.name, node.shape) for node in (*session.get_inputs(), *session.get_outputs())]
    if actual != expected:
        raise ValueError(f"expected the input and output {expected}, found {actual}")
    return session


def predict_splits(
    session: "onnxruntime.InferenceSession", arrays: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, Outcome]:
    """Predict the images of each split that has any, from its images and one-hot labels."""

    def predict(batch: np.ndarray) -> np.ndarray:
        return np.asarray(session.run([OUTPUT], {INPUT: batch})[0])

    outcomes = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for split, (images, labels) in arrays.items():
            if len(images):
                outcomes[split] = Outcome(images, labels.argmax(axis=1), join(pool.map(predict, batches(images))))
    return outcomes


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield BATCH images at a time; the last batch may be smaller."""
    return (images[row : row + BATCH] for row in range(0, len(images), BATCH))


def join(predicted: Iterable[np.ndarray]) -> np.ndarray:
    """Return the predictions of all batches, float32 (n, classes). Raises ValueError if they are no probabilities."""
    values = np.concatenate(list(predicted))
    if not (values.min() >= 0 and np.abs(values.sum(axis=1) - 1).max() < 0.01):  # nor if they are not numbers
        raise ValueError("predicts numbers that are not probabilities (is train.learning_rate too high?)")
    return values
