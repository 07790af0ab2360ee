"""Train a network: Adam, the schedule of the learning rate, the loss, and the epochs."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.files import save_csv
from classifier.model import checkpoint

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

STEPS_PER_EXECUTION = 10  # training steps per call from Python

GROWING = Path("evaluation/training.csv")  # not in Git: the history of a training that runs or was interrupted
COLUMNS = ("accuracy", "loss", "validation_accuracy", "validation_loss")


def rate(schedule: str, peak: float, warmup: float, steps: int) -> Any:
    """Return the learning rate for a Keras optimizer: a number, or a schedule over `steps` training steps.

    The cosine schedule rises linearly to `peak` in the first `warmup` (a fraction) of the steps, then falls to 0 along
    half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983).
    """
    import keras

    if schedule == "constant":
        return peak
    climb = int(warmup * steps)
    start, target = (0.0, peak) if climb else (peak, None)
    return keras.optimizers.schedules.CosineDecay(start, steps - climb, warmup_target=target, warmup_steps=climb)


def prepare(network: "keras.Model", learning_rate: Any, label_smoothing: float) -> None:
    """Compile the network with Adam on categorical cross-entropy.

    With label smoothing s, the target is (1 - s) * one_hot + s / classes (Szegedy et al. 2016, arXiv 1512.00567).
    """
    import keras

    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION,
    )
    # TensorFlow traces a step twice if the first time creates variables: those of Adam and of the metrics.
    network.optimizer.build(network.trainable_variables)
    row = keras.ops.zeros((1, *network.output_shape[1:]))
    network.compute_metrics(None, row, row)  # `fit` begins each epoch with reset metrics


def fit(
    network: "keras.Model",
    training: "tf.data.Dataset",
    validation: "tf.data.Dataset | None",
    epochs: int,
    history: checkpoint.History,
    belongs_to: str,
) -> None:
    """Train `network` for the epochs that `history` lacks. After each, append its metrics and keep a checkpoint.

    Args:
        training: batches of images and labels, in a new order in each epoch. validation: batches to evaluate then.
        belongs_to: all that the weights depend on.

    Raises:
        ValueError: the loss is not a finite number.
    """
    import keras

    on_terminal = sys.stdout.isatty()

    def end_epoch(epoch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            raise ValueError(f"the loss is {logs['loss']} after epoch {epoch + 1}; lower train.learning_rate")
        # Keras abbreviates the prefix.
        history.append({key.replace("val_", "validation_"): float(value) for key, value in logs.items()})
        try:
            save_history(GROWING, history)
            checkpoint.save(network, history, belongs_to)
        except OSError as error:
            print(f"train: warning: {error}", file=sys.stderr)
        if not on_terminal:
            metrics = ", ".join(f"{key} {value:.4f}" for key, value in sorted(history[-1].items()))
            print(f"train: epoch {epoch + 1} of {epochs}: {metrics}", flush=True)

    network.fit(
        training,
        initial_epoch=len(history),
        epochs=epochs,
        validation_data=validation,
        shuffle=False,  # the images are shuffled already
        verbose=1 if on_terminal else 0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)],
    )


def save_history(path: Path, history: checkpoint.History) -> None:
    """Write a row for each epoch."""
    # Without validation images their columns are empty but present, so that `dvc plots` draws the others.
    rows = ([epoch, *(metrics.get(column, "") for column in COLUMNS)] for epoch, metrics in enumerate(history, start=1))
    save_csv(path, ["epoch", *COLUMNS], rows)
