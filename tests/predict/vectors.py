"""tests/predict/vectors.json: grey pictures, and the digits that predict and the page must find in them.

They were made at commit 8fe9958 by tests/predict/vectors.py. Pixels are bytes, row by row, by zlib and base64.
"""

import base64
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Vector(NamedTuple):
    """A grey picture, uint8 (height, width), and the boxes and the images, uint8 (28, 28), of its digits."""

    picture: np.ndarray
    boxes: list[list[int]]
    images: list[np.ndarray]


def pixels(packed: str, height: int, width: int) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(height, width)


def unpack(case: dict[str, Any]) -> Vector:
    picture = pixels(case["picture"], case["height"], case["width"])
    return Vector(picture, case["boxes"], [pixels(image, 28, 28) for image in case["images"]])


CASES = json.loads(Path(__file__).with_name("vectors.json").read_text())
VECTORS = {case["name"]: unpack(case) for case in CASES}
