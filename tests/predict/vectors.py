"""The vectors.json beside this file: grey pictures, and the boxes and images of digits that must be found in them.

They were made at commit 8fe9958 by tests/predict/vectors.py. Pixels are bytes, row by row, by zlib and base64.
"""

import base64
import json
import zlib
from pathlib import Path

import numpy as np


def pixels(packed: str, height: int = 28, width: int = 28) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(height, width)


CASES = json.loads(Path(__file__).with_name("vectors.json").read_text())
PICTURES = {case["name"]: pixels(case["picture"], case["height"], case["width"]) for case in CASES}
BOXES = {case["name"]: case["boxes"] for case in CASES}
IMAGES = {case["name"]: [pixels(image) for image in case["images"]] for case in CASES}
