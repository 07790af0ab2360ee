"""A trained network as a list of plain layers of NumPy arrays, from which the exported files are written."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Layer:
    """One step from the images, float32 (n, height, width, channels), to the probabilities, float32 (n, classes).

    Args:
        kind: what the step computes from its input x:
            convolution: output of the same size; of the side - 1 zeros around x, (side - 1) // 2 come first.
            pool: the maximum of each 2x2 pixels; an odd last row or column is dropped.
            scale: x * kernel + bias, for each channel.
            relu: max(x, 0).
            flatten: (n, height, width, channels) to (n, height * width * channels), in C order.
            dense: x @ kernel + bias.
            softmax: exp(x) / sum(exp(x)).
        name: of the Keras layer. bias: float32, a number for each output.
        kernel: float32; convolution (side, side, inputs, outputs), dense (inputs, outputs), scale (channels,).
    """

    kind: str
    name: str
    kernel: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    bias: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))


def read(network: "keras.Model") -> list[Layer]:
    """Return the layers of a network that `architecture.build` made; its batch normalization is folded if possible.

    Raises:
        ValueError: the network has a layer of another kind.
    """
    return _fold([plain for layer in network.layers for plain in _plain(layer)])


def _plain(layer: "keras.Layer") -> Iterator[Layer]:
    """Yield a layer of Keras, and its activation as another layer."""
    match type(layer).__name__:
        case "Conv2D":
            kernel, *bias = _as_computed(layer)
            yield Layer("convolution", layer.name, kernel, bias[0] if bias else np.zeros(layer.filters, np.float32))
        case "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()  # Keras computes it in float32 at any precision
            factor = gamma / np.sqrt(variance + np.float32(layer.epsilon))
            yield Layer("scale", layer.name, factor, beta - mean * factor)
        case "Dense":
            yield Layer("dense", layer.name, *_as_computed(layer))
        case "MaxPooling2D":
            yield Layer("pool", layer.name)
        case "Flatten" | "ReLU" as kind:
            yield Layer(kind.lower(), layer.name)
        case kind:
            raise ValueError(f"expected layers of classifier/model/architecture.py, found {layer.name} ({kind})")
    activation = layer.get_config().get("activation", "linear")
    if activation not in ("linear", "relu", "softmax"):
        raise ValueError(f"expected the activation linear, relu or softmax, found {activation} of {layer.name}")
    if activation != "linear":
        yield Layer(activation, layer.name)


def _as_computed(layer: "keras.Layer") -> list[np.ndarray]:
    """Return the weights rounded to the type in which the layer computes, as float32.

    With them, float32 comes closer to what a network trained in bfloat16 predicts: docs/export.md.
    """
    from keras import ops

    return [np.asarray(ops.cast(ops.cast(weight, layer.compute_dtype), "float32")) for weight in layer.weights]


def _fold(layers: list[Layer]) -> list[Layer]:
    """Multiply each scale into the convolution before it.

    The pooling between them allows this only if no factor is negative: the maximum of -x is not -maximum of x.
    """
    folded: list[Layer] = []
    for layer in layers:
        after_pool = [previous.kind for previous in folded[-2:]] == ["convolution", "pool"]
        if layer.kind == "scale" and after_pool and layer.kernel.min() >= 0:
            convolution = folded[-2]
            kernel, bias = convolution.kernel * layer.kernel, convolution.bias * layer.kernel + layer.bias
            folded[-2] = replace(convolution, kernel=kernel, bias=bias)
        else:
            folded.append(layer)
    return folded
