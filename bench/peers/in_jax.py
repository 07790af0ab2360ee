"""Train the network of params.yaml in JAX with Flax and Optax; bench.peers starts this in an environment that has them.

python -m bench.peers.in_jax RECIPE
"""

import argparse
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, serialization

from bench.peers.recipe import EPSILON, VALIDATION_BATCH, Recipe, Split, learning_rates, order, run, shifts, steps

Weights = Any  # what Flax and Optax call a tree


class Network(linen.Module):
    """The network of classifier/model/architecture.py, with Glorot's uniform weights; it returns logits."""

    filters: tuple[int, ...]
    kernel_size: int
    dense_units: tuple[int, ...]
    classes: int
    dtype: Any

    @linen.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        initial = linen.initializers.glorot_uniform()
        found, side = images, (self.kernel_size, self.kernel_size)
        for count in self.filters:
            found = linen.Conv(count, side, dtype=self.dtype, kernel_init=initial)(found)
            found = linen.relu(pool(found))
        found = found.reshape(len(found), -1)
        for units in self.dense_units:
            found = linen.relu(linen.Dense(units, dtype=self.dtype, kernel_init=initial)(found))
        return linen.Dense(self.classes, dtype=jnp.float32, kernel_init=initial)(found)  # float32, as in ours


def pool(images: jax.Array) -> jax.Array:
    """Return the largest of each 2x2 pixels; an odd last row or column is left out.

    The gradient of `linen.max_pool` takes a step of 65 ms on two cores, this one a step of 21 ms.
    """
    height, width = (side // 2 * 2 for side in images.shape[1:3])
    rows = jnp.maximum(images[:, 0:height:2], images[:, 1:height:2])
    return jnp.maximum(rows[:, :, 0:width:2], rows[:, :, 1:width:2])


def shift(images: jax.Array, moved: jax.Array) -> jax.Array:
    """Shift each image with bilinear interpolation; pixels from outside the image are 0.

    Along one axis, output pixel i is the sum over input pixels j of max(0, 1 - |i + shift - j|) times pixel j.
    """
    pixel = jnp.arange(images.shape[1], dtype=jnp.float32)
    down, right = jnp.maximum(0, 1 - jnp.abs(pixel[:, None] + moved[:, :, None, None] - pixel))
    return (down @ images[..., 0] @ right.mT)[..., None]


def main() -> None:
    """Train, save and test."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers.in_jax")
    parser.add_argument("recipe", help="parameters as JSON")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    recipe = Recipe(**json.loads(options.recipe))
    network = Network(recipe.filters, recipe.kernel_size, recipe.dense_units, 10, jnp.dtype(options.precision))
    weights: Weights = network.init(jax.random.key(recipe.seed), jnp.zeros((1, 28, 28, 1)))

    def loss_of(weights: Weights, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = network.apply(weights, images)
        targets = optax.smooth_labels(jax.nn.one_hot(labels, 10), recipe.label_smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean(), (logits.argmax(1) == labels).sum()

    def fit(train: Split, validation: Split) -> Iterator[dict[str, float]]:
        nonlocal weights
        rates = jnp.array(list(learning_rates(recipe, steps(recipe, len(train.images)))))
        adam = optax.adam(lambda step: rates[step], eps=EPSILON)
        state = adam.init(weights)
        arrays = jnp.asarray(train.images), jnp.asarray(train.labels)

        @partial(jax.jit, donate_argnums=(0, 1, 2))
        def step(weights: Weights, state: Any, sums: jax.Array, train: Any, rows: jax.Array, moved: jax.Array) -> Any:
            images, labels = train  # as a constant of the closure, they would be part of the compiled program
            inputs, wanted = shift(images[rows], moved), labels[rows]
            (loss, right), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights, inputs, wanted)
            updates, state = adam.update(gradient, state)
            return optax.apply_updates(weights, updates), state, sums + jnp.stack([loss * len(rows), right])

        for epoch in range(recipe.epochs):
            drawn, sums = shifts(recipe, len(train.images), epoch), jnp.zeros(2)
            for number, rows in enumerate(order(recipe, len(train.images), epoch)):
                first = number * recipe.batch_size
                weights, state, sums = step(weights, state, sums, arrays, rows, drawn[:, first : first + len(rows)])
            loss, accuracy = (np.asarray(sums) / len(train.images)).tolist()
            metrics = {"loss": loss, "accuracy": accuracy}
            yield metrics | {f"validation_{key}": value for key, value in evaluate(validation).items()}

    test = jax.jit(loss_of)

    def evaluate(split: Split) -> dict[str, float]:
        sums = np.zeros(2)
        for first in range(0, len(split.images), VALIDATION_BATCH):
            rows = slice(first, first + VALIDATION_BATCH)
            loss, right = test(weights, split.images[rows], split.labels[rows])
            sums += [float(loss) * len(split.labels[rows]), int(right)]
        loss, accuracy = (sums / len(split.images)).tolist()
        return {"loss": loss, "accuracy": accuracy}

    def save(path: Path) -> None:
        path.write_bytes(serialization.to_bytes(weights))

    run(options.precision, recipe, fit, evaluate, save)


if __name__ == "__main__":
    main()
