"""The network: convolutions with 2x2 max pooling, then dense layers, the last with a probability for each class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from classifier.data.data_set import DataSet

if TYPE_CHECKING:
    import keras

MOMENTUM = 0.9  # of the moving mean and variance; Keras's default, 0.99, is too slow for a few hundred steps


def build(
    data_set: DataSet,
    filters: Sequence[int],
    kernel_size: int,
    dense_units: Sequence[int],
    batch_normalization: bool = False,
) -> "keras.Sequential":
    """Return the network; its weights follow from Keras's global seed, its precision from the global policy.

    Input: float32 (n, height, width, channels), 0..1. Output: float32 (n, classes), each row summing to 1.

    Batch normalization (Ioffe and Szegedy 2015, arXiv 1502.03167) replaces the biases of a convolution by
    four numbers for each filter, of which two are trained.
    """
    import keras
    from keras import layers

    network = keras.Sequential([keras.Input(data_set.image_shape, name="images")], name="cnn")
    for number, count in enumerate(filters, start=1):
        network.add(
            layers.Conv2D(count, kernel_size, padding="same", use_bias=not batch_normalization, name=f"conv_{number}")
        )
        # Pooling before ReLU gives the same values as after it, with a quarter of the work for ReLU.
        network.add(layers.MaxPooling2D(2, name=f"pool_{number}"))
        if batch_normalization:
            network.add(layers.BatchNormalization(momentum=MOMENTUM, name=f"norm_{number}"))
        network.add(layers.ReLU(name=f"relu_{number}"))
    network.add(layers.Flatten(name="flatten"))
    for number, units in enumerate(dense_units, start=1):
        network.add(layers.Dense(units, activation="relu", name=f"dense_{number}"))
    probabilities = layers.Dense(len(data_set.classes), activation="softmax", dtype="float32", name=data_set.noun)
    network.add(probabilities)  # in float32 at any precision
    return network
