"""Read the training and validation arrays and write the model, its provenance and evaluation/history.csv."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import augmentation, cnn, dataset, keras_archive, parameters, runtime, source, table
from stages.command import run
from stages.whole_file import whole_file

if TYPE_CHECKING:
    import keras

MODEL = Path("models/model.keras")
PROVENANCE = Path("models/provenance.json")
HISTORY = Path("evaluation/history.csv")

STEPS_PER_EXECUTION = 10  # between two of which Python looks at how it goes; one by one takes about 6 % longer


@dataclass(frozen=True)
class Parameters:
    """The section `train` of params.yaml."""

    # Four poolings leave one of 28 pixels; a fifth leaves none.
    filters: tuple[int, ...] = parameters.whole_numbers(at_least=1, most_entries=4)
    kernel_size: int = parameters.whole_number(at_least=1)
    dense_units: tuple[int, ...] = parameters.whole_numbers(at_least=1, most_entries=8)
    batch_normalization: bool = parameters.truth()
    shift: float = parameters.number(at_least=0, below=14)  # half an image
    rotation: float = parameters.number(at_least=0, below=180)
    zoom: float = parameters.number(at_least=0, below=1)
    schedule: str = parameters.choice(of=["constant", "cosine"])
    learning_rate: float = parameters.number(above=0)
    warmup: float = parameters.number(at_least=0, below=1)
    epochs: int = parameters.whole_number(at_least=1)
    batch_size: int = parameters.whole_number(at_least=1)
    precision: str = parameters.choice(of=runtime.PRECISIONS)
    seed: int = parameters.whole_number(at_least=0, at_most=2**32 - 1)  # NumPy's range


def main() -> None:
    """Train the network that params.yaml describes and write it with its history and where it comes from."""
    recipe = parameters.load("train", Parameters)
    images, labels = dataset.load("train")
    validation = dataset.load("validation")
    name = source.load().dataset
    runtime.start(recipe.seed, recipe.precision)
    network = cnn.build(
        recipe.filters,
        recipe.kernel_size,
        recipe.dense_units,
        recipe.batch_normalization,
        augmentation.layers(recipe.shift, recipe.rotation, recipe.zoom),
    )
    prepare(network, recipe, steps=recipe.epochs * math.ceil(len(images) / recipe.batch_size))
    network.summary(line_length=80, print_fn=print)
    history = fit(network, images, labels, validation, recipe.epochs, recipe.batch_size)
    with whole_file(MODEL) as path:
        keras_archive.save(network, path)
    with whole_file(PROVENANCE) as path:
        provenance = {
            "dataset": name,
            "images": {"train": len(images), "validation": len(validation[0])},
            **runtime.describe(),
        }
        path.write_text(json.dumps(provenance, indent=2) + "\n")
    columns = sorted(history[0])
    rows = ([epoch, *(metrics[column] for column in columns)] for epoch, metrics in enumerate(history, start=1))
    table.save(HISTORY, ["epoch", *columns], rows)
    print(f"train: {recipe.epochs} epochs on {len(images):,} images of {name} -> {MODEL}")


def prepare(network: "keras.Model", recipe: Parameters, steps: int) -> None:
    """Give the network what it learns by: Adam, its learning rate over all `steps` of the training, and its loss.

    A schedule of `cosine` climbs in a straight line to the learning rate, and falls back to 0 as half a cosine does
    (Loshchilov and Hutter 2017, arXiv 1608.03983).
    """
    import keras

    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        climb = int(recipe.warmup * steps)
        ends = {"initial_learning_rate": 0.0, "warmup_target": rate} if climb else {"initial_learning_rate": rate}
        rate = keras.optimizers.schedules.CosineDecay(decay_steps=steps - climb, warmup_steps=climb, **ends)
    network.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION,
    )


def fit(
    network: "keras.Model", images: Any, labels: Any, validation: tuple[Any, Any], epochs: int, batch_size: int
) -> list[dict[str, float]]:
    """Train in place and return each epoch's metrics, in order; those of validation begin with `validation_`.

    Args:
        images: float32 (n, 28, 28, 1), 0..1, reshuffled every epoch. labels: float32 (n, 10), one-hot.
        validation: images and labels of the same form, which nothing is learnt from; there may be none.

    Raises:
        ValueError: the loss stopped being a number.
    """
    import keras

    def report(epoch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            raise ValueError(f"the loss is {logs['loss']} after epoch {epoch + 1}; try a lower train.learning_rate")
        if not watched:
            told = ", ".join(f"{_named(key)} {value:.4f}" for key, value in sorted(logs.items()))
            print(f"train: epoch {epoch + 1} of {epochs}: {told}", flush=True)

    watched = sys.stdout.isatty()
    history = network.fit(
        images,
        labels,
        epochs=epochs,
        batch_size=batch_size,
        validation_data=validation if len(validation[0]) else None,
        validation_batch_size=1000,  # no gradients, so larger batches fit
        verbose=1 if watched else 0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=report)],
    ).history
    return [{_named(key): values[epoch] for key, values in history.items()} for epoch in range(epochs)]


def _named(metric: str) -> str:
    return metric.replace("val_", "validation_")  # the field's word, and this project's, for Keras's


if __name__ == "__main__":
    run("train", main)
