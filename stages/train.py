"""Read the training and validation arrays; write the model, its provenance and evaluation/history.csv."""

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from classifier.data import augmentation, batches, delivered, splits
from classifier.data.description import DataSet
from classifier.files import table
from classifier.files.paths import HISTORY, MODEL, PROVENANCE
from classifier.files.whole_file import whole_file
from classifier.model import architecture, keras_file, learning, runtime
from classifier.running import parameters
from classifier.running.command import run

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


COLUMNS = ("accuracy", "loss", "validation_accuracy", "validation_loss")

# The memory limit of a container in version 2 and 1 of control groups; other systems have neither file.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

MOST_PIXELS = 128  # of a side of an image, which seven poolings reduce to 1

REMEDY = "lower train.batch_size, train.filters, train.dense_units or train.kernel_size"

VALIDATION_BATCH = 250  # images; larger batches would need more memory than training


@dataclass(frozen=True)
class Parameters:
    """The section `train` of params.yaml."""

    # `check_size` has the limits of filters, kernel_size and shift for images that are smaller.
    filters: tuple[int, ...] = parameters.whole_numbers(at_least=1, most_entries=7)
    kernel_size: int = parameters.whole_number(at_least=1, at_most=MOST_PIXELS)
    dense_units: tuple[int, ...] = parameters.whole_numbers(at_least=1, most_entries=8)
    batch_normalization: bool = parameters.truth()
    shift: float = parameters.number(at_least=0, below=MOST_PIXELS / 2)
    rotation: float = parameters.number(at_least=0, below=180)
    zoom: float = parameters.number(at_least=0, below=1)
    label_smoothing: float = parameters.number(at_least=0, below=1)
    schedule: str = parameters.choice(of=learning.SCHEDULES)
    learning_rate: float = parameters.number(above=0)
    warmup: float = parameters.number(at_least=0, below=1)
    epochs: int = parameters.whole_number(at_least=1, at_most=10_000)
    batch_size: int = parameters.whole_number(at_least=1)
    precision: str = parameters.choice(of=runtime.PRECISIONS)
    seed: int = parameters.whole_number(at_least=0, at_most=2**32 - 1)  # NumPy's range


def main() -> None:
    """Train the network that params.yaml describes, and write the model, its provenance and the history."""
    recipe = parameters.load("train", Parameters)
    data_set = delivered.load().data_set
    check_size(recipe, data_set)
    images = {split: len(splits.load(split)[0]) for split in ("train", "validation")}
    check_memory(recipe, data_set, images["train"], memory())
    runtime.start(recipe.seed, recipe.precision)
    with _refuse_if_memory_runs_out():
        network = build(recipe, data_set, steps=recipe.epochs * math.ceil(images["train"] / recipe.batch_size))
        network.summary(line_length=80, print_fn=print)
        change = augmentation.build(recipe.shift, recipe.rotation, recipe.zoom, recipe.seed)
        began = time.perf_counter()
        history = fit(
            network,
            batches.load("train", recipe.batch_size, recipe.seed, change),
            batches.load("validation", VALIDATION_BATCH) if images["validation"] else None,
            recipe.epochs,
        )
    seconds = time.perf_counter() - began
    with whole_file(MODEL) as path:
        keras_file.save(network, path)
    with whole_file(PROVENANCE) as path:
        provenance = {"dataset": data_set.name, "images": images, **runtime.describe()}
        path.write_text(json.dumps(provenance, indent=2) + "\n")
    # Without validation images their columns are empty but present, so that `dvc plots` draws the others.
    rows = ([epoch, *(metrics.get(column, "") for column in COLUMNS)] for epoch, metrics in enumerate(history, start=1))
    table.save(HISTORY, ["epoch", *COLUMNS], rows)
    summary = f"{recipe.epochs} epochs on {images['train']:,} images of {data_set.name} in {provenance['precision']}"
    print(f"train: {summary}, {seconds:.1f} s -> {MODEL}")


def check_size(recipe: Parameters, data_set: DataSet) -> None:
    """Raise ValueError if a parameter does not fit the size of the images."""
    height, width, _ = data_set.image_shape
    side, images = min(height, width), f"for images of {height}x{width} pixels"
    if len(recipe.filters) > (most := side.bit_length() - 1):
        counts = f"at most {most} numbers {images}, because each pooling halves them, got {len(recipe.filters)}"
        raise ValueError(f"params.yaml: train.filters must have {counts}")
    if recipe.kernel_size > side:
        raise ValueError(f"params.yaml: train.kernel_size must be at most {side} {images}, got {recipe.kernel_size}")
    if recipe.shift >= side / 2:
        raise ValueError(f"params.yaml: train.shift must be below {side / 2:g} {images}, got {recipe.shift:g}")


def check_memory(recipe: Parameters, data_set: DataSet, images: int, available: int) -> None:
    """Refuse parameters with which a training step would need more than half of the memory.

    A step stores four float32 numbers for each weight (value, gradient, two moments of Adam), and for each image two
    for each output of a layer (value, gradient). Measured use, with buffers, is 1.3 to 2.6 times that.

    Args:
        images: number of training images. available: memory in bytes.

    Raises:
        ValueError: a step would need more.
    """
    weights, outputs = architecture.size(data_set, recipe.filters, recipe.kernel_size, recipe.dense_units)
    needed = 4 * (4 * weights + 2 * outputs * min(recipe.batch_size, images))
    if needed > available // 2:
        size = f"about {needed / 2**30:,.1f} GiB" if needed < 2**60 else "over 1,000,000,000 GiB"
        raise ValueError(
            f"params.yaml: a training step needs {size}, more than half of the {available / 2**30:,.1f} GiB of "
            f"memory here; {REMEDY}"
        )


def memory() -> int:
    """Return the bytes of memory that this process may use: those of the machine or, if less, of its container."""
    limits = [int(text) for path in LIMITS if path.exists() and (text := path.read_text().strip()).isdigit()]
    return min([psutil.virtual_memory().total, *limits])


@contextmanager
def _refuse_if_memory_runs_out() -> Iterator[None]:
    import tensorflow as tf

    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise ValueError(f"params.yaml: memory ran out; {REMEDY}") from error


def build(recipe: Parameters, data_set: DataSet, steps: int) -> "keras.Sequential":
    """Return the network of a recipe, compiled for this number of training steps."""
    network = architecture.build(
        data_set, recipe.filters, recipe.kernel_size, recipe.dense_units, recipe.batch_normalization
    )
    rate = learning.rate(recipe.schedule, float(recipe.learning_rate), recipe.warmup, steps)
    learning.prepare(network, rate, recipe.label_smoothing)
    return network


def fit(
    network: "keras.Model",
    training: "tf.data.Dataset",
    validation: "tf.data.Dataset | None",
    epochs: int,
) -> list[dict[str, float]]:
    """Train `network` and return the metrics of each epoch; those of the validation images begin with `validation_`.

    Args:
        training: batches of images and labels, in a new order in each epoch.
        validation: batches to evaluate after each epoch, or None.

    Raises:
        ValueError: the loss is not a finite number.
    """
    import keras

    def report(epoch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            raise ValueError(f"the loss is {logs['loss']} after epoch {epoch + 1}; lower train.learning_rate")
        if not on_terminal:
            metrics = ", ".join(f"{_write_out(key)} {value:.4f}" for key, value in sorted(logs.items()))
            print(f"train: epoch {epoch + 1} of {epochs}: {metrics}", flush=True)

    on_terminal = sys.stdout.isatty()
    history = network.fit(
        training,
        epochs=epochs,
        validation_data=validation,
        shuffle=False,  # the images are shuffled already
        verbose=1 if on_terminal else 0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=report)],
    ).history
    return [{_write_out(key): values[epoch] for key, values in history.items()} for epoch in range(epochs)]


def _write_out(metric: str) -> str:
    return metric.replace("val_", "validation_")  # the prefix that Keras abbreviates


if __name__ == "__main__":
    run("train", main)
