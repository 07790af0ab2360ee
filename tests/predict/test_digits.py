"""How the digits of a picture become images as MNIST has them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predict.digits import BOX, CENTRE, fit, normalize, number_digits, reduce
from tests.predict.hand import draw, on_paper
from tests.predict.vectors import BOXES, IMAGES, PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_a_vector_gives_its_digits_within_one_grey_level(name: str) -> None:
    digits = normalize(PICTURES[name])
    assert [list(digit.box) for digit in digits] == BOXES[name]
    for digit, image in zip(digits, IMAGES[name], strict=True):
        assert np.abs(digit.image.astype(int) - image).max() <= 1


def test_the_longer_side_of_a_digit_is_20_pixels_and_its_centre_of_mass_in_the_middle() -> None:
    for number in range(10):
        ((image, _),) = normalize(on_paper(draw(number, 0, np.random.default_rng(number), centre=(90, 180))))
        rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
        assert max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 == BOX
        assert image.max() == 255
        for axis in (0, 1):
            assert abs(image.sum(1 - axis) @ np.arange(28) / image.sum() - CENTRE) <= 0.51


@pytest.mark.parametrize(
    "grey",
    [np.full((30, 40), 255), np.zeros((1, 1)), np.full((50, 50), 128) + (np.arange(50) < 25) * 9],
    ids=["white", "a black pixel", "a step of 9 levels"],
)
def test_without_ink_there_is_no_digit(grey: np.ndarray) -> None:
    assert normalize(grey.astype(np.uint8)) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([2, 3, 256]), st.integers(0, 2**32 - 1))
def test_any_picture_gives_images_of_28x28_with_ink_and_boxes_inside_it(
    height: int, width: int, levels: int, seed: int
) -> None:
    grey = np.random.default_rng(seed).integers(0, levels, (height, width)) * (255 // (levels - 1))
    for image, (left, top, right, bottom) in normalize(grey.astype(np.uint8)):
        assert (image.shape, image.dtype, image.max()) == ((28, 28), np.uint8, 255)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_a_box_ends_where_a_picture_ends_that_is_reduced() -> None:
    grey = np.full((401, 401), 255, np.uint8)
    grey[301:, 341:] = 0
    assert [digit.box[2:] for digit in normalize(grey)] == [(401, 401)]


def test_blocks_at_the_edge_are_means_of_the_pixels_that_are_left() -> None:
    assert reduce(np.array([[1, 3, 5], [3, 5, 9], [2, 4, 8]], np.uint8), 2).tolist() == [[3, 7], [3, 8]]


def test_pixels_that_touch_and_pieces_one_above_the_other_are_one_digit_and_specks_are_none() -> None:
    rows = [
        ".11..222..333",
        "1....222....3",
        "1..x.222.....",
        ".....222..333",
        ".11..222.....",
        ".....222.....",
    ]
    signs = np.array([list(row) for row in rows])
    expected = np.where(np.isin(signs, ["1", "2", "3"]), signs, "0").astype(int)
    assert number_digits(signs != ".").tolist() == expected.tolist()


def test_what_is_outside_of_the_image_is_cut_off() -> None:
    ink = np.zeros((40, 40))
    ink[0, :] = 1  # nearly all mass in the first row, which comes to the centre
    ink[:, 0] = 0.01
    image = fit(ink)
    assert image[CENTRE].max() == 255
    assert image[:CENTRE].max() <= 3
