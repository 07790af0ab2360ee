"""Measure the peak of the processors; count the floating-point operations of a training step, to compare with it.

    python -m bench.peak

The peak is the best of some products of two large matrices, by TensorFlow with the settings of the stages. The last
line is JSON: 1e9 floating-point operations a second in each precision.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from classifier.model import runtime

SIDE = 2048  # rows and columns; a product is 17e9 operations, and three matrices of float32 are 48 MiB
TIMES = 20

PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    """Measure and print."""
    runtime.start(seed=0)
    print(json.dumps({precision: best_product(precision) for precision in PRECISIONS}))


def best_product(precision: str) -> float:
    """Return 1e9 floating-point operations a second in the fastest product."""
    import tensorflow as tf

    left, right = (tf.cast(tf.random.normal((SIDE, SIDE)), precision) for _ in range(2))
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        tf.linalg.matmul(left, right).numpy()
        seconds.append(time.perf_counter() - began)
    return float(2 * SIDE**3 / min(seconds) / 1e9)


def training_operations(image_shape: Sequence[int], classes: int, recipe: Mapping[str, Any]) -> int:
    """Return the floating-point operations of a training step for each image in it.

    The two gradients of a layer, of its weights and of its input, make as many operations each as the forward pass, so
    a step makes three times those of the forward pass. The first convolution needs no gradient of its input, but it is
    counted, which is 1.3% too much for the notebook's network.

    Args:
        image_shape: height, width, channels. recipe: the parameters by dotted key.
    """
    units = [*recipe["train.dense_units"], classes]
    return 3 * forward_operations(image_shape, recipe["train.filters"], recipe["train.kernel_size"], units)


def forward_operations(
    image_shape: Sequence[int], filters: Sequence[int], kernel_size: int, units: Sequence[int]
) -> int:
    """Return the floating-point operations of the convolutions and dense layers for one image.

    For each output, a convolution multiplies and adds kernel_size**2 x input channels numbers, the zeros of the padding
    among them, and a dense layer all its inputs. Biases, pooling, activations and batch normalization are not counted.

    Args:
        units: of each dense layer, the last included.
    """
    height, width, channels = image_shape
    products = 0
    for count in filters:
        products += height * width * count * kernel_size**2 * channels
        height, width, channels = height // 2, width // 2, count  # pooled
    inputs = height * width * channels
    for outputs in units:
        products += inputs * outputs
        inputs = outputs
    return 2 * products


if __name__ == "__main__":
    main()
