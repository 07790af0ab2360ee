"""The training settings of a network: Adam, the schedule of the learning rate, and the loss."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

SCHEDULES = ("constant", "cosine")
STEPS_PER_EXECUTION = 10  # training steps per call from Python


def rate(schedule: str, peak: float, warmup: float, steps: int) -> Any:
    """Return the learning rate for a Keras optimizer: a number, or a schedule over `steps` training steps.

    The cosine schedule rises linearly to `peak` in the first `warmup` (a fraction) of the steps, then falls to 0 along
    half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983).
    """
    import keras

    if schedule == "constant":
        return peak
    climb = int(warmup * steps)
    ends = {"initial_learning_rate": 0.0, "warmup_target": peak} if climb else {"initial_learning_rate": peak}
    return keras.optimizers.schedules.CosineDecay(decay_steps=steps - climb, warmup_steps=climb, **ends)


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
