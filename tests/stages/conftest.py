"""What tests of the stages after training share: arrays to predict, and a small untrained network of both files."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data import splits
from classifier.data.catalogue import MNIST
from classifier.model import architecture, keras_file, layers, onnx_file
from classifier.paths import MODEL, ONNX
from tests.conftest import describe


@pytest.fixture
def network(project: Path, keras: ModuleType) -> Any:
    """A network, its Keras file and its ONNX file, 60 random test images, 30 for validation, no training arrays."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    splits.PROCESSED.mkdir(parents=True)
    for split, count in (("test", 60), ("validation", 30)):
        np.save(splits.images_path(split), random.random((count, 28, 28, 1), np.float32))
        np.save(splits.labels_path(split), np.eye(10, dtype=np.float32)[random.integers(0, 10, count)])
    describe(project)
    network = architecture.build(MNIST, [4], 3, [8])
    MODEL.parent.mkdir()
    keras_file.save(network, MODEL)
    ONNX.write_bytes(onnx_file.build(layers.read(network), MNIST))
    return network
