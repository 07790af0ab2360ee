import json
import zipfile
from types import ModuleType
from typing import Any

import numpy as np

from classifier.data.catalogue import MNIST
from classifier.model import architecture, keras_file, learning

Trained = tuple[Any, np.ndarray, np.ndarray]


def begin_small(keras: ModuleType) -> Trained:
    """Return a small network whose optimizer has a state, and training images and labels."""
    keras.utils.clear_session()  # else the layers of the second network have other names
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.random((32, 28, 28, 1), np.float32)
    labels = np.eye(10, dtype=np.float32)[random.integers(0, 10, 32)]
    network = architecture.build(MNIST, [4], 3, [8])
    learning.prepare(network, learning.rate("cosine", 0.001, 0.5, steps=8), label_smoothing=0.1)
    return network, images, labels


def test_equal_networks_give_the_same_bytes_but_not_in_the_file_of_keras(tmp_path, keras):
    networks = [begin_small(keras)[0] for _ in range(2)]  # both in memory, at different addresses
    for number, network in enumerate(networks):
        network.save(tmp_path / f"from_keras_{number}.keras")
        keras_file.save(network, tmp_path / f"ours_{number}.keras")
    assert (tmp_path / "ours_0.keras").read_bytes() == (tmp_path / "ours_1.keras").read_bytes()
    assert (tmp_path / "from_keras_0.keras").read_bytes() != (tmp_path / "from_keras_1.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "ours_0.keras") as archive:  # not even the second of saving
        assert json.loads(archive.read("metadata.json"))["date_saved"] == "1980-01-01@00:00:00"
        assert {member.date_time[0] for member in archive.infolist()} == {1980}


def test_the_file_predicts_and_resumes_training_like_the_file_of_keras(tmp_path, keras):
    network, images, labels = begin_small(keras)
    network.fit(images, labels, batch_size=8, verbose=0)
    network.save(tmp_path / "from_keras.keras")
    keras_file.save(network, tmp_path / "ours.keras")
    outcomes = []
    for name in ("from_keras.keras", "ours.keras"):
        model = keras.models.load_model(tmp_path / name, safe_mode=True)
        predicted = model.predict(images, verbose=0)
        state = [variable.numpy() for variable in model.optimizer.variables]
        model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)
        outcomes.append([predicted, *state, *model.get_weights()])
    assert len(outcomes[0]) > 2 + 2 * len(network.get_weights())
    for from_keras, ours in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(from_keras, ours)
