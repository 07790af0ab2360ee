"""Read the training and validation arrays; write the model, its provenance and evaluation/history.csv."""

import json
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from classifier.command import run
from classifier.data import augmentation, batches, splits
from classifier.data.data_set import DataSet, read_data_set
from classifier.files import save_csv, whole_file
from classifier.model import architecture, checkpoint, keras_file, learning, memory, runtime
from classifier.parameters import Seed, read_section
from classifier.paths import HISTORY, MODEL, PROVENANCE, SOURCE

if TYPE_CHECKING:
    import keras

GROWING = Path("evaluation/training.csv")  # not in Git: the history of a training that runs or was interrupted

SPLITS = ("train", "validation")

COLUMNS = ("accuracy", "loss", "validation_accuracy", "validation_loss")

MOST_PIXELS = 128  # of a side of an image, which seven poolings reduce to 1

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, lt=1)]

VALIDATION_BATCH = 250  # images; larger batches would need more memory than training


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
    recipe = read_section("train", Parameters)
    data_set = read_data_set()
    check_size(recipe, data_set)
    images = {split: len(splits.map_split(split)[0]) for split in SPLITS}
    step = min(recipe.batch_size, images["train"])
    memory.check(data_set, recipe.filters, recipe.kernel_size, recipe.dense_units, step, memory.available())
    with ThreadPoolExecutor() as pool:  # one processor reads the files while the other imports TensorFlow
        digest = pool.submit(checkpoint.digest, Path(__file__), inputs())
        runtime.start(recipe.seed, recipe.precision)
    provenance = {"dataset": data_set.name, "images": images, **runtime.describe()}
    with checkpoint.reserve([msgspec.structs.asdict(recipe), digest.result(), provenance]) as kept:
        with memory.refuse_if_it_runs_out():
            network = build(recipe, data_set, steps=recipe.epochs * math.ceil(images["train"] / recipe.batch_size))
            network.summary(line_length=80, print_fn=print)
            began = time.perf_counter()
            history = fit(network, recipe, images, kept)
        seconds = time.perf_counter() - began
        with whole_file(MODEL) as path:
            keras_file.save(network, path)
        with whole_file(PROVENANCE) as path:
            path.write_text(json.dumps(provenance, indent=2) + "\n")
        save_history(HISTORY, history)
        GROWING.unlink(missing_ok=True)
    summary = f"{recipe.epochs} epochs on {images['train']:,} images of {data_set.name} in {provenance['precision']}"
    print(f"train: {summary}, {seconds:.1f} s -> {MODEL}")


def inputs() -> list[Path]:
    """Return the files that the stage reads."""
    return [SOURCE, *(path(split) for path in (splits.images_path, splits.labels_path) for split in SPLITS)]


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


def build(recipe: Parameters, data_set: DataSet, steps: int) -> "keras.Sequential":
    """Return the network of a recipe, compiled for this number of training steps."""
    network = architecture.build(
        data_set, recipe.filters, recipe.kernel_size, recipe.dense_units, recipe.batch_normalization
    )
    rate = learning.rate(recipe.schedule, float(recipe.learning_rate), recipe.warmup, steps)
    learning.prepare(network, rate, recipe.label_smoothing)
    return network


def fit(network: "keras.Model", recipe: Parameters, images: dict[str, int], kept: Path | None) -> checkpoint.History:
    """Train the network, from its checkpoint if there is one, and return the metrics of each epoch.

    Args:
        images: number of images in each split. kept: path of the checkpoint; None: keep none.
    """
    history = checkpoint.load(kept, network) if kept else []
    passed = len(history)
    if passed:
        print(f"train: an interrupted training goes on after epoch {passed} of {recipe.epochs}", flush=True)

    def ended() -> None:
        try:
            save_history(GROWING, history)
            if kept and history:
                checkpoint.save(kept, network, history)
        except OSError as error:
            print(f"train: warning: {error}", file=sys.stderr)

    ended()
    change = augmentation.build(recipe.shift, recipe.rotation, recipe.zoom, recipe.seed, passed * images["train"])
    training = batches.read_batches("train", recipe.batch_size, recipe.seed, change, passed)
    validation = batches.read_batches("validation", VALIDATION_BATCH) if images["validation"] else None
    learning.fit(network, training, validation, recipe.epochs, history, ended)
    return history


def save_history(path: Path, history: checkpoint.History) -> None:
    """Write a row for each epoch."""
    # Without validation images their columns are empty but present, so that `dvc plots` draws the others.
    rows = ([epoch, *(metrics.get(column, "") for column in COLUMNS)] for epoch, metrics in enumerate(history, start=1))
    save_csv(path, ["epoch", *COLUMNS], rows)


if __name__ == "__main__":
    run("train", main)
