"""Train the MNIST example of Flax: its network and settings, on data/raw/mnist.npz.

    python -m bench.peers.flax_example SEED

Written anew after examples/mnist of github.com/google/flax (Apache-2.0). What differs: the images come from the archive
of this project, as arrays in memory, instead of TensorFlow Datasets; they are shuffled as a whole, not in a buffer of
1,024; all 10,000 test images count, not the first 9,984; nothing is written for TensorBoard, and no SavedModel.
"""

import sys
import time

import jax
import numpy as np
import optax
from flax import nnx

from bench.peers.recipe import report

EPOCHS, BATCH = 10, 128
LEARNING_RATE, MOMENTUM = 0.1, 0.9


class Network(nnx.Module):
    """Two convolutions with batch normalization and average pooling, two dense layers, and a little dropout."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv1, self.conv2 = nnx.Conv(1, 32, (3, 3), rngs=rngs), nnx.Conv(32, 64, (3, 3), rngs=rngs)
        self.norm1, self.norm2 = nnx.BatchNorm(32, rngs=rngs), nnx.BatchNorm(64, rngs=rngs)
        self.dropout1, self.dropout2 = nnx.Dropout(0.025), nnx.Dropout(0.025)
        self.dense1, self.dense2 = nnx.Linear(3136, 256, rngs=rngs), nnx.Linear(256, 10, rngs=rngs)

    def __call__(self, images: jax.Array, rngs: nnx.Rngs | None) -> jax.Array:
        found = nnx.relu(self.norm1(self.dropout1(self.conv1(images), rngs=rngs)))
        found = nnx.avg_pool(found, (2, 2), (2, 2))
        found = nnx.avg_pool(nnx.relu(self.norm2(self.conv2(found))), (2, 2), (2, 2))
        found = nnx.relu(self.dropout2(self.dense1(found.reshape(len(found), -1)), rngs=rngs))
        return self.dense2(found)


def loss_of(
    network: Network, images: jax.Array, labels: jax.Array, rngs: nnx.Rngs | None
) -> tuple[jax.Array, jax.Array]:
    """Return the mean loss and the logits of a batch."""
    logits = network(images, rngs)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits


@nnx.jit
def step(
    network: Network, sgd: nnx.Optimizer, metrics: nnx.MultiMetric, images: jax.Array, labels: jax.Array, rngs: nnx.Rngs
) -> None:
    """Change the network, the optimizer and the metrics by a batch."""
    (loss, logits), gradient = nnx.value_and_grad(loss_of, has_aux=True)(network, images, labels, rngs)
    metrics.update(loss=loss, logits=logits, labels=labels)
    sgd.update(network, gradient)


@nnx.jit
def test_step(network: Network, metrics: nnx.MultiMetric, images: jax.Array, labels: jax.Array) -> None:
    """Add a batch to the metrics."""
    loss, logits = loss_of(network, images, labels, None)
    metrics.update(loss=loss, logits=logits, labels=labels)


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images float32 (n, 28, 28, 1), 0..1, and labels int32 (n,)."""
    with np.load("data/raw/mnist.npz") as archive:
        images, labels = archive[f"x_{split}"], archive[f"y_{split}"]
    return images[..., None].astype(np.float32) / 255, labels.astype(np.int32)


def main() -> None:
    """Train and test."""
    seed = int(sys.argv[1])
    images, labels = load("train")
    test_images, test_labels = load("test")
    random, rngs = np.random.default_rng(seed), nnx.Rngs(seed)
    network = Network(nnx.Rngs(seed))
    sgd = nnx.Optimizer(network, optax.sgd(LEARNING_RATE, MOMENTUM), wrt=nnx.Param)
    metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
    steps = len(images) // BATCH  # a smaller last batch is left out
    began = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        network.train()
        for rows in random.permutation(len(images))[: steps * BATCH].reshape(steps, BATCH):
            step(network, sgd, metrics, images[rows], labels[rows], rngs)
        metrics.reset()
        network.eval()
        for first in range(0, len(test_images), BATCH):
            some = slice(first, first + BATCH)
            test_step(network, metrics, test_images[some], test_labels[some])
        accuracy = float(metrics.compute()["accuracy"])
        metrics.reset()
        print(f"train: epoch {epoch} of {EPOCHS}: test_accuracy {accuracy:.4f}", flush=True)
    report(time.perf_counter() - began, steps, lambda: accuracy)


if __name__ == "__main__":
    main()
