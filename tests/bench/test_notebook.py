"""bench.notebook has the network of the notebook, which is also that of the default recipe."""

from types import ModuleType

import numpy as np


def test_the_notebooks_network_has_the_notebooks_parameters_loss_and_optimizer(keras: ModuleType) -> None:
    from bench import notebook

    model = notebook.build()
    assert model.count_params() == 138_506
    assert model.loss == "categorical_crossentropy"
    assert model.optimizer.get_config() | {"name": "adam"} == keras.optimizers.Adam(name="adam").get_config()
    assert (notebook.EPOCHS, notebook.BATCH_SIZE) == (5, 100)


def test_the_notebook_and_the_default_recipe_have_the_same_network(keras: ModuleType) -> None:
    from bench import notebook
    from classifier.data.catalogue import MNIST
    from classifier.model import architecture

    networks = notebook.build(), architecture.build(MNIST, [32, 64, 64], 3, [128, 64])
    networks[1].set_weights(networks[0].get_weights())
    images = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    predictions = [network.predict(images, verbose=0) for network in networks]
    np.testing.assert_array_equal(*predictions)  # although one applies ReLU after pooling, the other before
