"""tests/predict/vectors.json: grey pictures, and the digits that predict and the page must find in them.

They were made at commit 8fe9958 by tests/predict/vectors.py. Pixels are bytes, row by row, by zlib and base64.
"""

import base64
import json
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Vector(NamedTuple):
    """A grey picture, uint8 (height, width), and the boxes and the images, uint8 (28, 28), of its digits."""

    picture: np.ndarray
    boxes: list[list[int]]
    images: list[np.ndarray]


def pixels(packed: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)


VECTORS: dict[str, Vector] = {}
for case in json.loads(Path(__file__).with_name("vectors.json").read_text()):
    images = [pixels(image).reshape(28, 28) for image in case["images"]]
    VECTORS[case["name"]] = Vector(
        pixels(case["picture"]).reshape(case["height"], case["width"]), case["boxes"], images
    )
