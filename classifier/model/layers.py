"""A trained network as a list of plain layers of NumPy arrays, from which the exported files are written."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import ml_dtypes
import numpy as np


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


class Network(NamedTuple):
    """Layers in order, the shape of an image, and in which type Keras computes: float32 or bfloat16."""

    layers: list[Layer]
    image_shape: tuple[int, ...]
    precision: str

    @property
    def outputs(self) -> int:
        """Return the number of probabilities of an image."""
        return next((layer.bias.size for layer in reversed(self.layers) if layer.kind == "dense"), 0)


def read(path: Path) -> Network:
    """Return the network in a file of Keras, which `architecture.build` made; no code in it runs.

    Batch normalization is folded if possible. The format is that of keras/src/saving/saving_lib.py: config.json has the
    settings of each layer, model.weights.h5 its weights in a group that has the layer's name.

    Raises:
        ValueError: the network has a layer of another kind. A damaged file raises other errors too.
    """
    with zipfile.ZipFile(path) as archive:
        first, *others = json.loads(archive.read("config.json"))["config"]["layers"]
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        groups = [group["vars"] for group in file["layers"].values()]
        weights = {group.attrs["name"]: [group[key][()] for key in sorted(group)] for group in groups}
    layers = [plain for layer in others for plain in _plain(layer["class_name"], layer["config"], weights)]
    types = {_precision(layer["config"]) for layer in others}
    image_shape = tuple(first["config"]["batch_shape"][1:])
    return Network(_fold(layers), image_shape, "bfloat16" if "bfloat16" in types else "float32")


def _plain(kind: str, settings: Mapping[str, Any], weights: Mapping[str, list[np.ndarray]]) -> Iterator[Layer]:
    """Yield a layer of Keras, and its activation as another layer."""
    name = settings["name"]
    match kind:
        case "Conv2D":
            kernel, *bias = _as_computed(settings, weights[name])
            yield Layer("convolution", name, kernel, bias[0] if bias else np.zeros(kernel.shape[-1], np.float32))
        case "BatchNormalization":
            gamma, beta, mean, variance = weights[name]  # Keras computes it in float32 at any precision
            factor = gamma / np.sqrt(variance + np.float32(settings["epsilon"]))
            yield Layer("scale", name, factor, beta - mean * factor)
        case "Dense":
            yield Layer("dense", name, *_as_computed(settings, weights[name]))
        case "MaxPooling2D":
            yield Layer("pool", name)
        case "Flatten" | "ReLU":
            yield Layer(kind.lower(), name)
        case _:
            raise ValueError(f"expected layers of classifier/model/architecture.py, found {name} ({kind})")
    activation = settings.get("activation", "linear")
    if activation not in ("linear", "relu", "softmax"):
        raise ValueError(f"expected the activation linear, relu or softmax, found {activation} of {name}")
    if activation != "linear":
        yield Layer(activation, name)


def _precision(settings: Mapping[str, Any]) -> str:
    """Return the type in which a layer computes; `mixed_bfloat16` stores its weights in float32."""
    policy: str = settings["dtype"]["config"]["name"]
    return policy.removeprefix("mixed_")


def _as_computed(settings: Mapping[str, Any], weights: list[np.ndarray]) -> list[np.ndarray]:
    """Return the weights rounded to the type in which the layer computes, as float32.

    With them, float32 comes closer to what a network trained in bfloat16 predicts: docs/export.md.
    """
    dtype = ml_dtypes.bfloat16 if _precision(settings) == "bfloat16" else np.float32
    return [weight.astype(dtype).astype(np.float32) for weight in weights]


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
