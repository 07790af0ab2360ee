"""A model that knows digits as tests/predict/hand.py draws them, and one of another data set, both without training."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from predict.digits import normalize
from tests.predict.hand import draw, on_paper


def write_model(path: Path, weights: np.ndarray, bias: np.ndarray, **metadata: str) -> Path:
    """Write a network of one dense layer: weights (height, width, channels, classes) for images in 0..1."""
    *shape, classes = weights.shape
    nodes = [
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("Gemm", ["pixels", "weights", "bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    initial = {"weights": weights.reshape(-1, classes), "bias": bias}
    graph = helper.make_graph(
        nodes,
        "templates",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in initial.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    helper.set_model_props(model, {"image_shape": json.dumps(shape), **metadata})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose class is the one of ten drawn digits, normalized, that has the smallest squared distance."""
    drawn = [on_paper(draw(digit, 0, np.random.default_rng(0), (90, 90), height=60, pen=7)) for digit in range(10)]
    images = [normalize(picture)[0].image.astype(float) / 255 for picture in drawn]
    weights = np.stack(images, axis=-1)[:, :, np.newaxis] / 4  # without the 4, all would be certain
    metadata = {"classes": json.dumps([*"0123456789"]), "normalization": "mnist", "confidence_floor": "0.5"}
    path = tmp_path_factory.mktemp("templates") / "model.onnx"
    return write_model(path, weights, -2 * (weights**2).sum((0, 1, 2)), dataset="mnist", noun="digits", **metadata)


@pytest.fixture(scope="session")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of colour images, 4 pixels high and 6 wide, which says where there is more red."""
    weights = np.zeros((4, 6, 3, 2))
    weights[:, :3, 0, 0] = weights[:, 3:, 0, 1] = 1
    metadata = {"classes": '["left side", "right side"]', "normalization": "resize"}
    path = tmp_path_factory.mktemp("sides") / "model.onnx"
    return write_model(path, weights, np.zeros(2), dataset="photos/", noun="classes", **metadata)
