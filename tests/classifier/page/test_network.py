"""The reader of layers in JavaScript, under Node, computes what the description of the layers says."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from classifier.model.layers import Layer
from classifier.page import document
from tests.classifier.page.node import needs_node, run
from tests.classifier.page.test_document import own

RANDOM = np.random.default_rng(0)
POOL, RELU, FLATTEN, SOFTMAX = (Layer(kind, kind) for kind in ("pool", "relu", "flatten", "softmax"))


def layer(kind: str, *shape: int) -> Layer:
    kernel, bias = RANDOM.normal(size=shape), RANDOM.normal(size=shape[-1])
    return Layer(kind, kind, kernel.astype(np.float32), bias.astype(np.float32))


def computed(layers: Sequence[Layer], images: np.ndarray) -> np.ndarray:
    """The probabilities in float64, by the definitions of the layers."""
    x = images.astype(np.float64)
    for layer in layers:
        match layer.kind:
            case "convolution":
                side = len(layer.kernel)
                before = (side - 1) // 2
                padded = np.pad(x, [(0, 0), *[(before, side - 1 - before)] * 2, (0, 0)])
                windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (1, 2))
                x = np.einsum("nyxcij,ijco->nyxo", windows, layer.kernel) + layer.bias
            case "pool":
                n, height, width, channels = x.shape
                even = x[:, : height // 2 * 2, : width // 2 * 2]
                x = even.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
            case "scale":
                x = x * layer.kernel + layer.bias
            case "relu":
                x = np.maximum(x, 0)
            case "flatten":
                x = x.reshape(len(x), -1)
            case "dense":
                x = x @ layer.kernel + layer.bias
            case "softmax":
                powers = np.exp(x - x.max(axis=1, keepdims=True))
                x = powers / powers.sum(axis=1, keepdims=True)
    return x


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
def test_the_reader_computes_the_probabilities(tmp_path: Path, shape: tuple[int, ...], layers: list[Layer]) -> None:
    data_set = own(shape, tuple(map(str, range(len(layers[-2].bias)))))
    images = RANDOM.uniform(size=(5, *data_set.image_shape)).astype(np.float32)
    description = json.loads(json.dumps(document.describe(layers, data_set, [], "resize", 0)))
    body = """
        const layers = readLayers(input.network);
        const outputs = input.images.map((image) => run(layers, Float32Array.from(image), input.network.shape));
        give(outputs.map((each) => [...each.at(-1).values]));
    """
    by_page = run(body, {"network": description, "images": images.reshape(5, -1).tolist()}, tmp_path)
    assert np.abs(np.array(by_page) - computed(layers, images)).max() < 1e-6
