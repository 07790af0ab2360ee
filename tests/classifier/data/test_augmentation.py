from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data import augmentation

Changed = Callable[..., np.ndarray]


@pytest.fixture
def changed(keras: ModuleType) -> Changed:
    """Augment copies of an image with one non-zero pixel, and return them as (copies, 28, 28)."""
    import tensorflow as tf

    def run(copies: int, row: int, column: int, seed: int = 0, **limits: float) -> np.ndarray:
        images = np.zeros((1, copies, 28, 28, 1), np.float32)
        images[:, :, row, column] = 1
        change = augmentation.build(**{"shift": 0, "rotation": 0, "zoom": 0} | limits, seed=seed)
        assert change is not None
        return np.asarray(change(tf.constant(images), np.zeros((1, copies, 10), np.float32))[0])[0, ..., 0]

    return run


def extent(images: np.ndarray) -> tuple[list[int], list[int]]:
    """The first and the last row, and column, in which any of these images has a non-zero pixel."""
    rows, columns = (np.flatnonzero(images.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    return [rows.min(), rows.max()], [columns.min(), columns.max()]


def test_without_limits_there_is_no_augmentation(keras: ModuleType) -> None:
    assert augmentation.build(shift=0, rotation=0, zoom=0, seed=0) is None


def test_images_are_shifted_by_at_most_the_limit_along_each_axis(changed: Changed) -> None:
    assert extent(changed(500, 10, 20, shift=2)) == ([8, 12], [18, 22])


def test_images_are_rotated_around_the_centre_by_at_most_the_limit(changed: Changed) -> None:
    # A pixel 9.5 right of the centre can get at most 9.5 above or below it, and never to its left.
    assert extent(changed(500, 14, 23, rotation=90)) == ([4, 24], [13, 24])


def test_images_are_zoomed_around_the_centre_by_at_most_the_limit_along_each_axis(changed: Changed) -> None:
    # A pixel 6.5 from the centre gets to 6.5 / 1.5 = 4.3 or 6.5 / 0.5 = 13 from it.
    assert extent(changed(500, 7, 20, zoom=0.5)) == ([0, 9], [18, 27])


@pytest.mark.parametrize("limits", [{"shift": 5}, {"rotation": 45}, {"zoom": 0.5}])
def test_pixels_from_outside_the_image_are_background(changed: Changed, limits: dict[str, float]) -> None:
    assert not changed(50, 14, 14, **limits)[:, 0, 0].any()


@pytest.mark.parametrize("limits", [{"shift": 5}, {"rotation": 45}, {"zoom": 0.5}])
def test_each_image_is_changed_differently_and_the_seed_decides_how(changed: Changed, limits: dict[str, float]) -> None:
    first, second = images = changed(2, 10, 18, seed=3, **limits)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(changed(2, 10, 18, seed=3, **limits), images)
    assert not np.array_equal(changed(2, 10, 18, seed=4, **limits), images)


def test_shift_and_zoom_are_drawn_for_each_axis() -> None:
    moved = augmentation.draw(np.random.default_rng(0), 50, (28, 28), shift=2, rotation=0, zoom=0)
    zoomed = augmentation.draw(np.random.default_rng(0), 50, (28, 28), shift=0, rotation=0, zoom=0.5)
    assert abs(np.corrcoef(moved[:, 2], moved[:, 5])[0, 1]) < 0.5
    assert abs(np.corrcoef(zoomed[:, 0], zoomed[:, 4])[0, 1]) < 0.5


def test_augmentation_and_order_of_images_use_different_random_numbers(
    changed: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []
    draw = augmentation.draw

    def note(random: np.random.Generator, *limits: Any) -> np.ndarray:
        states.append(random.bit_generator.state)
        return draw(random, *limits)

    monkeypatch.setattr(augmentation, "draw", note)
    changed(1, 10, 18, seed=3, shift=2)
    assert len(states) == 1
    assert states[0] != np.random.default_rng(3).bit_generator.state  # as in classifier/data/batches.py
