"""Small random changes of the training images, drawn anew each time one is seen; the digit stays what it is."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.data.splits import IMAGE_SHAPE

if TYPE_CHECKING:
    import tensorflow as tf


def build(shift: float, rotation: float, zoom: float, seed: int) -> Callable[..., Any] | None:
    """Return what changes the images of a batch and keeps its labels, or None where every limit is 0; see `draw`.

    Images are float32 (n, 28, 28, 1), before and after. The three changes are made as one, so that their pixels are
    interpolated once.
    """
    import keras
    import tensorflow as tf

    if not (shift or rotation or zoom):
        return None
    random = np.random.default_rng([seed, 1])  # another stream of numbers than that of the images' order

    def change(images: "tf.Tensor", labels: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        drawn = tf.numpy_function(
            lambda count: draw(random, count, shift, rotation, zoom), [tf.shape(images)[0]], tf.float32
        )
        transforms = tf.ensure_shape(drawn, (None, 8))
        # What comes in from outside the image is paper.
        return keras.ops.image.affine_transform(images, transforms, fill_mode="constant", fill_value=0.0), labels

    # To turn `if` and `for`, of which there are none, into a graph, AutoGraph would write a file.
    as_it_is: Callable[..., Any] = tf.autograph.experimental.do_not_convert(change)
    return as_it_is


def draw(random: np.random.Generator, count: int, shift: float, rotation: float, zoom: float) -> np.ndarray:
    """Return float32 (count, 8): for each image, which of its points comes to be at x, y (in pixels, from the corner).

    A row is what `keras.ops.image.affine_transform` takes: a0, a1, a2, b0, b1, b2, 0, 0 for the point
    (a0 x + a1 y + a2, b0 x + b1 y + b2). All that it is made of is drawn uniformly between a limit and its opposite.

    Args:
        shift: limit in pixels, along either axis. rotation: in degrees, around the middle. zoom: as a fraction of the
            size, along either axis.
    """
    angle = np.radians(random.uniform(-rotation, rotation, count))
    across, down = 1 + random.uniform(-zoom, zoom, (2, count))
    right, below = random.uniform(-shift, shift, (2, count))
    height, width, _ = IMAGE_SHAPE
    x, y = (width - 1) / 2, (height - 1) / 2
    a0, a1 = np.cos(angle) * across, -np.sin(angle) * down
    b0, b1 = np.sin(angle) * across, np.cos(angle) * down
    a2, b2 = x - a0 * x - a1 * y + right, y - b0 * x - b1 * y + below
    zero = np.zeros(count)
    return np.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1).astype(np.float32)
