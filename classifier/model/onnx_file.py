"""The network as an ONNX model: float32, equal bytes for equal weights, with what one needs to know to use it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from classifier.data.data_set import DataSet
from classifier.model.layers import Layer
from classifier.model.predictions import INPUT, OUTPUT

# The oldest operators with today's definition of each that is used here, and the file format that came with them.
# ONNX Runtime 1.6 (2020) and newer read them: https://github.com/onnx/onnx/blob/main/docs/Versioning.md
OPSET = 13
IR_VERSION = 7

AS_MNIST = ("mnist", "mnist-5k")  # the data sets whose images were made as http://yann.lecun.com/exdb/mnist/ says

PREPROCESSING = {  # by normalization; height, width and colours of an image
    "mnist": (
        "Pixels are 0 for paper to 1 for ink: scale the ink to fit 20 x 20 pixels without distortion, and place its "
        "centre of mass at the centre of {} x {} pixels."
    ),
    "resize": "Resize the picture to {} x {} pixels of {} and divide its values by 255.",
    "negative": "Resize the picture to {} x {} pixels of {}, subtract its values from 255 and divide them by 255.",
}


def build(layers: Sequence[Layer], data_set: DataSet, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the model, checked, with its metadata: what follows from the data set, and more.

    Its input `images` is float32 (n, height, width, channels), 0..1; its output `probabilities` float32 (n, classes).
    """
    import onnx
    from onnx import TensorProto, helper

    nodes, weights, last = [], [], INPUT
    for name, operator, arrays, attributes in _operations(layers):
        inputs = {f"{name}/{kind}": array for kind, array in arrays.items()}
        nodes.append(helper.make_node(operator, [last, *inputs], [name], name, **attributes))
        weights += [onnx.numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in inputs.items()]
        last = name
    nodes[-1].output[0] = OUTPUT
    images = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", *data_set.image_shape])
    probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", len(data_set.classes)])
    graph = helper.make_graph(nodes, "cnn", [images], [probabilities], weights)
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
    helper.set_model_props(model, {**describe(data_set), **(metadata or {})})
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _operations(layers: Sequence[Layer]) -> Iterator[tuple[str, str, dict[str, np.ndarray], dict[str, Any]]]:
    """Yield name, ONNX operator, weights and attributes of each step.

    ONNX has images as (n, channels, height, width), so they are transposed at the start and before they are flattened.
    """
    yield "transpose", "Transpose", {}, {"perm": [0, 3, 1, 2]}
    for layer in layers:
        kernel, bias, name = layer.kernel, layer.bias, f"{layer.name}/{layer.kind}"
        match layer.kind:
            case "convolution":
                before, after = (len(kernel) - 1) // 2, len(kernel) // 2
                weights = {"kernel": kernel.transpose(3, 2, 0, 1), "bias": bias}
                # OpenCV's dnn 4.10 needs kernel_shape, which others take from the weights.
                yield name, "Conv", weights, {"kernel_shape": kernel.shape[:2], "pads": [before, before, after, after]}
            case "scale":
                yield f"{name}/product", "Mul", {"kernel": kernel[:, np.newaxis, np.newaxis]}, {}
                yield name, "Add", {"bias": bias[:, np.newaxis, np.newaxis]}, {}
            case "dense":
                yield name, "Gemm", {"kernel": kernel, "bias": bias}, {}
            case "pool":
                yield name, "MaxPool", {}, {"kernel_shape": [2, 2], "strides": [2, 2]}
            case "flatten":
                yield f"{name}/transpose", "Transpose", {}, {"perm": [0, 2, 3, 1]}
                yield name, "Flatten", {}, {}
            case kind:
                yield name, {"relu": "Relu", "softmax": "Softmax"}[kind], {}, {}


def describe(data_set: DataSet) -> dict[str, str]:
    """Return what the file says about its images and classes; what is not text is JSON."""
    height, width, channels = data_set.image_shape
    colours = "RGB" if channels == 3 else "grey"
    return {
        "dataset": data_set.name,
        "noun": data_set.noun,
        "classes": json.dumps(data_set.classes, ensure_ascii=False),
        "image_shape": json.dumps(data_set.image_shape),
        "preprocessing": PREPROCESSING[normalization(data_set)].format(height, width, colours),
        "normalization": normalization(data_set),
    }


def normalization(data_set: DataSet) -> str:
    """Return how a picture becomes an image of the data set: as in MNIST, or resized, or resized and inverted."""
    if data_set.name in AS_MNIST:
        return "mnist"
    return "negative" if data_set.inverted else "resize"
