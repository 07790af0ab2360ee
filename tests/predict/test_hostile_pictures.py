"""Any bytes are a picture that is normalized, or are refused in a line; HOSTILE_EXAMPLES sets how many."""

import io
import warnings
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from predict import pictures
from predict.normalization import normalize
from tests.classifier.data.own.pictures import encoded, png
from tests.predict.hand import draw, on_paper
from tests.stages.test_hostile_input import EXAMPLES, damage, damaged

DRAWN = Image.fromarray(on_paper(draw(3, 0, np.random.default_rng(0), (40, 30), height=24, pen=3)))
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]
sides = st.integers(0, 60) | st.sampled_from([2**16, 2**31 - 1])


def whole(mode: str, kind: str, **options: Any) -> bytes:
    image = DRAWN.convert("I").convert("I;16") if mode == "I;16" else DRAWN.convert(mode)
    return encoded(image if kind == "PNG" else DRAWN.convert("CMYK" if mode == "RGBA" else "RGB"), kind, **options)


def read_or_refuse(content: bytes) -> None:
    try:
        with warnings.catch_warnings(action="error"):
            grey = pictures.grey(pictures.decode(content)[0])
    except ValueError as refusal:
        assert len(str(refusal)) < 300
        return
    assert grey.dtype == np.uint8
    assert grey.size <= Image.MAX_IMAGE_PIXELS
    for digit in normalize(grey):
        assert digit.image.shape == (28, 28)
        assert digit.image.max() == 255


@EXAMPLES
@given(st.sampled_from(MODES), st.sampled_from(["PNG", "JPEG"]), damage)
def test_any_damaged_file_is_read_or_refused(mode: str, kind: str, steps: list[tuple[str, float, bytes]]) -> None:
    read_or_refuse(damaged(whole(mode, kind), steps))


@EXAMPLES
@given(sides, sides, st.sampled_from([1, 2, 4, 8, 16, 3]), st.integers(0, 7), st.binary(max_size=400))
def test_any_header_is_read_or_refused(width: int, height: int, depth: int, colour: int, rows: bytes) -> None:
    read_or_refuse(png(width, height, depth, colour, rows))


@EXAMPLES
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    read_or_refuse(content)


@EXAMPLES
@given(st.binary(max_size=300), damage)
def test_any_orientation_is_read_or_refused(exif: bytes, steps: list[tuple[str, float, bytes]]) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    file = io.BytesIO()
    DRAWN.save(file, "JPEG", exif=damaged(turned.tobytes() + exif, steps))
    read_or_refuse(file.getvalue())
