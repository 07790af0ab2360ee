"""Models as export writes them, without training: of digits as hand.py draws them, and of colour images."""

from pathlib import Path

import numpy as np
import pytest

from classifier.data.catalogue import MNIST
from classifier.data.data_set import DataSet
from classifier.model import onnx_file
from classifier.model.layers import Layer
from predict.digits import normalize
from tests.classifier.page.test_document import own
from tests.predict.hand import line, on_paper


def write_model(path: Path, data_set: DataSet, weights: np.ndarray, bias: np.ndarray) -> Path:
    """Write a network of one dense layer: weights (height, width, channels, classes) for images in 0..1."""
    kernel = weights.reshape(-1, len(bias)).astype(np.float32)
    layers = [Layer("flatten", "flatten"), Layer("dense", "dense", kernel, bias.astype(np.float32))]
    path.write_bytes(onnx_file.build([*layers, Layer("softmax", "last")], data_set, {"confidence_floor": "0.5"}))
    return path


@pytest.fixture(scope="session")
def templates(tmp_path_factory) -> Path:
    """A model whose class is the one of ten drawn digits, normalized, that has the smallest squared distance."""
    images = [normalize(on_paper(line(digit, (90, 90))))[0].image.astype(float) / 255 for digit in "0123456789"]
    weights = np.stack(images, axis=-1) / 4  # without the 4, all would be certain
    path = tmp_path_factory.mktemp("templates") / "model.onnx"
    return write_model(path, MNIST, weights, -2 * (weights**2).sum((0, 1)))


@pytest.fixture(scope="session")
def sides(tmp_path_factory) -> Path:
    """A model of colour images, 4 pixels high and 6 wide, which says where there is more red."""
    weights = np.zeros((4, 6, 3, 2))
    weights[:, :3, 0, 0] = weights[:, 3:, 0, 1] = 1
    data_set = own((4, 6, 3), ("left side", "right side"))
    return write_model(tmp_path_factory.mktemp("sides") / "model.onnx", data_set, weights, np.zeros(2))
