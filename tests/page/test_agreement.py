"""The page and ONNX Runtime agree on the class of every test image: run after `make repro`."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from classifier.data.data_set import read_data_set
from classifier.model import predictions
from classifier.paths import ONNX, SOURCE
from tests.classifier.page.node import needs_node, run
from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.model]

TEST_IMAGES = REPOSITORY / "data/processed/test_images.npy"

PREDICT = """
const file = fs.readFileSync(input.images);
const layers = readLayers(input.network);
const size = input.network.shape.reduce((product, side) => product * side);
const pixels = new Float32Array(Uint8Array.from(file.subarray(-4 * size * input.count)).buffer);
give(Array.from({ length: input.count }, (_, row) => {
  return [...run(layers, pixels.subarray(row * size, (row + 1) * size), input.network.shape).at(-1).values];
}));
"""


@needs_node
def test_the_page_reads_every_test_image_as_onnx_runtime_does(page_file: Path, tmp_path: Path) -> None:
    images = np.load(TEST_IMAGES, mmap_mode="r")
    session = predictions.open_session((REPOSITORY / ONNX).read_bytes(), read_data_set(REPOSITORY / SOURCE))
    by_onnx = predictions.join(session.run(None, {"images": batch})[0] for batch in predictions.batches(images))
    data = re.findall(r'(?s)id="network">(.*?)</script>', page_file.read_text(encoding="utf-8"))[0]
    given = {"network": json.loads(data), "images": str(TEST_IMAGES), "count": len(images)}
    by_page = np.array(run(PREDICT, given, tmp_path))
    assert (by_page.argmax(axis=1) != by_onnx.argmax(axis=1)).sum() == 0
    assert np.abs(by_page - by_onnx).max() < 1e-5
