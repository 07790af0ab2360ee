"""The page, ONNX Runtime and Keras agree on the class of every test image: run after `make repro`."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data.data_set import read_data_set
from classifier.model import architecture, layers, onnx_file, predictions
from classifier.page import document
from classifier.paths import AGREEMENT, ONNX, PAGE, SOURCE
from tests.classifier.page.node import needs_node, run
from tests.conftest import REPOSITORY
from tests.page.conftest import Visit

pytestmark = [pytest.mark.slow, pytest.mark.model]

TEST_IMAGES = REPOSITORY / "data/processed/test_images.npy"

PREDICT = """\
const file = fs.readFileSync(input.images);
const layers = readLayers(input.network);
const size = input.network.shape.reduce((product, side) => product * side);
const pixels = new Float32Array(Uint8Array.from(file.subarray(-4 * size * input.count)).buffer);
const found = Array.from({ length: input.count }, (_, row) => {
    return [...run(layers, pixels.subarray(row * size, (row + 1) * size), input.network.shape).at(-1).values];
});
give(found);
"""


@pytest.fixture(scope="module")
def images() -> np.memmap:
    """The test images of the last `make repro`."""
    if not TEST_IMAGES.exists():
        pytest.skip("data/processed does not exist: run `make repro`")
    return np.load(TEST_IMAGES, mmap_mode="r")


def by_node(network: Any, count: int, folder: Path) -> np.ndarray:
    return np.array(run(PREDICT, {"network": network, "images": str(TEST_IMAGES), "count": count}, folder))


def by_onnx(model: bytes, images: np.memmap) -> np.ndarray:
    data_set = read_data_set(REPOSITORY / SOURCE)
    session = predictions.open_session(model, data_set)
    return predictions.join(session.run(None, {"images": batch})[0] for batch in predictions.batches(images))


def in_page(page: Path) -> Any:
    match = re.search(r'id="network">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert match
    return json.loads(match[1])


@needs_node
def test_the_committed_page_reads_every_test_image_as_onnx_runtime_and_keras_do(
    images: np.memmap, tmp_path: Path
) -> None:
    found = by_node(in_page(REPOSITORY / PAGE), len(images), tmp_path)
    expected = by_onnx((REPOSITORY / ONNX).read_bytes(), images)
    assert (found.argmax(axis=1) != expected.argmax(axis=1)).sum() == 0
    assert np.abs(found - expected).max() < 1e-5
    if in_page(REPOSITORY / PAGE)["normalization"] == "mnist":  # of Fashion-MNIST, close calls change: docs/export.md
        compared = json.loads((REPOSITORY / AGREEMENT).read_text())["test"]  # export compared ONNX Runtime with Keras
        assert compared["changed_class"] == 0


@needs_node
def test_a_network_with_batch_normalization_reads_every_test_image_as_onnx_runtime_and_keras_do(
    images: np.memmap, keras: ModuleType, tmp_path: Path
) -> None:
    data_set = read_data_set(REPOSITORY / SOURCE)
    keras.utils.set_random_seed(0)
    network = architecture.build(data_set, [32, 64, 64], 3, [128, 64], batch_normalization=True)
    network.compile("adam", "categorical_crossentropy")
    shown = [
        np.load(REPOSITORY / f"data/processed/train_{kind}.npy", mmap_mode="r")[:4000] for kind in ("images", "labels")
    ]
    network.fit(*shown, batch_size=50, verbose=0)
    norm = network.get_layer("norm_2")
    gamma, beta, mean, variance = norm.get_weights()
    gamma[:8] *= -1  # cannot be folded into the convolution, because the pooling is between the two
    norm.set_weights([gamma, beta, mean, variance])
    plain = layers.read(network)
    assert [layer.name for layer in plain if layer.kind == "scale"] == ["norm_2"]

    description = json.loads(document.as_json(document.describe(plain, data_set, [], "mnist", 0.0)))
    page = by_node(description, len(images), tmp_path)
    onnx = by_onnx(onnx_file.build(plain, data_set), images)
    by_keras = network.predict(np.asarray(images), batch_size=250, verbose=0)
    for found in (page, onnx):
        assert (found.argmax(axis=1) != by_keras.argmax(axis=1)).sum() == 0
        assert np.abs(found - by_keras).max() < 1e-4


def test_the_browser_computes_what_onnx_runtime_does(images: np.memmap, page_file: Path, visit: Visit) -> None:
    chosen = np.array(images[::10])
    compute = "(image) => [...run(layers, scaled(Uint8Array.from(image)), network.shape).at(-1).values]"
    given = np.rint(chosen * 255).astype(int).reshape(len(chosen), -1).tolist()
    computed = visit(page_file).tab.evaluate(f"(images) => images.map({compute})", given)
    expected = by_onnx((REPOSITORY / ONNX).read_bytes(), images)[::10]
    assert np.abs(np.array(computed) - expected).max() < 1e-5
