"""The reader of layers in JavaScript, under Node, computes what ONNX Runtime computes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.data.data_set import DataSet
from classifier.model import onnx_file, predictions
from classifier.model.layers import Layer
from classifier.page import document
from tests.classifier.page.node import needs_node, run
from tests.classifier.page.test_document import own

PREDICT = """
const layers = readLayers(input.network);
const size = input.network.shape.reduce((product, side) => product * side);
// NumPy's header ends where its length at byte 8 says.
const file = fs.readFileSync(input.images);
const pixels = new Float32Array(Uint8Array.from(file.subarray(10 + file.readUInt16LE(8))).buffer);
give(Array.from({ length: pixels.length / size }, (_, row) => {
  return [...run(layers, pixels.subarray(row * size, (row + 1) * size), input.network.shape).at(-1).values];
}));
"""
RANDOM = np.random.default_rng(0)
POOL, RELU, FLATTEN, SOFTMAX = (Layer(kind, kind) for kind in ("pool", "relu", "flatten", "softmax"))


def layer(kind: str, *shape: int) -> Layer:
    kernel, bias = RANDOM.normal(size=shape), RANDOM.normal(size=shape[-1])
    return Layer(kind, kind, kernel.astype(np.float32), bias.astype(np.float32))


def computed(layers: Sequence[Layer], data_set: DataSet, images: np.ndarray) -> np.ndarray:
    """The probabilities by ONNX Runtime, which tests/classifier/model holds to Keras."""
    named = [replace(layer, name=str(place)) for place, layer in enumerate(layers)]  # in ONNX a name stands once
    session = predictions.open_session(onnx_file.build(named, data_set), data_set)
    return np.asarray(session.run(None, {"images": images})[0])


def by_page(network: object, images: np.ndarray, folder: Path) -> np.ndarray:
    """The probabilities by the page's scripts."""
    np.save(folder / "images.npy", images)
    return np.array(run(PREDICT, {"network": network, "images": str(folder / "images.npy")}, folder))


COLOURS = [layer("convolution", 3, 3, 3, 4), POOL, RELU, FLATTEN, layer("dense", 24, 6), RELU, layer("dense", 6, 20)]
EVEN = [layer("convolution", 4, 4, 1, 3), POOL, layer("scale", 3), RELU, layer("convolution", 2, 2, 3, 5), POOL, RELU]


@needs_node
@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((8, 8), [FLATTEN, layer("dense", 64, 5), SOFTMAX]),
        ((7, 5, 3), [*COLOURS, SOFTMAX]),
        ((9, 12), [*EVEN, FLATTEN, layer("dense", 30, 2), SOFTMAX]),
    ],
    ids=["dense alone", "colour, odd sides, hidden units", "even kernels, a scale behind the pooling"],
)
def test_the_reader_computes_the_probabilities(tmp_path, shape, layers):
    data_set = own(shape, tuple(map(str, range(len(layers[-2].bias)))))
    images = RANDOM.uniform(size=(5, *data_set.image_shape)).astype(np.float32)
    description = json.loads(json.dumps(document.describe(layers, data_set, [], "resize", 0, (images[0], 1))))
    assert np.abs(by_page(description, images, tmp_path) - computed(layers, data_set, images)).max() < 1e-6
