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

pytestmark = needs_node

RANDOM = np.random.default_rng(0)


def convolution(side: int, inputs: int, outputs: int) -> Layer:
    return Layer("convolution", "conv_1", normal(side, side, inputs, outputs), normal(outputs))


def dense(inputs: int, outputs: int) -> Layer:
    return Layer("dense", "dense_1", normal(inputs, outputs), normal(outputs))


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


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


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((8, 8), [Layer("flatten", "flatten"), dense(64, 5), Layer("softmax", "classes")]),
        (
            (7, 5, 3),
            [
                *(convolution(3, 3, 4), Layer("pool", "pool_1"), Layer("relu", "relu_1"), Layer("flatten", "flatten")),
                *(dense(3 * 2 * 4, 6), Layer("relu", "dense_1"), dense(6, 20), Layer("softmax", "classes")),
            ],
        ),
        (
            (9, 12),
            [
                *(convolution(4, 1, 3), Layer("pool", "pool_1"), Layer("scale", "norm_1", normal(3), normal(3))),
                *(Layer("relu", "relu_1"), convolution(2, 3, 5), Layer("pool", "pool_2"), Layer("relu", "relu_2")),
                *(Layer("flatten", "flatten"), dense(2 * 3 * 5, 2), Layer("softmax", "classes")),
            ],
        ),
    ],
    ids=["dense alone", "colour, odd sides, hidden units", "even kernels, a scale behind the pooling"],
)
def test_the_reader_computes_the_probabilities(tmp_path: Path, shape: tuple[int, ...], layers: list[Layer]) -> None:
    data_set = own(shape, tuple(map(str, range(len(layers[-2].bias)))))
    images = RANDOM.uniform(size=(5, *data_set.image_shape)).astype(np.float32)
    description = document.describe(layers, data_set, [], "resize", 0)
    body = """
        const layers = readLayers(input.network);
        const outputs = input.images.map((image) => run(layers, Float32Array.from(image), input.network.shape));
        give(outputs.map((each) => [...each.at(-1).values]));
    """
    given = {"network": json.loads(json.dumps(description)), "images": images.reshape(5, -1).tolist()}
    found = np.array(run(body, given, tmp_path))
    assert np.abs(found - computed(layers, images)).max() < 1e-6


def test_the_reader_gives_the_output_of_each_layer_with_its_name_and_shape(tmp_path: Path) -> None:
    layers = [convolution(3, 1, 4), Layer("pool", "pool_1"), Layer("flatten", "flatten"), dense(36, 2)]
    description = document.describe(layers, own((7, 7), ("a", "b")), [], "resize", 0)
    body = "const outputs = run(readLayers(input), new Float32Array(49).fill(1), input.shape);"
    body += "give(outputs.map(({ kind, name, shape, values }) => [kind, name, shape, values.length]));"
    assert run(body, json.loads(json.dumps(description)), tmp_path) == [
        ["convolution", "conv_1", [7, 7, 4], 196],
        ["pool", "pool_1", [3, 3, 4], 36],
        ["flatten", "flatten", [36], 36],
        ["dense", "dense_1", [2], 2],
    ]
