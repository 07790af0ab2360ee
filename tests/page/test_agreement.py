"""The page and ONNX Runtime agree on every test image: run after `make repro`."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from predict.model import MODEL, load_model
from tests.classifier.page.node import needs_node, run
from tests.conftest import REPOSITORY

TEST_IMAGES = REPOSITORY / "data/processed/test_images.npy"

PREDICT = """
const layers = readLayers(input.network);
const pixels = new Float32Array(Uint8Array.from(fs.readFileSync(input.images).subarray(-4 * input.size)).buffer);
const size = input.network.shape.reduce((product, side) => product * side);
give(Array.from({ length: input.size / size }, (_, row) => {
  return [...run(layers, pixels.subarray(row * size, (row + 1) * size), input.network.shape).at(-1).values];
}));
"""


@needs_node
@pytest.mark.slow
@pytest.mark.model
def test_the_page_reads_every_test_image_as_onnx_runtime_does(page_file: Path, tmp_path: Path) -> None:
    images = np.load(TEST_IMAGES, mmap_mode="r")
    data = re.findall(r'(?s)id="network">(.*?)</script>', page_file.read_text(encoding="utf-8"))[0]
    given = {"network": json.loads(data), "images": str(TEST_IMAGES), "size": images.size}
    by_page = np.array(run(PREDICT, given, tmp_path))
    by_onnx = load_model(REPOSITORY / MODEL).predict(np.rint(images * 255))
    assert (by_page.argmax(axis=1) != by_onnx.argmax(axis=1)).sum() == 0
    assert np.abs(by_page - by_onnx).max() < 1e-5
