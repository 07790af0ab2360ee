from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from classifier.model import architecture, keras_file, learning

Trained = tuple[Any, np.ndarray, np.ndarray]


def train_small(keras: ModuleType) -> Trained:
    """A small network after one epoch, so that its optimizer has a state, with the images and labels it saw."""
    keras.utils.clear_session()  # or the second network's layers are named otherwise
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.random((32, 28, 28, 1), np.float32)
    labels = np.eye(10, dtype=np.float32)[random.integers(0, 10, 32)]
    network = architecture.build([4], 3, [8])
    learning.prepare(network, learning.rate("cosine", 0.001, 0.5, steps=8), label_smoothing=0.1)
    network.fit(images, labels, batch_size=8, verbose=0)
    return network, images, labels


def test_the_same_training_gives_the_same_bytes_as_keras_alone_does_not(tmp_path: Path, keras: ModuleType) -> None:
    networks = [train_small(keras)[0] for _ in range(2)]  # both alive: at different addresses
    for number, network in enumerate(networks):
        network.save(tmp_path / f"kerass_own_{number}.keras")
        keras_file.save(network, tmp_path / f"ours_{number}.keras")
    assert (tmp_path / "ours_0.keras").read_bytes() == (tmp_path / "ours_1.keras").read_bytes()
    assert (tmp_path / "kerass_own_0.keras").read_bytes() != (tmp_path / "kerass_own_1.keras").read_bytes()


def test_the_file_predicts_and_resumes_as_the_one_keras_wrote(tmp_path: Path, keras: ModuleType) -> None:
    network, images, labels = train_small(keras)
    network.save(tmp_path / "kerass_own.keras")
    keras_file.save(network, tmp_path / "ours.keras")
    outcomes = []
    for name in ("kerass_own.keras", "ours.keras"):
        model = keras.models.load_model(tmp_path / name, safe_mode=True)
        predicted = model.predict(images, verbose=0)
        state = [variable.numpy() for variable in model.optimizer.variables]
        model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)
        outcomes.append([predicted, *state, *model.get_weights()])
    assert len(outcomes[0]) > 2 + 2 * len(network.get_weights())
    for kerass_own, ours in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(kerass_own, ours)
