from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data import batches, splits


@pytest.fixture
def numbered(project: Path) -> None:
    """Twenty-five images to train, each filled with its own number, and labels that tell it too."""
    splits.PROCESSED.mkdir(parents=True)
    numbers = np.arange(25, dtype=np.float32)
    np.save(splits.images_path("train"), np.broadcast_to(numbers[:, None, None, None], (25, 28, 28, 1)))
    np.save(splits.labels_path("train"), np.broadcast_to(numbers[:, None], (25, 10)))


def epoch(of: Iterable[tuple[Any, Any]]) -> list[int]:
    """The numbers of an epoch's images, in the order in which training sees them."""
    seen = []
    for images, labels in of:
        assert images.dtype == labels.dtype == np.float32
        assert images.shape[1:] == (28, 28, 1)
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels[:, 0])
        seen += images[:, 0, 0, 0].numpy().astype(int).tolist()
    return seen


def test_without_a_seed_images_come_in_the_order_of_the_file(numbered: None, keras: ModuleType) -> None:
    of = batches.load("train", 10)
    assert len(of) == 3
    assert [len(images) for images, _ in of] == [10, 10, 5]
    assert epoch(of) == epoch(of) == list(range(25))


def test_the_tuner_that_may_sleep_at_the_end_of_an_epoch_is_off(numbered: None, keras: ModuleType) -> None:
    assert batches.load("train", 10).options().autotune.enabled is False


def test_with_a_seed_every_epoch_has_every_image_once_in_an_order_of_its_own(numbered: None, keras: ModuleType) -> None:
    of = batches.load("train", 10, seed=3)
    first, second = epoch(of), epoch(of)
    assert sorted(first) == sorted(second) == list(range(25))
    assert first != second
    again = batches.load("train", 10, seed=3)
    assert [epoch(again), epoch(again)] == [first, second]
    assert epoch(batches.load("train", 10, seed=4)) != first


def test_training_takes_each_epochs_order_however_far_ahead_keras_reads(numbered: None, keras: ModuleType) -> None:
    import tensorflow as tf

    orders = []
    for _ in range(2):
        seen: list[int] = []

        class Told(keras.layers.Layer):  # type: ignore[misc, name-defined]
            def call(self, images: object, seen: list[int] = seen) -> object:
                tf.py_function(lambda batch: seen.extend(batch[:, 0, 0, 0].numpy().astype(int).tolist()), [images], [])
                return images

        network = keras.Sequential([keras.Input((28, 28, 1)), Told(), keras.layers.Flatten(), keras.layers.Dense(10)])
        network.compile(loss="mse", steps_per_execution=2)
        network.fit(batches.load("train", 10, seed=3), epochs=3, shuffle=False, verbose=0)
        orders.append(seen)
    expected = batches.load("train", 10, seed=3)
    assert orders[0] == orders[1] == [*epoch(expected), *epoch(expected), *epoch(expected)]
