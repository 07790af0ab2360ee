import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data import augmentation, batches, splits

Changed = Callable[..., np.ndarray]


@pytest.fixture
def changed(keras: ModuleType) -> Changed:
    """Change copies of an image with a single dark pixel, and return them as (copies, 28, 28)."""

    def run(copies: int, row: int, column: int, seed: int = 0, **limits: float) -> np.ndarray:
        images = np.zeros((copies, 28, 28, 1), np.float32)
        images[:, row, column] = 1
        change = augmentation.build(**{"shift": 0, "rotation": 0, "zoom": 0} | limits, seed=seed)
        assert change is not None
        return np.asarray(change(images, np.zeros((copies, 10), np.float32))[0])[..., 0]

    return run


def extent(images: np.ndarray) -> tuple[list[int], list[int]]:
    """The first and the last row, and column, in which any of these images is not white."""
    rows, columns = (np.flatnonzero(images.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    return [rows.min(), rows.max()], [columns.min(), columns.max()]


def test_without_limits_there_is_nothing_to_change(keras: ModuleType) -> None:
    assert augmentation.build(shift=0, rotation=0, zoom=0, seed=0) is None


def test_an_image_is_moved_by_at_most_the_limit_along_either_axis(changed: Changed) -> None:
    assert extent(changed(500, 10, 20, shift=2)) == ([8, 12], [18, 22])


def test_an_image_is_turned_around_its_middle_by_at_most_the_limit(changed: Changed) -> None:
    # By 90 degrees a pixel 9.5 right of the middle comes to be as far above it or below it, never to its left.
    assert extent(changed(500, 14, 23, rotation=90)) == ([4, 24], [13, 24])


def test_an_image_is_zoomed_around_its_middle_by_at_most_the_limit_along_either_axis(changed: Changed) -> None:
    # Half the size again makes 6.5 pixels from the middle 4.3, half the size less makes them 13.
    assert extent(changed(500, 7, 20, zoom=0.5)) == ([0, 9], [18, 27])


@pytest.mark.parametrize("limits", [{"shift": 5}, {"rotation": 45}, {"zoom": 0.5}])
def test_what_moves_in_from_outside_the_image_is_paper(changed: Changed, limits: dict[str, float]) -> None:
    assert not changed(50, 14, 14, **limits)[:, 0, 0].any()


@pytest.mark.parametrize("limits", [{"shift": 5}, {"rotation": 45}, {"zoom": 0.5}])
def test_every_image_is_changed_otherwise_and_alike_for_the_same_seed(
    changed: Changed, limits: dict[str, float]
) -> None:
    first, second = images = changed(2, 10, 18, seed=3, **limits)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(changed(2, 10, 18, seed=3, **limits), images)
    assert not np.array_equal(changed(2, 10, 18, seed=4, **limits), images)


def test_the_two_axes_are_moved_and_zoomed_apart() -> None:
    moved = augmentation.draw(np.random.default_rng(0), 50, shift=2, rotation=0, zoom=0)
    zoomed = augmentation.draw(np.random.default_rng(0), 50, shift=0, rotation=0, zoom=0.5)
    assert abs(np.corrcoef(moved[:, 2], moved[:, 5])[0, 1]) < 0.5
    assert abs(np.corrcoef(zoomed[:, 0], zoomed[:, 4])[0, 1]) < 0.5


def test_the_changes_come_from_other_random_numbers_than_the_order(
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
    assert states[0] != np.random.default_rng(3).bit_generator.state  # that of classifier/data/batches.py


def test_no_file_is_written_to_change_images(
    project: Path, tmp_path: Path, keras: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits.PROCESSED.mkdir(parents=True)
    np.save(splits.images_path("train"), np.zeros((5, 28, 28, 1), np.float32))
    np.save(splits.labels_path("train"), np.zeros((5, 10), np.float32))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    kept = []
    remove = os.remove
    monkeypatch.setattr(os, "remove", lambda path: kept.append(path) or remove(path))
    assert len(list(batches.load("train", 5, change=augmentation.build(2, 0, 0, seed=0)))) == 1
    assert [*kept, *temporary.iterdir()] == []


def test_batches_are_changed_anew_in_every_epoch_and_keep_their_labels(project: Path, keras: ModuleType) -> None:
    random = np.random.default_rng(0)
    original, labels = random.random((5, 28, 28, 1), np.float32), random.random((5, 10), np.float32)
    splits.PROCESSED.mkdir(parents=True)
    np.save(splits.images_path("train"), original)
    np.save(splits.labels_path("train"), labels)

    def epochs() -> list[np.ndarray]:
        seen = batches.load("train", len(original), change=augmentation.build(2, 0, 0, seed=0))
        told = []
        for _ in range(2):
            for images, kept in seen:
                np.testing.assert_array_equal(kept, labels)
                told.append(np.asarray(images))
        return told

    first, second = epochs()
    assert first.shape == second.shape == original.shape
    assert not np.array_equal(first, original)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(epochs(), [first, second])
