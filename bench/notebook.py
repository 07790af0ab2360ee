"""The notebook as a plain script, to compare the pipeline's times with.

    python -m bench.notebook /path/to/mnist.npz

It reads mnist.npz, overrides no settings and writes no file. It differs from the notebook in one way: it reads the
archive from a path, because `keras.datasets.mnist.load_data()` would download it. The last line is JSON: `parameters`,
`test_accuracy` (0 to 1) and `test_loss` (nats).
"""

import json
import sys
from typing import Any

import keras
import numpy as np
from keras import layers

EPOCHS = 5
BATCH_SIZE = 100


def main() -> None:
    """Load the arrays, train and evaluate the network, and print the figures."""
    with np.load(sys.argv[1]) as archive:
        x_train, y_train, x_test, y_test = (archive[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x_train = x_train.reshape((len(x_train), 28, 28, 1)).astype("float32") / 255
    x_test = x_test.reshape((len(x_test), 28, 28, 1)).astype("float32") / 255
    y_train = keras.utils.to_categorical(y_train)
    y_test = keras.utils.to_categorical(y_test)
    model = build()
    model.summary()
    model.fit(x_train, y_train, epochs=EPOCHS, batch_size=BATCH_SIZE)
    test_loss, test_accuracy = model.evaluate(x_test, y_test)
    print(json.dumps({"parameters": model.count_params(), "test_accuracy": test_accuracy, "test_loss": test_loss}))


def build() -> Any:
    """Return the notebook's compiled network: float32 (n, 28, 28, 1) in, probabilities (n, 10) out."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), padding="same", activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), padding="same", activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), padding="same", activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    main()
