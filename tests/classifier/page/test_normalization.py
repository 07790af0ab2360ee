"""The normalization of pictures in JavaScript, under Node, agrees with predict and with Pillow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.classifier.page.node import needs_node, run
from tests.predict.vectors import VECTORS

pytestmark = needs_node

NORMALIZE = """\
const found = input.map(({ grey, width, height }) => normalize(Uint8Array.from(grey), width, height));
give(found.map((digits) => digits.map(({ image, box }) => ({ image: [...image], box }))));
"""


def test_the_images_are_those_that_predict_makes_within_one_grey_level(tmp_path: Path) -> None:
    given = [
        {"grey": picture.ravel().tolist(), "width": picture.shape[1], "height": picture.shape[0]}
        for picture, _, _ in VECTORS.values()
    ]
    for vector, digits in zip(VECTORS.values(), run(NORMALIZE, given, tmp_path), strict=True):
        assert [digit["box"] for digit in digits] == vector.boxes
        for digit, image in zip(digits, vector.images, strict=True):
            assert np.abs(np.array(digit["image"]) - image.ravel()).max() <= 1


def rgba(height: int, width: int) -> dict[str, Any]:
    """A picture of noise, partly transparent, in large and in small blocks."""
    random = np.random.default_rng(0)
    large = np.kron(random.integers(0, 256, (4, 4, 4)), np.ones((-(-height // 4), -(-width // 4), 1)))[:height, :width]
    data = (large + random.integers(0, 30, (height, width, 4))).clip(0, 255).astype(np.uint8)
    return {"width": width, "height": height, "data": data.ravel().tolist()}


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (32, 32, 3), (96, 64, 3)])
def test_a_picture_is_resized_as_pillow_does_it_within_one_grey_level(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pictures = [rgba(*size) for size in ((150, 97), (20, 61), (1, 1))]
    given = {"pictures": pictures, "shape": shape}
    found = run("give(input.pictures.map((picture) => [...resize(picture, input.shape)]));", given, tmp_path)
    for picture, resized in zip(pictures, found, strict=True):
        data = np.array(picture["data"], np.uint8).reshape(picture["height"], picture["width"], 4)
        colours, opacity = data[..., :3].astype(int), data[..., 3:].astype(int)
        image = Image.fromarray(((colours * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8))
        height, width, channels = shape
        image = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BILINEAR)
        assert np.abs(np.array(resized) - np.asarray(image).ravel()).max() <= 1
