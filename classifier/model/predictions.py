"""Predict with an ONNX model by ONNX Runtime, without TensorFlow."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from classifier.data.data_set import DataSet

if TYPE_CHECKING:
    import onnxruntime

INPUT, OUTPUT = "images", "probabilities"  # the names in the model
BATCH = 100  # images at once; larger batches need more memory and are not faster

# Environment variables whose names begin with these are removed: MLAS_* choose kernels that may give other bits. The
# names are in ONNX Runtime's shared library.
REMOVED = ("MLAS_", "ORT_")


def load(model: bytes, data_set: DataSet) -> "onnxruntime.InferenceSession":
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
    shapes = {INPUT: ["n", *data_set.image_shape], OUTPUT: ["n", len(data_set.classes)]}
    expected = [f"{name} {shape} of tensor(float)" for name, shape in shapes.items()]
    found = [f"{each.name} {each.shape} of {each.type}" for each in (*session.get_inputs(), *session.get_outputs())]
    if found != expected:
        raise ValueError(f"expected {' and '.join(expected)}, found {' and '.join(found) or 'none'}")
    return session


def predict(session: "onnxruntime.InferenceSession", images: np.memmap) -> np.ndarray:
    """Return float32 (n, classes): the probability of each class for each image.

    Args:
        images: float32 (n, height, width, channels), 0..1, mapped into memory.

    Raises:
        ValueError: a prediction is not a number or not a probability.
    """

    def of(row: int) -> np.ndarray:
        found: np.ndarray = session.run([OUTPUT], {INPUT: batch_at(images, row)})[0]
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return check(np.concatenate(list(pool.map(of, range(0, len(images), BATCH)))))


def batches(images: np.memmap) -> Iterator[np.ndarray]:
    """Yield BATCH images at a time; only these are in memory."""
    return (batch_at(images, row) for row in range(0, len(images), BATCH))


def batch_at(images: np.memmap, row: int) -> np.ndarray:
    """Read the BATCH images from this row on."""
    # A new mapping for each batch: pages stay in memory as long as the mapping that read them.
    mapped = np.memmap(str(images.filename), images.dtype, "r", images.offset, images.shape)
    return np.array(mapped[row : row + BATCH])


def check(probabilities: np.ndarray) -> np.ndarray:
    """Return float32 (n, classes) as it is. Raises ValueError if it has numbers that are not probabilities."""
    if not np.isfinite(probabilities).all():
        raise ValueError("predicts probabilities that are not numbers (is train.learning_rate too high?)")
    if len(probabilities) and (probabilities.min() < 0 or np.abs(probabilities.sum(axis=1) - 1).max() > 0.01):
        raise ValueError("predicts numbers that are not probabilities")
    return probabilities


def most_confidently_wrong(actual: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Return the rows of the errors, the most confident first; equal confidence keeps the order of rows."""
    wrong = np.flatnonzero(actual != predicted)
    return wrong[np.argsort(-confidence[wrong], kind="stable")]
