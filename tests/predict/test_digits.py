"""How the digits of a picture become images as MNIST has them."""

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from predict.digits import CENTRE, fit, normalize, number_digits


def pixels(packed: str, height: int = 28, width: int = 28) -> np.ndarray:
    """Bytes, row by row, by zlib and base64."""
    return np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(height, width)


# Grey pictures, and the digits that must be found in them; made at commit 8fe9958 by tests/predict/vectors.py.
CASES = json.loads(Path(__file__).with_name("vectors.json").read_text())
PICTURES = [pixels(case["picture"], case["height"], case["width"]) for case in CASES]
IMAGES = [[pixels(image) for image in case["images"]] for case in CASES]


@pytest.mark.parametrize("case", range(len(CASES)), ids=[case["name"] for case in CASES])
def test_a_picture_gives_its_digits_within_one_grey_level(case):
    digits = normalize(PICTURES[case])
    assert [list(digit.box) for digit in digits] == CASES[case]["boxes"]
    for digit, image in zip(digits, IMAGES[case], strict=True):
        assert np.abs(digit.image.astype(int) - image).max() <= 1


@pytest.mark.parametrize("grey", [np.full((30, 40), 255), np.zeros((1, 1))], ids=["white", "a black pixel"])
def test_without_ink_there_is_no_digit(grey):
    assert normalize(grey.astype(np.uint8)) == []


def test_a_box_ends_where_a_picture_ends_that_is_reduced():
    grey = np.full((401, 401), 255, np.uint8)
    grey[301:, 341:] = 0
    assert [digit.box[2:] for digit in normalize(grey)] == [(401, 401)]


def test_pixels_that_touch_and_pieces_one_above_the_other_are_one_digit_and_specks_are_none():
    picture = """
        .11..222..333
        1....222....3
        1..x.222.....
        .....222..333
        .11..222.....
        .....222.....
    """
    signs = np.array([list(row) for row in picture.split()])
    expected = np.where(np.isin(signs, ["1", "2", "3"]), signs, "0").astype(int)
    assert number_digits(signs != ".").tolist() == expected.tolist()


def bars(*rectangles: tuple[int, int, int, int, int]) -> np.ndarray:
    """A picture of 200x200 pixels, with bars: left, top, right, bottom, grey."""
    grey = np.full((200, 200), 255, np.uint8)
    for left, top, right, bottom, level in rectangles:
        grey[top:bottom, left:right] = level
    return grey


LEFT, RIGHT = (50, 40, 62, 110, 0), (130, 40, 142, 170, 0)
FAINT_BAR = (50, 100, 130, 110, 190)
LINKED = {
    "a four": (bars(LEFT, FAINT_BAR, RIGHT), 1),
    "two ones": (bars(LEFT, RIGHT), 2),
    "close ones, blurred": (bars((90, 40, 102, 170, 0), (102, 40, 109, 170, 180), (109, 40, 121, 170, 0)), 2),
    "a ruled line": (bars((0, 100, 200, 110, 190), LEFT, RIGHT), 2),
    "a line wider than a digit": (bars((10, 100, 190, 110, 190), LEFT, RIGHT), 2),
}


@pytest.mark.parametrize(("grey", "count"), LINKED.values(), ids=LINKED)
def test_a_fainter_stroke_links_the_pieces_of_a_digit_but_no_neighbours(grey, count):
    digits = normalize(grey)
    assert len(digits) == count
    assert [bool(digit.image[:, 6:10].any()) for digit in digits] == [count == 1] * count  # the bar is in the image


def test_what_is_outside_of_the_image_is_cut_off():
    ink = np.zeros((40, 40))
    ink[0, :] = 1  # nearly all mass in the first row, which comes to the centre
    ink[:, 0] = 0.01
    image = fit(ink)
    assert image[CENTRE].max() == 255
    assert image[:CENTRE].max() <= 3
