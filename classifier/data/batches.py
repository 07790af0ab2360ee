"""A split batch by batch, for Keras: no more of it is in memory than the batches at work."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.data import splits

if TYPE_CHECKING:
    import tensorflow as tf

AHEAD = 2  # batches that are read while another is at work


def load(split: str, size: int, seed: int | None = None, change: Callable[..., Any] | None = None) -> "tf.data.Dataset":
    """Return the batches of a split: float32 images (size, 28, 28, 1) and labels (size, 10), the last one maybe fewer.

    With a seed, each epoch has all images in another order, the same ones for the same seed; without, they come in the
    order of the file. `change` takes the images and the labels of a batch and returns others.
    """
    import tensorflow as tf

    images, labels = splits.load(split)
    path, count = splits.images_path(split), len(images)
    random = np.random.default_rng(seed)

    def epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.arange(count) if seed is None else random.permutation(count)
        for first in range(0, count, size):
            rows = order[first : first + size]
            # Mapped anew for each batch: a page stays in memory for as long as the mapping that touched it.
            mapped = np.memmap(path, images.dtype, "r", images.offset, images.shape)
            yield mapped[rows], labels[rows]

    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in (images, labels))
    batches = tf.data.Dataset.from_generator(epoch, output_signature=signature)
    options = tf.data.Options()
    # The tuner of TensorFlow 2.21 may sleep through the end of an epoch, which then takes up to twice as long.
    options.autotune.enabled = False
    batches = batches.apply(tf.data.experimental.assert_cardinality(math.ceil(count / size)))
    if change:
        batches = batches.map(change)
    return batches.prefetch(AHEAD).with_options(options)
