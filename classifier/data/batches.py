"""Load a split in batches for Keras; only the batches in use are in memory."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.data import splits

if TYPE_CHECKING:
    import tensorflow as tf

AHEAD = 2  # batches to prefetch


def load(split: str, size: int, seed: int | None = None, change: Callable[..., Any] | None = None) -> "tf.data.Dataset":
    """Return the batches of a split, float32 images and one-hot labels, `size` of each; the last may be smaller.

    With a seed, the order of the images is random and new in each epoch; the same seed gives the same orders. Without a
    seed, the order is that of the file. `change` maps the images and labels of a batch to new ones.
    """
    import tensorflow as tf

    images, labels = splits.load(split)
    path, count = splits.images_path(split), len(images)
    random = np.random.default_rng(seed)

    def epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.arange(count) if seed is None else random.permutation(count)
        for first in range(0, count, size):
            rows = order[first : first + size]
            # A new mapping for each batch: pages stay in memory as long as the mapping that read them.
            mapped = np.memmap(path, images.dtype, "r", images.offset, images.shape)
            yield mapped[rows], labels[rows]

    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in (images, labels))
    batches = tf.data.Dataset.from_generator(epoch, output_signature=signature)
    options = tf.data.Options()
    # The tuner of TensorFlow 2.21 may sleep past the end of an epoch, which then takes up to twice as long.
    options.autotune.enabled = False
    batches = batches.apply(tf.data.experimental.assert_cardinality(math.ceil(count / size)))
    if change:
        batches = batches.map(change)
    return batches.prefetch(AHEAD).with_options(options)
