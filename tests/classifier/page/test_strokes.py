"""The picture of a drawing, under Node: the width of the pen fits the size of what is drawn."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.classifier.page.node import needs_node, run

pytestmark = needs_node

BODY = "give(input.map(make).map(({ width, height, grey }) => ({ width, height, grey: [...grey] })));"


def pictures(make: str, drawings: list[Any], folder: Path) -> list[np.ndarray]:
    found = run(BODY.replace("make", make), drawings, folder)
    return [np.array(each["grey"], np.uint8).reshape(each["height"], each["width"]) for each in found]


def drawing(factor: float, left: float = 0, top: float = 0) -> list[list[list[float]]]:
    """A four in two strokes."""
    strokes = [[[30, 0], [0, 60], [70, 60]], [[50, 10], [50, 100]]]
    return [[[left + factor * x, top + factor * y] for x, y in stroke] for stroke in strokes]


def test_a_small_drawing_and_a_large_one_elsewhere_give_the_same_picture(tmp_path: Path) -> None:
    small, large = pictures("pictureOfDigits", [drawing(0.5, 20, 200), drawing(2.5, 10, 5)], tmp_path)
    assert small.shape == large.shape
    assert np.abs(small.astype(int) - large).max() <= 1
    assert small.max() == 255
    assert (small[[0, -1]] == 0).all()
    assert (small[:, [0, -1]] == 0).all()


def test_a_line_of_digits_has_the_pen_of_one_digit(tmp_path: Path) -> None:
    line = drawing(0.6) + drawing(0.6, 80) + drawing(0.6, 160)
    alone, of_line = pictures("pictureOfDigits", [drawing(0.6), line], tmp_path)
    # The share of ink in the height of a digit is the same: three digits have three times the ink of one.
    ink = [picture.sum() / (picture.max(axis=1) > 0).sum() ** 2 for picture in (alone, of_line)]
    assert abs(ink[1] / ink[0] - 3) < 0.1


def test_a_dot_stays_small_and_a_picture_of_the_pad_keeps_the_place(tmp_path: Path) -> None:
    (dot,) = pictures("pictureOfDigits", [[[[100, 100]]]], tmp_path)
    assert 10 < (dot.max(axis=0) > 0).sum() < 20
    (pad,) = pictures("pictureOfPad", [[[[100, 50], [100, 80]]]], tmp_path)
    rows, columns = np.nonzero(pad)
    assert pad.shape == (280, 280)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 89, 90, 109)
