"""The images that the page makes, under Node: of pictures as predict and Pillow make them, and of strokes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from predict.digits import normalize
from predict.pictures import lay_on_paper
from tests.classifier.page.node import needs_node, run
from tests.predict.hand import draw, line, on_paper, photographed
from tests.predict.test_digits import IMAGES, LINKED, PICTURES

pytestmark = needs_node

NORMALIZE = "give(input.map((picture) => normalize(picture).map(({ image, stacked }) => [[...image], stacked])));"


def test_the_digits_of_a_picture_are_those_that_predict_finds_within_one_grey_level(tmp_path):
    random = np.random.default_rng(0)
    photo = photographed(draw(9, random, (810, 640), pen=20), random)  # 3 pixels in one, with some left at the edge
    rows = on_paper(np.vstack([line("204"), line("317")]))
    pictures = [photo, rows, *(grey for grey, _ in LINKED.values()), *PICTURES]
    given = [{"values": each.ravel().tolist(), "width": each.shape[1], "height": each.shape[0]} for each in pictures]
    expected = [normalize(grey) for grey in pictures]
    images = [[digit.image for digit in digits] for digits in expected[: -len(IMAGES)]] + IMAGES
    for digits, found, of_picture in zip(run(NORMALIZE, given, tmp_path), expected, images, strict=True):
        assert [stacked for _, stacked in digits] == [digit.stacked for digit in found]
        for (digit, _), image in zip(digits, of_picture, strict=True):
            assert np.abs(np.array(digit) - image.ravel()).max() <= 1


SQUASH = "give(input.pictures.map((picture) => [...squash(planesOf(picture, input.shape[2]), input.shape)]));"


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (32, 32, 3), (96, 64, 3)])
def test_a_picture_is_resized_as_pillow_does_it_within_one_grey_level(tmp_path, shape):
    height, width, channels = shape
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (*size, 4), np.uint8) for size in ((150, 97), (20, 61), (1, 1))]  # with opacity
    noise.append(noise[0] | np.array([255, 255, 255, 0], np.uint8))  # white ink
    pictures = [{"width": each.shape[1], "height": each.shape[0], "data": each.ravel().tolist()} for each in noise]
    for picture, levels in zip(noise, run(SQUASH, {"pictures": pictures, "shape": shape}, tmp_path), strict=True):
        image = lay_on_paper(Image.fromarray(picture)).convert("L" if channels == 1 else "RGB")
        resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        assert np.abs(np.array(levels) - resized.ravel()).max() <= 1


def pictures_of(make: str, drawings: list[Any], folder: Path) -> list[np.ndarray]:
    body = f"give(input.map({make}).map(({{ width, height, values }}) => ({{ width, height, values: [...values] }})));"
    made = run(body, drawings, folder)
    return [np.array(each["values"], np.uint8).reshape(each["height"], each["width"]) for each in made]


def drawing(factor: float, left: float = 0, top: float = 0) -> list[list[list[float]]]:
    """A four in two strokes."""
    strokes = [[[30, 0], [0, 60], [70, 60]], [[50, 10], [50, 100]]]
    return [[[left + factor * x, top + factor * y] for x, y in stroke] for stroke in strokes]


def test_a_small_drawing_and_a_large_one_elsewhere_give_the_same_picture(tmp_path):
    small, large = pictures_of("pictureOfDigits", [drawing(0.5, 20, 200), drawing(2.5, 10, 5)], tmp_path)
    assert small.shape == large.shape
    assert np.abs(small.astype(int) - large).max() <= 1
    assert small.max() == 255
    assert small.sum() == small[1:-1, 1:-1].sum()  # with a margin


def test_a_line_of_digits_has_the_pen_of_one_digit_and_a_dot_stays_small(tmp_path):
    line = drawing(0.6) + drawing(0.6, 80) + drawing(0.6, 160)
    alone, of_line, dot = pictures_of("pictureOfDigits", [drawing(0.6), line, [[[100, 100]]]], tmp_path)
    # The share of ink in the height of a digit is the same: three digits have three times the ink of one.
    ink = [picture.sum() / (picture.max(axis=1) > 0).sum() ** 2 for picture in (alone, of_line)]
    assert abs(ink[1] / ink[0] - 3) < 0.1
    assert 10 < (dot.max(axis=0) > 0).sum() < 20
