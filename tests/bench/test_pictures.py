"""bench.pictures: the pictures that it makes, and its table."""

from pathlib import Path

import numpy as np
import pytest

from bench import pictures
from predict.digits import normalize
from predict.model import load_model
from tests.predict.conftest import templates  # noqa: F401  # a fixture
from tests.predict.hand import draw


@pytest.fixture
def digits() -> np.ndarray:
    """Images of four drawn digits, uint8 (4, 28, 28)."""
    drawn = [draw(digit, 0, np.random.default_rng(0), (28, 28), height=18, pen=2.5) for digit in range(4)]
    return np.rint(255 * np.stack(drawn)).astype(np.uint8)


@pytest.mark.parametrize("kind", pictures.KINDS[::5], ids=lambda kind: kind.name)
def test_a_digit_lies_whole_in_a_picture_in_a_size_of_the_range(kind: pictures.Kind, digits: np.ndarray) -> None:
    random = np.random.default_rng(0)
    longest = []
    for digit in digits:
        picture = pictures.embed(digit, kind, random)
        assert (picture.shape, picture.dtype) == ((280, 280), np.uint8)
        assert (np.median(picture) > 128) != kind.inverted
        (cut_out,) = normalize(picture)
        left, top, right, bottom = cut_out.box
        longest.append(max(right - left, bottom - top))
    assert min(longest) >= 50
    assert max(longest) <= 205


def test_predict_reads_digits_in_pictures_that_are_misread_if_they_are_only_resized(
    templates: Path,  # noqa: F811
    digits: np.ndarray,
) -> None:
    header, *rows = pictures.table(load_model(templates), digits, np.arange(4))
    assert header[1:] == ["right", "two digits or none", "warned", "resized only"]
    assert rows[0][1:3] == ["1.000", "0"]  # the model knows these digits
    assert float(rows[0][1]) > float(rows[0][4])
