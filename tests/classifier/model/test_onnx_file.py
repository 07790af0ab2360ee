"""ONNX Runtime computes what Keras computes, for every form of network that params.yaml can describe."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from classifier.data.catalogue import FASHION_MNIST, MNIST, MNIST_5K
from classifier.data.data_set import DataSet
from classifier.model import architecture, keras_file, layers, onnx_file, predictions
from tests.classifier.page.test_document import own
from tests.clone import REPOSITORY


def build(data_set: DataSet, *recipe: Any) -> Any:
    """A network in which all weights are random: no bias and no mean is 0, no factor and no variance 1."""
    import keras

    keras.utils.set_random_seed(0)
    network = architecture.build(data_set, *recipe)
    random = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(np.asarray(weight) + random.uniform(-0.3, 0.3, weight.shape) / np.sqrt(weight.shape[-1]))
    return network


def read(network: Any) -> list[layers.Layer]:
    """The layers of a network, by the file that train would write."""
    with tempfile.TemporaryDirectory() as folder:
        keras_file.save(network, Path(folder) / "model.keras")
        return layers.read(Path(folder) / "model.keras").layers


def predicted(network: Any, data_set: DataSet, images: np.ndarray) -> np.ndarray:
    """The probabilities by ONNX Runtime."""
    session = predictions.open_session(onnx_file.build(read(network), data_set), data_set)
    found: np.ndarray = session.run(None, {"images": images})[0]
    return found


@pytest.mark.parametrize(
    ("shape", "classes", "recipe"),
    [
        ((28, 28, 1), 10, ([3, 4, 5], 3, [8, 7])),
        ((8, 8, 1), 10, ([4], 2, [])),
        ((9, 13, 3), 2, ([3, 2], 4, [5])),
        ((17, 16, 1), 3, ([9, 8, 7, 6], 2, [])),
        ((8, 9, 1), 2, ([], 3, [])),
    ],
)
@pytest.mark.parametrize("normalized", [False, True])
def test_onnx_runtime_computes_what_keras_computes(keras, shape, classes, recipe, normalized):
    data_set = own(shape, tuple(f"犬 {number}" for number in range(classes)))
    network = build(data_set, *recipe, normalized)
    images = np.random.default_rng(1).random((5, *shape), np.float32)
    found = predicted(network, data_set, images)
    np.testing.assert_allclose(found, network(images), rtol=0, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 0.0001  # the images make a difference


# Run in a process of its own, which has the runtime and its NumPy before the packages of the project.
BY_OPENCV = """
net = cv2.dnn.readNetFromONNX(sys.argv[1])
net.setInput(images)
found = net.forward()
"""
BY_ONNX_RUNTIME = """
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(found,) = session.run(None, {"images": images})
"""
OTHERS = {  # what `.ci/run` installs, each into a folder of its own
    "onnxruntime==1.16.3": BY_ONNX_RUNTIME,
    "opencv-python-headless==4.10.0.84": BY_OPENCV,
    "opencv-python-headless==5.0.0.93": BY_OPENCV,
}


@pytest.mark.parametrize("requirement", OTHERS)
@pytest.mark.parametrize(("shape", "recipe"), [((28, 28, 1), ([3, 4, 5], 3, [8])), ((12, 13, 3), ([3, 2], 4, [5]))])
def test_other_runtimes_compute_the_same(keras, tmp_path, requirement, shape, recipe):
    folder = REPOSITORY / ".venv-runtimes" / requirement
    if not folder.is_dir():
        pytest.skip(f"{requirement} is not installed (.ci/run)")
    data_set = own(shape, tuple("0123"))
    network = build(data_set, *recipe, True)
    (tmp_path / "model.onnx").write_bytes(onnx_file.build(read(network), data_set))
    images = np.random.default_rng(1).random((5, *shape), np.float32)
    np.save(tmp_path / "images.npy", images)
    module = "cv2" if "opencv" in requirement else "onnxruntime"
    script = f"import sys, numpy, {module}\nassert {module}.__file__.startswith(sys.argv[2])\n"
    script += f"images = numpy.load('images.npy'){OTHERS[requirement]}numpy.save('found.npy', found)"
    command = [sys.executable, "-c", script, "model.onnx", str(folder)]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(folder)}, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), network(images), rtol=0, atol=1e-5)


def test_batch_normalization_is_folded_unless_a_factor_is_negative(keras):
    images = np.random.default_rng(1).random((5, 28, 28, 1), np.float32)
    for factor, kinds in ((0.5, ["convolution", "pool", "relu"]), (-0.5, ["convolution", "pool", "scale", "relu"])):
        network = build(MNIST, [3], 3, [], True)
        norm, convolution = network.get_layer("norm_1"), network.get_layer("conv_1")
        assert (norm.momentum, convolution.use_bias) == (0.9, False)  # for short trainings; the norm has a bias
        norm.gamma.assign([0.3, factor, 0.0])
        assert [layer.kind for layer in read(network)] == [*kinds, "flatten", "dense", "softmax"]
        np.testing.assert_allclose(predicted(network, MNIST, images), network(images), atol=1e-5)


def test_weights_of_layers_in_bfloat16_are_rounded_as_keras_rounds_them(keras):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build(MNIST, [3], 3, [4])
    finally:
        keras.config.set_dtype_policy("float32")
    convolution, dense, last = (each for each in read(network) if each.kernel.size)
    for layer in (convolution, dense):
        assert layer.kernel.dtype == np.float32
        assert not (layer.kernel.view(np.uint32) & 0xFFFF).any()
        np.testing.assert_allclose(layer.kernel, network.get_layer(layer.name).kernel, rtol=2**-8)
    np.testing.assert_array_equal(last.kernel, network.get_layer("digits").kernel)  # it computes in float32


def test_the_same_weights_give_the_same_bytes_in_the_stated_version(keras):
    network = build(MNIST, [3], 3, [4])
    first, second = (onnx_file.build(read(network), MNIST, {"key": "text"}) for _ in range(2))
    assert first == second
    model = onnx.load_from_string(first)
    assert (model.ir_version, [(each.domain, each.version) for each in model.opset_import]) == (7, [("", 13)])
    kinds = {"Transpose", "Conv", "MaxPool", "Relu", "Flatten", "Gemm", "Softmax"}
    assert {node.op_type for node in model.graph.node} == kinds


def test_the_metadata_say_how_to_use_the_file(keras):
    def metadata(data_set: DataSet) -> dict[str, str]:
        content = onnx_file.build(read(architecture.build(data_set, [], 3, [])), data_set, {"key": "text"})
        return {each.key: each.value for each in onnx.load_from_string(content).metadata_props}

    digits, photos = metadata(MNIST), metadata(own((9, 13, 3), ("犬 0", "犬 1")))
    assert set(digits) == {"dataset", "noun", "classes", "image_shape", "preprocessing", "normalization", "key"}
    assert (digits["dataset"], digits["noun"], digits["normalization"]) == ("mnist", "digits", "mnist")
    assert json.loads(digits["classes"]) == list("0123456789")
    assert json.loads(digits["image_shape"]) == [28, 28, 1]
    assert (json.loads(photos["classes"]), json.loads(photos["image_shape"])) == (["犬 0", "犬 1"], [9, 13, 3])
    assert "9 x 13 pixels of RGB" in photos["preprocessing"]
    light = metadata(replace(own((9, 13, 3), ("犬 0", "犬 1")), inverted=True))
    assert (light["normalization"], photos["normalization"]) == ("negative", "resize")
    assert "subtract its values from 255" in light["preprocessing"]
    assert [onnx_file.normalization(each) for each in (MNIST_5K, FASHION_MNIST)] == ["mnist", "resize"]


def test_an_activation_of_another_kind_is_refused(keras):
    elu = keras.layers.Conv2D(2, 3, activation="elu", name="conv_1")
    with pytest.raises(ValueError, match="found elu of conv_1"):
        read(keras.Sequential([keras.Input((28, 28, 1)), elu]))
