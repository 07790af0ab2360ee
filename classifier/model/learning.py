"""What a network learns by: Adam, its learning rate from the first step to the last, and the loss."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

SCHEDULES = ("constant", "cosine")
STEPS_PER_EXECUTION = 10  # between two of which Keras is back in Python, to look at how it goes


def rate(schedule: str, peak: float, warmup: float, steps: int) -> Any:
    """Return the learning rate as Keras's optimizers take it: a number, or one for each of `steps`.

    A cosine schedule climbs to the peak in a straight line, in the share `warmup` of all steps, and falls back to 0 as
    half a cosine does (Loshchilov and Hutter 2017, arXiv 1608.03983).
    """
    import keras

    if schedule == "constant":
        return peak
    climb = int(warmup * steps)
    ends = {"initial_learning_rate": 0.0, "warmup_target": peak} if climb else {"initial_learning_rate": peak}
    return keras.optimizers.schedules.CosineDecay(decay_steps=steps - climb, warmup_steps=climb, **ends)


def prepare(network: "keras.Model", learning_rate: Any, label_smoothing: float) -> None:
    """Compile the network with Adam on categorical cross-entropy.

    Label smoothing wants the digit itself with 1 less that share, which all ten divide among them (Szegedy et al. 2016,
    arXiv 1512.00567).
    """
    import keras

    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION,
    )
