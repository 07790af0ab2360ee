"""Small random changes of the training images, other ones in each epoch; the labels stay the same."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


DRAWN = 5  # random numbers for each image


def build(shift: float, rotation: float, zoom: float, seed: int, passed: int = 0) -> Callable[..., Any] | None:
    """Return a function that changes the images of batches, or None if every limit is 0; `draw` describes the limits.

    Images are float32 (batches, n, height, width, channels), before and after. Shift, rotation and zoom are one affine
    transform, so the pixels are interpolated once. The first image gets the change that follows those of `passed`
    images.
    """
    import keras
    import tensorflow as tf

    if not (shift or rotation or zoom):
        return None
    bits = np.random.PCG64([seed, 1])  # independent of the stream that orders the images
    bits.advance(DRAWN * passed)
    random = np.random.Generator(bits)

    def drawn(batches: int, count: int, height: int, width: int) -> np.ndarray:
        maps = [draw(random, count, (height, width), shift, rotation, zoom) for _ in range(batches)]
        return np.concatenate(maps)

    def change(images: "tf.Tensor", labels: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        shape = tf.shape(images)
        transforms = tf.ensure_shape(tf.numpy_function(drawn, tf.unstack(shape[:4]), tf.float32), (None, 8))
        single = tf.reshape(images, (-1, *images.shape[2:]))
        # Pixels from outside the image are background (0).
        changed = keras.ops.image.affine_transform(single, transforms, fill_mode="constant", fill_value=0.0)
        return tf.ensure_shape(tf.reshape(changed, shape), images.shape), labels

    # AutoGraph would write a temporary file to convert `if` and `for`; the function has neither.
    unconverted: Callable[..., Any] = tf.autograph.experimental.do_not_convert(change)
    return unconverted


def draw(
    random: np.random.Generator, count: int, size: tuple[int, int], shift: float, rotation: float, zoom: float
) -> np.ndarray:
    """Return float32 (count, 8): for each image the inverse affine map, from an output pixel (x, y) to an input point.

    A row has the form of `keras.ops.image.affine_transform`: a0, a1, a2, b0, b1, b2, 0, 0 for the input point
    (a0 x + a1 y + a2, b0 x + b1 y + b2), in pixels from the corner. Each value is uniform in [-limit, limit].

    Args:
        size: height and width of an image in pixels.
        shift: limit in pixels, along either axis. rotation: in degrees, around the middle. zoom: as a fraction of the
            size, along either axis.
    """
    angle = np.radians(random.uniform(-rotation, rotation, count))
    across, down = 1 + random.uniform(-zoom, zoom, (2, count))
    right, below = random.uniform(-shift, shift, (2, count))
    height, width = size
    x, y = (width - 1) / 2, (height - 1) / 2
    a0, a1 = np.cos(angle) * across, -np.sin(angle) * down
    b0, b1 = np.sin(angle) * across, np.cos(angle) * down
    a2, b2 = x - a0 * x - a1 * y + right, y - b0 * x - b1 * y + below
    zero = np.zeros(count)
    return np.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1).astype(np.float32)
