from collections.abc import Callable

import numpy as np
import pytest

from classifier.data import augmentation

Changed = Callable[..., np.ndarray]


@pytest.fixture
def changed(keras) -> Changed:
    """Augment copies of an image with one non-zero pixel, and return them as (copies, 28, 28)."""
    import tensorflow as tf

    def run(copies: int, row: int, column: int, seed: int = 0, **limits: float) -> np.ndarray:
        images = np.zeros((1, copies, 28, 28, 1), np.float32)
        images[:, :, row, column] = 1
        change = augmentation.build(**{"shift": 0, "rotation": 0, "zoom": 0} | limits, seed=seed)
        assert change is not None
        return np.asarray(change(tf.constant(images), np.zeros((1, copies, 10), np.float32))[0])[0, ..., 0]

    return run


def test_without_limits_there_is_no_augmentation(keras):
    assert augmentation.build(shift=0, rotation=0, zoom=0, seed=0) is None


@pytest.mark.parametrize(
    ("row", "column", "limits", "rows", "columns"),
    [
        (10, 20, {"shift": 2}, [8, 12], [18, 22]),
        # A pixel 9.5 right of the centre can get at most 9.5 above or below it, and never to its left.
        (14, 23, {"rotation": 90}, [4, 24], [13, 24]),
        # A pixel 6.5 from the centre gets to 6.5 / 1.5 = 4.3 or 6.5 / 0.5 = 13 from it.
        (7, 20, {"zoom": 0.5}, [0, 9], [18, 27]),
    ],
)
def test_no_image_changes_by_more_than_the_limit_along_an_axis_or_around_the_centre(
    changed, row, column, limits, rows, columns
):
    images = changed(500, row, column, **limits)
    for axes, ends in (((0, 2), rows), ((0, 1), columns)):
        pixels = np.flatnonzero(images.any(axis=axes))
        assert [pixels.min(), pixels.max()] == ends


def test_shift_and_zoom_are_drawn_for_each_axis():
    moved = augmentation.draw(np.random.default_rng(0), 50, (28, 28), shift=2, rotation=0, zoom=0)
    zoomed = augmentation.draw(np.random.default_rng(0), 50, (28, 28), shift=0, rotation=0, zoom=0.5)
    assert abs(np.corrcoef(moved[:, 2], moved[:, 5])[0, 1]) < 0.5
    assert abs(np.corrcoef(zoomed[:, 0], zoomed[:, 4])[0, 1]) < 0.5
