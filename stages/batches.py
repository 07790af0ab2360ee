"""A split batch by batch, for Keras: no more of it is in memory than the batches at work."""

import math
from typing import TYPE_CHECKING

import numpy as np

from stages import dataset

if TYPE_CHECKING:
    import keras


def of(split: str, size: int, seed: int | None = None) -> "keras.utils.PyDataset":
    """Return the batches of a split: float32 images (size, 28, 28, 1) and labels (size, 10), the last one maybe fewer.

    With a seed, each epoch has all images in another order, the same ones for the same seed; without, they come in the
    order of the file.
    """
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            images, _ = dataset.load(split)
            self.order = np.arange(len(images))
            self.random = np.random.default_rng(seed)

        def __len__(self) -> int:
            return math.ceil(len(self.order) / size)

        def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
            # Mapped anew for each batch: a page stays in memory for as long as the mapping that touched it.
            images, labels = dataset.load(split)
            rows = self.order[number * size : (number + 1) * size]
            return images[rows], labels[rows]

        def on_epoch_begin(self) -> None:
            if seed is not None:
                self.order = self.random.permutation(len(self.order))

    return Batches()
