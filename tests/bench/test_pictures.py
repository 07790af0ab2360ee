"""bench.pictures: its table, and by it the pictures that it makes."""

import numpy as np
import pytest

from bench import pictures
from predict.digits import normalize
from predict.model import load_model
from tests.predict.conftest import templates  # noqa: F401  # a fixture
from tests.predict.hand import draw

# Images of four drawn digits, uint8 (4, 28, 28).
DRAWN = [draw(digit, np.random.default_rng(0), (28, 28), height=18, pen=2.5) for digit in range(4)]
DIGITS = np.rint(255 * np.stack(DRAWN)).astype(np.uint8)


@pytest.mark.parametrize("kind", pictures.KINDS[::5], ids=lambda kind: kind.name)
def test_a_digit_lies_in_a_picture_in_a_size_of_the_range(kind):
    made = [pictures.embed(digit, kind, np.random.default_rng(seed)) for seed, digit in enumerate(DIGITS)]
    assert {(np.median(picture) > 128) != kind.inverted for picture in made} == {True}
    boxes = [cut_out.box for picture in made for cut_out in normalize(picture)]
    longest = [max(right - left, bottom - top) for left, top, right, bottom in boxes]
    assert min(longest) >= 50
    assert max(longest) <= 205


def test_a_faint_digit_has_0_3_of_its_ink_in_the_middle_and_all_at_its_sides():
    ink, faint = (pictures.beside(DIGITS[:2], faint).max(axis=0) for faint in (False, True))
    assert sorted(set(np.round(faint[ink > 0] / ink[ink > 0], 1))) == [0.3, 1]


def test_predict_reads_digits_in_pictures_of_each_kind(templates):  # noqa: F811
    header, *rows = pictures.table(load_model(templates), DIGITS, np.arange(4))
    assert header[1:] == ["right", "other count", "warned"]
    for name, right, split, _ in rows:
        least = 0.5 if name.endswith(("thin pen", "faint")) else 1  # the model knows the digits as they are
        assert float(right) >= least, name
        assert int(split) <= 4 * (1 - least)
