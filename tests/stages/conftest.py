"""What tests of train, export and evaluate share: random images, and the outputs of the three stages for them."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.data import splits
from classifier.data.catalogue import MNIST, MNIST_5K
from classifier.data.data_set import DataSet
from classifier.paths import MODEL
from stages import evaluate, export, train
from tests.conftest import describe

IMAGES = {"train": 40, "validation": 30, "test": 60}

RECIPE = {
    "filters": [4],
    "kernel_size": 3,
    "dense_units": [8],
    "batch_normalization": False,
    "shift": 1.0,
    "rotation": 0.0,
    "zoom": 0.0,
    "label_smoothing": 0.0,
    "schedule": "cosine",
    "learning_rate": 0.001,
    "warmup": 0.2,
    "epochs": 2,
    "batch_size": 8,
    "precision": "float32",
    "seed": 0,
}


def write_arrays(data_set: DataSet = MNIST, **images: int) -> None:
    """Write random images and labels of each split, and the description of the data set."""
    random, classes = np.random.default_rng(0), len(data_set.classes)
    splits.PROCESSED.mkdir(parents=True, exist_ok=True)
    for split, count in images.items():
        np.save(splits.images_path(split), random.random((count, *data_set.image_shape), np.float32))
        np.save(splits.labels_path(split), np.eye(classes, dtype=np.float32)[random.integers(0, classes, count)])
    describe(Path(), data_set)


def write_recipe(**changed: Any) -> None:
    """Write params.yaml with RECIPE and these changes."""
    Path("params.yaml").write_text(json.dumps({"train": RECIPE | changed}))  # JSON is YAML


@pytest.fixture(scope="session")
def run_of_session(tmp_path_factory, keras) -> tuple[Path, str]:
    """A folder in which train, export and evaluate ran with RECIPE, and what they printed."""
    folder = tmp_path_factory.mktemp("trained")
    printed = io.StringIO()
    keras.utils.clear_session()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        write_arrays(MNIST_5K, **IMAGES)
        write_recipe()
        for stage in (train, export, evaluate):
            stage.main()
    return folder, printed.getvalue()


@pytest.fixture
def trained(project, run_of_session, keras) -> str:
    """What the stages printed; the current folder is a copy of theirs. The names of layers begin anew."""
    folder, printed = run_of_session
    shutil.copytree(folder, project, dirs_exist_ok=True)
    keras.utils.clear_session()
    return printed


@pytest.fixture
def network(trained, keras) -> Any:
    """The trained network, in whose folder the test runs."""
    return keras.models.load_model(MODEL, compile=False)
