from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from classifier.data import augmentation, batches, splits
from tests.conftest import describe


@pytest.fixture
def numbered(project) -> None:
    """25 training images; each pixel of an image, and each entry of its label, is the number of the image."""
    describe(project)
    splits.PROCESSED.mkdir(parents=True)
    numbers = np.arange(25, dtype=np.float32)
    np.save(splits.images_path("train"), np.broadcast_to(numbers[:, None, None, None], (25, 28, 28, 1)))
    np.save(splits.labels_path("train"), np.broadcast_to(numbers[:, None], (25, 10)))


def epoch(of: Iterable[tuple[Any, Any]]) -> list[int]:
    """The numbers of the images of an epoch, in the order of training."""
    seen = []
    for images, labels in of:
        assert images.dtype == labels.dtype == np.float32
        assert images.shape[1:] == (28, 28, 1)
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels[:, 0])
        seen += images[:, 0, 0, 0].numpy().astype(int).tolist()
    return seen


def test_without_a_seed_the_order_of_images_is_that_of_the_file(numbered, keras):
    of = batches.read_batches("train", 10)
    assert len(of) == 3
    assert [len(images) for images, _ in of] == [10, 10, 5]
    assert epoch(of) == epoch(of) == list(range(25))
    assert of.options().autotune.enabled is False  # the tuner of TensorFlow


@pytest.mark.parametrize("block", [1, 2 * 10 * 28 * 28 * 4, 2**23], ids=["a batch", "two batches", "all batches"])
@pytest.mark.parametrize("kept", [0, 2**28], ids=["mapped again", "kept"])
def test_batches_do_not_depend_on_how_many_are_read_at_once(numbered, keras, monkeypatch, block, kept):
    monkeypatch.setattr(batches, "BLOCK", block)
    monkeypatch.setattr(batches, "KEPT", kept)
    random, limits = np.random.default_rng(3), (2.0, 10.0, 0.1)
    orders = [random.permutation(25) for _ in range(2)]
    random = np.random.default_rng([3, 1])
    drawn = [augmentation.draw(random, count, (28, 28), *limits) for _ in orders for count in (10, 10, 5)]
    images = np.load(splits.images_path("train"))
    of = batches.read_batches("train", 10, 3, augmentation.build(*limits, seed=3))
    got = [batch for _ in orders for batch in of]
    rows = [order[first : first + 10] for order in orders for first in (0, 10, 20)]
    for (batch, labels), expected, transforms in zip(got, rows, drawn, strict=True):
        changed = keras.ops.image.affine_transform(images[expected], transforms, fill_mode="constant", fill_value=0.0)
        np.testing.assert_array_equal(batch, changed)
        np.testing.assert_array_equal(labels[:, 0], expected)


def test_training_sees_each_image_once_in_each_epoch_though_keras_reads_ahead(numbered, keras):
    import tensorflow as tf

    orders = []
    for _ in range(2):
        seen: list[int] = []

        class Record(keras.layers.Layer):  # type: ignore[misc, name-defined]
            def call(self, images: object, seen: list[int] = seen) -> object:
                tf.py_function(lambda batch: seen.extend(batch[:, 0, 0, 0].numpy().astype(int).tolist()), [images], [])
                return images

        network = keras.Sequential([keras.Input((28, 28, 1)), Record(), keras.layers.Flatten(), keras.layers.Dense(10)])
        network.compile(loss="mse", steps_per_execution=2)
        network.fit(batches.read_batches("train", 10, seed=3), epochs=3, shuffle=False, verbose=0)
        orders.append(seen)
    expected = batches.read_batches("train", 10, seed=3)
    assert orders[0] == orders[1] == [*epoch(expected), *epoch(expected), *epoch(expected)]
