"""What both peers share: the parameters, the arrays, the random numbers, and the lines that they print.

It needs NumPy alone, because the peers run in an environment of their own.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROCESSED = Path("data/processed")
MODELS = Path("models")
VALIDATION_BATCH = 250  # images, as in stages/train.py
EPSILON = 1e-7  # of Adam, Keras's default


@dataclass(frozen=True)
class Recipe:
    """The parameters of `train` in params.yaml that the peers implement."""

    filters: tuple[int, ...]
    kernel_size: int
    dense_units: tuple[int, ...]
    shift: float
    label_smoothing: float
    learning_rate: float
    warmup: float
    epochs: int
    batch_size: int
    seed: int


@dataclass(frozen=True)
class Split:
    """Images float32 (n, height, width, 1), 0..1, and the class of each as a number, int64 (n,)."""

    images: np.ndarray
    labels: np.ndarray


def load(split: str) -> Split:
    """Read the arrays that preprocess has written."""
    images, labels = (np.load(PROCESSED / f"{split}_{kind}.npy") for kind in ("images", "labels"))
    return Split(images, labels.argmax(axis=1))


def steps(recipe: Recipe, images: int) -> int:
    """Return the number of steps of the training."""
    return recipe.epochs * math.ceil(images / recipe.batch_size)


def order(recipe: Recipe, count: int, epoch: int) -> list[np.ndarray]:
    """Return the rows of each batch of an epoch, int64; the last batch may be smaller."""
    rows = np.random.default_rng([recipe.seed, epoch]).permutation(count)
    return np.split(rows, range(recipe.batch_size, count, recipe.batch_size))


def shifts(recipe: Recipe, count: int, epoch: int) -> np.ndarray:
    """Return float32 (2, count): how far each image of an epoch is shifted down and to the right, in pixels."""
    drawn = np.random.default_rng([recipe.seed, epoch, 1]).uniform(-recipe.shift, recipe.shift, (2, count))
    return drawn.astype(np.float32)


def learning_rates(recipe: Recipe, count: int) -> Iterator[float]:
    """Yield the learning rate of each of `count` steps: a linear rise from 0, then half a cosine down to 0."""
    climb = int(recipe.warmup * count)
    for step in range(count):
        past = (step - climb) / (count - climb)
        yield recipe.learning_rate * (step / climb if step < climb else (1 + math.cos(math.pi * past)) / 2)


def run(
    name: str,
    recipe: Recipe,
    fit: Callable[[Split, Split], Iterator[dict[str, float]]],
    evaluate: Callable[[Split], dict[str, float]],
    save: Callable[[Path], None],
) -> None:
    """Do what stages/train.py does and print its lines; then print, as JSON, figures of the test images.

    Args:
        name: what to call the precision. fit: train on the first split and yield, for each epoch, its metrics and those
            on the second. evaluate: return the accuracy and the loss. save: write the model.
    """
    train, validation = load("train"), load("validation")
    began = time.perf_counter()
    for epoch, metrics in enumerate(fit(train, validation), start=1):
        said = ", ".join(f"{key} {value:.4f}" for key, value in sorted(metrics.items()))
        print(f"train: epoch {epoch} of {recipe.epochs}: {said}", flush=True)
    seconds = time.perf_counter() - began
    MODELS.mkdir(exist_ok=True)
    path = MODELS / "peer"
    save(path)
    images = f"{len(train.images):,} images of mnist"
    print(f"train: {recipe.epochs} epochs on {images} in {name}, {seconds:.1f} s -> {path}", flush=True)
    report(seconds, math.ceil(len(train.images) / recipe.batch_size), lambda: evaluate(load("test"))["accuracy"])


def report(fit_seconds: float, steps_an_epoch: int, test: Callable[[], float]) -> None:
    """Print what bench.peers reads, as JSON; `test` returns the accuracy on the test images."""
    began = time.perf_counter()
    figures = {"fit_seconds": fit_seconds, "steps_an_epoch": steps_an_epoch, "test_accuracy": test()}
    print(json.dumps(figures | {"test_seconds": time.perf_counter() - began}))
