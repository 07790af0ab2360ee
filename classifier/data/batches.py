"""Read a split in batches for Keras; of a large file, only the images in use are in memory."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.data import splits

if TYPE_CHECKING:
    import tensorflow as tf

AHEAD = 2  # batches to prefetch

# Bytes of images to read at once. Larger blocks take less time for each image, but while a block is read, each of its
# images brings up to 64 KiB of the file into memory.
BLOCK = 8 * 2**20

KEPT = 256 * 2**20  # bytes; a file of up to this size stays in memory, because its pages take time to map


def read_batches(
    split: str, size: int, seed: int | None = None, change: Callable[..., Any] | None = None, passed: int = 0
) -> "tf.data.Dataset":
    """Return the batches of a split, float32 images and one-hot labels, `size` of each; the last may be smaller.

    With a seed, the order of the images is random and new in each epoch; the same seed gives the same orders. The first
    order is that after `passed` epochs. Without a seed, the order is that of the file. `change` maps the images and
    labels of several batches, (batches, n, ...), to new ones.
    """
    import tensorflow as tf

    images, labels = splits.map_split(split)
    path, count = splits.images_path(split), len(images)
    random = np.random.default_rng(seed)
    for _ in range(passed):
        random.permutation(count)
    block = max(1, BLOCK // (size * math.prod(images.shape[1:]) * images.itemsize)) * size
    whole = count - count % size  # a smaller last batch is a block of its own
    ends = [*range(0, whole, block), whole, count]

    def epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.arange(count) if seed is None else random.permutation(count)
        for rows in filter(len, (order[first:end] for first, end in pairwise(ends))):
            # Pages stay in memory as long as the mapping that read them.
            again = images.nbytes > KEPT
            mapped = np.memmap(path, images.dtype, "r", images.offset, images.shape) if again else images
            number = min(size, len(rows))
            yield (
                mapped[rows].reshape(-1, number, *images.shape[1:]),
                labels[rows].reshape(-1, number, *labels.shape[1:]),
            )

    signature = tuple(tf.TensorSpec((None, None, *array.shape[1:]), array.dtype) for array in (images, labels))
    batches = tf.data.Dataset.from_generator(epoch, output_signature=signature)
    if change:
        batches = batches.map(change)
    batches = batches.prefetch(1).unbatch()
    batches = batches.apply(tf.data.experimental.assert_cardinality(math.ceil(count / size)))
    options = tf.data.Options()
    # The tuner of TensorFlow 2.21 may sleep past the end of an epoch, which then takes up to twice as long.
    options.autotune.enabled = False
    return batches.prefetch(AHEAD).with_options(options)
