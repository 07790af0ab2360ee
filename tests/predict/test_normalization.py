"""How a picture is normalized, as docs/predict.md specifies it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predict.normalization import BOX, CENTRE, Piece, fit, join, normalize, pieces_of, shares, shrink
from tests.predict.hand import draw, on_paper, photographed
from tests.predict.vectors import VECTORS, pictures, unpacked

CASES = {case["name"]: case for case in json.loads(VECTORS.read_text())}


def bounds(image: np.ndarray) -> tuple[int, int]:
    """The height and the width of what is not 0."""
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


@pytest.mark.parametrize("name", CASES)
def test_a_vector_gives_its_digits_within_one_grey_level(name: str) -> None:
    found = normalize(unpacked(CASES[name]["picture"]))
    expected = CASES[name]["digits"]
    assert [list(digit.box) for digit in found] == [digit["box"] for digit in expected]
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one.image.astype(int) - unpacked(other["image"])).max() <= 1


def test_the_vectors_are_those_that_their_script_draws() -> None:
    drawn = dict(pictures())
    assert drawn.keys() == CASES.keys()
    for name, picture in drawn.items():
        assert np.array_equal(picture, unpacked(CASES[name]["picture"])), name


def test_the_longer_side_of_a_digit_is_20_pixels_and_its_centre_of_mass_in_the_middle() -> None:
    for digit in range(10):
        (found,) = normalize(on_paper(draw(digit, 0, np.random.default_rng(digit), centre=(90, 180), height=140)))
        image = found.image.astype(float)
        assert max(bounds(found.image)) == BOX
        assert found.image.max() == 255
        for axis in (0, 1):
            centre = image.sum(1 - axis) @ np.arange(28) / image.sum()
            assert abs(centre - CENTRE) <= 0.51


def test_a_digit_is_the_same_dark_on_light_and_light_on_dark_and_anywhere() -> None:
    def image(centre: tuple[float, float], paper: float = 255, pen: float = 0) -> np.ndarray:
        (digit,) = normalize(on_paper(draw(5, 0, np.random.default_rng(0), centre=centre, height=100), paper, pen))
        return digit.image.astype(int)

    expected = image((140, 140))
    assert np.abs(image((140, 140), paper=10, pen=250) - expected).max() <= 2
    assert np.abs(image((60, 200)) - expected).max() <= 2
    assert np.abs(image((220, 70), paper=200, pen=90) - expected).max() <= 4


def test_light_from_one_side_changes_a_digit_little() -> None:
    ink = draw(3, 0, np.random.default_rng(0))
    ((flat,), (uneven,)) = (normalize(on_paper(ink)), normalize(photographed(ink, np.random.default_rng(1), noise=4)))
    assert np.abs(flat.image.astype(int) - uneven.image).mean() < 4


def test_a_line_of_digits_is_read_from_left_to_right_and_boxes_are_in_the_pixels_of_the_picture() -> None:
    ink = sum(
        draw(digit, 0, np.random.default_rng(0), (1200, 300), (200 + 300 * place, 150), 200, 20)
        for place, digit in enumerate((4, 1, 7))
    )
    found = normalize(on_paper(np.minimum(ink, 1)))
    for place, digit in enumerate(found):
        left, top, right, bottom = digit.box
        assert left < 200 + 300 * place < right
        assert abs((top + bottom) / 2 - 150) < 20
        assert abs(bottom - top - 220) < 20
    assert len(found) == 3


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
    for digit in normalize(grey.astype(np.uint8)):
        assert digit.image.shape == (28, 28)
        assert digit.image.dtype == np.uint8
        assert digit.image.max() == 255
        left, top, right, bottom = digit.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_blocks_at_the_edge_are_means_of_the_pixels_that_are_left() -> None:
    picture = np.array([[1.0, 3, 5], [3, 5, 9], [2, 4, 8]])
    assert shrink(picture, 2).tolist() == [[3, 7], [3, 8]]


def test_a_larger_pixel_is_the_mean_of_the_area_that_it_covers() -> None:
    assert np.allclose(shares(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    assert np.allclose(shares(2, 3), [[1, 0], [0.5, 0.5], [0, 1]])
    assert np.allclose(shares(37, 20).sum(axis=1), 1)


def test_pieces_touch_along_sides_or_corners_and_are_sorted_by_their_left_ends() -> None:
    mask = np.array([[0, 0, 0, 1, 0, 1], [0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 0, 1], [1, 0, 0, 1, 1, 1]], bool)
    found = [(piece.left, piece.top, piece.right, piece.bottom, piece.area) for piece in pieces_of(mask)]
    assert found == [(0, 2, 1, 4, 2), (2, 0, 4, 2, 2), (3, 0, 6, 4, 6)]


def test_pieces_of_a_random_mask_are_those_of_a_flood_fill() -> None:
    for seed in range(20):
        mask = np.random.default_rng(seed).random((12, 15)) < 0.45
        assert sorted(piece.area for piece in pieces_of(mask)) == sorted(areas_by_flood_fill(mask))


def areas_by_flood_fill(mask: np.ndarray) -> list[int]:
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    areas = []
    while left:
        waiting, area = [left.pop()], 0
        while waiting:
            row, column = waiting.pop()
            area += 1
            beside = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
            left -= beside
            waiting += beside
        areas.append(area)
    return areas


def piece(left: int, top: int, right: int, bottom: int) -> Piece:
    return Piece(left, top, right, bottom, [(row, left, right) for row in range(top, bottom)])


def test_pieces_one_above_the_other_are_one_digit_and_those_beside_each_other_are_two() -> None:
    upper, lower, beside = piece(0, 0, 20, 5), piece(5, 8, 25, 40), piece(24, 0, 44, 40)
    found = join([upper, lower, beside])
    assert [(each.left, each.top, each.right, each.bottom) for each in found] == [(0, 0, 25, 40), (24, 0, 44, 40)]


def test_specks_and_what_is_shorter_than_half_a_digit_are_left_out() -> None:
    digit, speck, dash = piece(10, 0, 30, 40), piece(0, 0, 3, 3), piece(40, 15, 60, 25)
    assert join([speck, digit, dash]) == [digit]


def test_what_is_outside_of_the_image_is_cut_off() -> None:
    ink = np.zeros((40, 40))
    ink[0, :] = 1  # nearly all mass in the first row, which comes to the centre
    ink[:, 0] = 0.01
    image = fit(ink)
    assert image[CENTRE].max() == 255
    assert image[:CENTRE].max() <= 3
