"""Read the training and validation arrays; write the model, its predictions and provenance, evaluation/history.csv."""

import json
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from classifier.command import printable, run
from classifier.data import augmentation, batches, splits
from classifier.data.data_set import DataSet, read_data_set
from classifier.files import remove, save, whole_file
from classifier.model import architecture, checkpoint, keras_file, learning, predictions, runtime
from classifier.parameters import Seed, read_section
from classifier.paths import BY_KERAS, HISTORY, MODEL, PROVENANCE, SOURCE

if TYPE_CHECKING:
    import keras

MOST_PIXELS = 128  # of a side of an image, which seven poolings reduce to 1
VALIDATION_BATCH = 250  # images; larger batches would need more memory than training
FEW_STEPS = 200  # the recipes here have at least 688

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, lt=1)]


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `train` of params.yaml."""

    # `check_size` has the limits of filters, kernel_size and shift for images that are smaller.
    filters: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=7)]
    kernel_size: Annotated[int, Meta(ge=1, le=MOST_PIXELS)]
    dense_units: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=8)]
    batch_normalization: bool
    shift: Annotated[float, Meta(ge=0, lt=MOST_PIXELS // 2)]
    rotation: Annotated[float, Meta(ge=0, lt=180)]
    zoom: Share
    label_smoothing: Share
    schedule: Literal["constant", "cosine"]
    learning_rate: Annotated[float, Meta(gt=0, le=1e300)]
    warmup: Share
    epochs: Annotated[int, Meta(ge=1, le=10_000)]
    batch_size: Count
    precision: Literal["float32", "mixed_bfloat16", "auto"]
    seed: Seed


def main() -> None:
    """Train the network that params.yaml describes, and write the model, its provenance and the history."""
    modules = [Path(__file__), *sorted(checkpoint.CODE.rglob("*.py"))]
    code = list(checkpoint.digests(modules).values())  # before an edit: they name the checkpoint
    recipe = read_section("train", Parameters)
    data_set = read_data_set()
    check_size(recipe, data_set)
    images = {split: len(splits.map_split(split)[0]) for split in ("train", "validation")}
    files = [SOURCE, *(path(split) for path in (splits.images_path, splits.labels_path) for split in images)]
    with ThreadPoolExecutor() as pool:  # one processor reads the files while the other imports TensorFlow
        digests = pool.submit(checkpoint.digests, files)
        runtime.start(recipe.seed, recipe.precision)
    trained = {"parameters": msgspec.structs.asdict(recipe), "data": digests.result()}
    provenance = {"dataset": data_set.name, "images": images, **trained, **runtime.describe()}
    belongs_to = json.dumps([code, provenance])
    recipe = adapt(recipe, data_set)  # provenance has the parameters as in params.yaml
    steps = recipe.epochs * math.ceil(images["train"] / recipe.batch_size)
    if steps < FEW_STEPS:
        warn(f"{steps} training steps are few, {FEW_STEPS} are usual; raise train.epochs or lower train.batch_size")
    import tensorflow as tf  # not before runtime.start

    try:
        network = build(recipe, data_set, steps)
        began = time.perf_counter()
        history = fit(network, recipe, images, belongs_to)
        seconds = time.perf_counter() - began
        _, compared, labels = splits.map_compared()
        by_keras = predictions.join(map(network.predict_on_batch, predictions.batches(compared)))
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        remedy = "lower train.batch_size, train.filters, train.dense_units or train.kernel_size"
        raise ValueError(f"params.yaml: memory ran out; {remedy}") from error
    with whole_file(MODEL) as path:
        keras_file.save(network, path)
    with whole_file(BY_KERAS) as path, path.open("wb") as file:
        np.save(file, by_keras)
    save(PROVENANCE, json.dumps(provenance, indent=2) + "\n")
    learning.save_history(HISTORY, history)
    for path in (learning.GROWING, checkpoint.PATH):
        remove(path)
    summary = f"{recipe.epochs} epochs on {images['train']:,} images of {data_set.name} in {provenance['precision']}"
    print(f"train: {summary}, {seconds:.1f} s -> {MODEL}")
    for fault in failures(by_keras, labels, history[-1], data_set):
        warn(f"{fault}; lower train.learning_rate or raise train.epochs")


def warn(warning: str) -> None:
    """Print a warning on stderr."""
    print(f"train: warning: {warning}", file=sys.stderr, flush=True)


def adapt(recipe: Parameters, data_set: DataSet) -> Parameters:
    """Return the recipe for a data set; a stand-in is trained for as many steps as the larger one of params.yaml."""
    epochs = recipe.epochs * data_set.rounds
    if epochs > recipe.epochs:
        print(f"train: {epochs} epochs instead of {recipe.epochs}, as {data_set.name} is smaller", flush=True)
    return msgspec.structs.replace(recipe, epochs=epochs)


def check_size(recipe: Parameters, data_set: DataSet) -> None:
    """Raise ValueError if a parameter does not fit the size of the images."""
    height, width, _ = data_set.image_shape
    side = min(height, width)
    most = side.bit_length() - 1
    for name, fits, limit in (
        ("filters", len(recipe.filters) <= most, f"at most {most} numbers, because each pooling halves the image,"),
        ("kernel_size", recipe.kernel_size <= side, f"at most {side}"),
        ("shift", recipe.shift < side / 2, f"below {side / 2:g}"),
    ):
        if not fits:
            size = f"for images of {height}x{width} pixels"
            raise ValueError(f"params.yaml: train.{name} must be {limit} {size}, got {getattr(recipe, name)}")


def build(recipe: Parameters, data_set: DataSet, steps: int) -> "keras.Sequential":
    """Return the network of a recipe, compiled for this number of training steps, and print its layers."""
    layers = recipe.filters, recipe.kernel_size, recipe.dense_units, recipe.batch_normalization
    network = architecture.build(data_set, *layers)
    network.summary(line_length=80, print_fn=print)
    rate = learning.rate(recipe.schedule, float(recipe.learning_rate), recipe.warmup, steps)
    learning.prepare(network, rate, recipe.label_smoothing)
    return network


def fit(network: "keras.Model", recipe: Parameters, images: dict[str, int], belongs_to: str) -> checkpoint.History:
    """Train the network, from its checkpoint if there is one, and return the metrics of each epoch."""
    history = checkpoint.resume(network, belongs_to)
    passed = len(history)
    if passed:
        print(f"train: an interrupted training goes on after epoch {passed} of {recipe.epochs}", flush=True)
    change = augmentation.build(recipe.shift, recipe.rotation, recipe.zoom, recipe.seed, passed * images["train"])
    training = batches.read_batches("train", recipe.batch_size, recipe.seed, change, passed)
    validation = batches.read_batches("validation", VALIDATION_BATCH) if images["validation"] else None
    learning.fit(network, training, validation, recipe.epochs, history, belongs_to)
    return history


def failures(
    probabilities: np.ndarray, labels: np.ndarray, metrics: dict[str, float], data_set: DataSet
) -> Iterator[str]:
    """Say what shows that a network has learnt nothing, from some predictions and the metrics of the last epoch."""
    guessing = math.log(len(data_set.classes))  # the cross-entropy of equal probabilities, with any label smoothing
    loss = metrics.get("validation_loss", metrics["loss"])  # the latter is the mean over an epoch
    if loss > guessing:
        yield f"the loss after the last epoch, {loss:,.4f}, is above that of guessing, {guessing:.4f}"
    read = np.unique(probabilities.argmax(axis=1))
    if len(read) == 1 and len(np.unique(labels.argmax(axis=1))) > 1:
        yield f"the network reads all images as one class, {printable(data_set.classes[read[0]])}"


if __name__ == "__main__":
    run("train", main)
