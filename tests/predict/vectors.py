"""Write tests/predict/vectors.json: grey pictures and the images that normalization makes of their digits.

`python -m tests.predict.vectors` writes it anew, which is right only if the specification in docs/predict.md changed.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from predict.normalization import normalize
from tests.predict.hand import draw, on_paper, photographed, rounded

VECTORS = Path(__file__).with_name("vectors.json")


def pictures() -> Iterator[tuple[str, np.ndarray]]:
    """Yield a name and a grey picture for each case that the steps treat differently."""
    random = np.random.default_rng(0)
    yield "dark on light", on_paper(draw(3, 0, random, (56, 56), height=40, pen=5))
    yield "light on dark", on_paper(draw(5, 1, random, (60, 50), height=36, pen=4), paper=30, pen=220)
    yield "off centre, touches the border", on_paper(draw(7, 0, random, (70, 60), (16, 22), height=44, pen=5))
    yield "as small as an image of MNIST", on_paper(draw(2, 0, random, (28, 28), height=19, pen=2.5))
    yield "smaller than the box", on_paper(draw(6, 0, random, (14, 16), height=11, pen=2))
    yield "thin and tilted", on_paper(draw(4, 1, random, (90, 100), height=80, pen=2, tilt=15))
    yield "thick", on_paper(draw(8, 0, random, (70, 80), height=60, pen=13))
    yield "symmetric: nothing but rounding decides about half a pixel", bar()
    yield "uneven light and noise", photographed(draw(9, 1, random, (80, 80), height=50, pen=6), random)
    yield "a shadow with an edge", shadow(draw(0, 0, random, (80, 80), height=50, pen=6))
    line = sum(draw(each, 0, random, (150, 60), (20 + 26 * i, 30), 36, 4) for i, each in enumerate((2, 0, 1, 4, 6)))
    yield "a line of five digits", on_paper(np.minimum(line, 1))
    wide = sum(draw(each, 1, random, (620, 50), (60 + 210 * i, 25), 40, 6) for i, each in enumerate((8, 1, 5)))
    yield "wider than 400 pixels", on_paper(np.minimum(wide, 1))
    yield "a broken digit and specks", specks(draw(5, 1, random, (70, 70), height=50, pen=5))
    yield "noise alone", random.integers(0, 256, (40, 50), np.uint8)
    yield "blank", np.full((30, 40), 200, np.uint8)
    yield "too faint", on_paper(draw(1, 1, random, (40, 40), height=30, pen=4), paper=200, pen=188)
    yield "a single row", on_paper((np.arange(40) // 6 == 3)[np.newaxis].astype(float))


def bar() -> np.ndarray:
    picture = np.full((50, 40), 255, np.uint8)
    picture[10:40, 16:22] = 0
    return picture


def shadow(ink: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: ink.shape[0], : ink.shape[1]]
    return rounded((230 - 190 * ink) * np.where(rows + 2 * columns > 150, 0.65, 1))


def specks(ink: np.ndarray) -> np.ndarray:
    ink = ink.copy()
    ink[32:35] = 0
    ink[4:6, 60:62] = ink[64:67, 5:7] = 1
    return on_paper(ink)


def packed(array: np.ndarray) -> dict[str, Any]:
    """Return the shape of an array of bytes, and the bytes, row by row, in base64."""
    return {"height": array.shape[0], "width": array.shape[1], "bytes": base64.b64encode(array.tobytes()).decode()}


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    pixels = np.frombuffer(base64.b64decode(packed["bytes"]), np.uint8)
    return pixels.reshape(packed["height"], packed["width"])


if __name__ == "__main__":
    cases = [
        {
            "name": name,
            "picture": packed(grey),
            "digits": [{"box": digit.box, "image": packed(digit.image)} for digit in normalize(grey)],
        }
        for name, grey in pictures()
    ]
    VECTORS.write_text(json.dumps(cases, indent=1) + "\n")
    for case in cases:
        print(f"{case['name']}: {len(case['digits'])} digits")
