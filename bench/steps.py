"""Train some steps on the processed arrays and print how long one takes: the process that bench.profile looks into.

Two epochs of so many steps are trained, and the second is measured: the first builds the graph and oneDNN's kernels.
The lines BEGIN and END are around it, then comes a line of JSON: `step_milliseconds`, `batch_size`, and, unless oneDNN
is traced, `peak_gflops`.
"""

import argparse
import json
import os
import time
from typing import TYPE_CHECKING

from classifier.data import augmentation, batches, splits
from classifier.model import runtime
from classifier.running import parameters
from stages import train

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

BEGIN, END = "steps: begin", "steps: end"

MATRIX_SIDE = 2048  # three such matrices of float32 are 48 MiB, and one product is 17e9 operations
MATRIX_TIMES = 10


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.steps", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("precision", help="a Keras policy: float32, mixed_bfloat16")
    parser.add_argument("steps", type=int)
    parser.add_argument("--trace", action="store_true", help="have oneDNN print each primitive it executes")
    options = parser.parse_args()
    recipe = parameters.load("train", train.Parameters)
    wanted = options.steps * recipe.batch_size
    if (found := len(splits.load("train")[0])) < wanted:
        raise ValueError(f"{options.steps} steps take {wanted:,} images, found {found:,}")
    runtime.start(recipe.seed, options.precision)
    if options.trace:
        # start() unsets what the user's environment says of oneDNN, which reads it when first used.
        os.environ["ONEDNN_VERBOSE"] = "1"
    change = augmentation.of(recipe.shift, recipe.rotation, recipe.zoom, recipe.seed)
    seen = batches.of("train", recipe.batch_size, recipe.seed, change).take(options.steps)
    seconds = time_fit(train.build(recipe, 2 * options.steps), seen)
    told = {"step_milliseconds": seconds / options.steps * 1000, "batch_size": recipe.batch_size}
    if not options.trace:
        told["peak_gflops"] = peak_gflops("bfloat16" if "bfloat16" in options.precision else "float32")
    print(json.dumps(told), flush=True)


def time_fit(network: "keras.Sequential", training: "tf.data.Dataset") -> float:
    """Train two epochs and return the seconds of the second."""
    import keras

    moments: list[float] = []

    def mark(epoch: int, line: str) -> None:
        if epoch == 1:
            print(line, flush=True)
            moments.append(time.perf_counter())

    network.fit(
        training,
        epochs=2,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, _: mark(epoch, BEGIN), on_epoch_end=lambda epoch, _: mark(epoch, END)
            )
        ],
    )
    began, ended = moments
    return ended - began


def peak_gflops(dtype: str) -> float:
    """Return 1e9 floating-point operations a second in the best of some products of two large square matrices."""
    import tensorflow as tf

    left, right = (tf.cast(tf.random.normal((MATRIX_SIDE, MATRIX_SIDE)), dtype) for _ in range(2))
    seconds = []
    for _ in range(MATRIX_TIMES):
        began = time.perf_counter()
        tf.linalg.matmul(left, right).numpy()
        seconds.append(time.perf_counter() - began)
    return 2 * MATRIX_SIDE**3 / min(seconds) / 1e9


if __name__ == "__main__":
    main()
