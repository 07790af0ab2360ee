"""The network: convolutions with 2x2 max pooling, then dense layers, ending in a probability for each digit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages.dataset import CLASSES, IMAGE_SHAPE

if TYPE_CHECKING:
    import keras


def build(
    filters: Sequence[int], kernel_size: int, dense_units: Sequence[int], learning_rate: float
) -> "keras.Sequential":
    """Return the compiled network, its weights drawn from the global seed.

    Input: float32 (n, 28, 28, 1), 0..1. Output: float32 (n, 10), each row summing to 1.

    A convolution has kernel x kernel x channels in x filters weights and a bias a filter, a dense layer
    inputs x units weights and a bias a unit. With the notebook's sizes that makes 138,506 parameters:

        conv_1     3*3*1*32   + 32  =     320    28x28x1  -> 28x28x32, pooled to 14x14
        conv_2     3*3*32*64  + 64  =  18,496    14x14x32 -> 14x14x64, pooled to 7x7
        conv_3     3*3*64*64  + 64  =  36,928    7x7x64   -> 7x7x64,   pooled to 3x3
        dense_1    3*3*64*128 + 128 =  73,856    576 -> 128
        dense_2    128*64     + 64  =   8,256    128 -> 64
        digits     64*10      + 10  =     650    64 -> 10
    """
    import keras
    from keras import layers

    network = keras.Sequential([keras.Input(IMAGE_SHAPE, name="images")], name="cnn")
    for number, count in enumerate(filters, start=1):
        network.add(layers.Conv2D(count, kernel_size, padding="same", activation="relu", name=f"conv_{number}"))
        network.add(layers.MaxPooling2D(2, name=f"pool_{number}"))
    network.add(layers.Flatten(name="flatten"))
    for number, units in enumerate(dense_units, start=1):
        network.add(layers.Dense(units, activation="relu", name=f"dense_{number}"))
    network.add(layers.Dense(CLASSES, activation="softmax", name="digits"))
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    return network
