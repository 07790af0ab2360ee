"""bench.notebook has the network of the notebook, and recipes/notebook.yaml trains the same in the same way."""

import numpy as np

from classifier.data.catalogue import MNIST
from classifier.parameters import read_section
from stages import train
from tests.conftest import REPOSITORY


def test_the_recipe_of_the_notebook_trains_the_same_network_in_the_same_way(keras):
    from bench import notebook

    recipe = read_section("train", train.Parameters, REPOSITORY / "recipes/notebook.yaml")
    assert (recipe.epochs, recipe.batch_size) == (notebook.EPOCHS, notebook.BATCH_SIZE) == (5, 100)
    assert not any((recipe.shift, recipe.rotation, recipe.zoom))
    networks = notebook.build(), train.build(recipe, MNIST, steps=3000)
    ours, theirs = (network.optimizer.get_config() | {"name": "adam"} for network in networks)
    assert ours == theirs == keras.optimizers.Adam(name="adam").get_config()
    assert (networks[0].count_params(), networks[0].loss) == (138_506, "categorical_crossentropy")
    assert networks[1].loss.get_config() == keras.losses.CategoricalCrossentropy().get_config()
    networks[1].set_weights(networks[0].get_weights())
    images = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    predictions = [network.predict(images, verbose=0) for network in networks]
    np.testing.assert_array_equal(*predictions)  # although one applies ReLU after pooling, the other before
