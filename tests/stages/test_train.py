import contextlib
import csv
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data import splits
from classifier.data.catalogue import MNIST, MNIST_5K
from classifier.data.data_set import Array, DataSet
from classifier.model import checkpoint, learning, memory, runtime
from classifier.paths import SOURCE
from stages import train
from tests.conftest import describe

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

# For each parameter, another value than in RECIPE.
OTHER: dict[str, Any] = {
    "filters": [5],
    "kernel_size": 2,
    "dense_units": [8, 4],
    "batch_normalization": True,
    "shift": 2.0,
    "rotation": 10.0,
    "zoom": 0.1,
    "label_smoothing": 0.1,
    "schedule": "constant",
    "learning_rate": 0.002,
    "warmup": 0.4,
    "epochs": 3,
    "batch_size": 10,
    "precision": "mixed_bfloat16",
    "seed": 1,
}


def write_arrays(folder: Path) -> None:
    """Write 40 random training images, 20 for validation, and the record of the data set; there are no test arrays."""
    random = np.random.default_rng(0)
    (folder / splits.PROCESSED).mkdir(parents=True)
    for split, count in (("train", 40), ("validation", 20)):
        np.save(folder / splits.images_path(split), random.random((count, 28, 28, 1), np.float32))
        labels = np.eye(10, dtype=np.float32)[random.integers(0, 10, count)]
        np.save(folder / splits.labels_path(split), labels)
    describe(folder, MNIST_5K, requested="mnist")


@pytest.fixture
def processed(project: Path) -> None:
    """The arrays of `write_arrays` and RECIPE in the current folder."""
    write_arrays(project)
    write_recipe()


@pytest.fixture(scope="module")
def run_of_module(tmp_path_factory: pytest.TempPathFactory, keras: ModuleType) -> tuple[Path, str]:
    """A folder with the model of RECIPE, and the output of the training."""
    folder = tmp_path_factory.mktemp("trained")
    write_arrays(folder)
    printed = io.StringIO()
    keras.utils.clear_session()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        write_recipe()
        train.main()
    return folder, printed.getvalue()


@pytest.fixture
def trained(project: Path, run_of_module: tuple[Path, str]) -> str:
    """The output of the training; the current folder is a copy of the one with the model."""
    folder, printed = run_of_module
    shutil.copytree(folder, project, dirs_exist_ok=True)
    return printed


@pytest.fixture
def new_session(keras: ModuleType) -> Iterator[None]:
    """Reset the names of layers before the test, and the precision after it: each stage is a new process."""
    keras.utils.clear_session()
    yield
    keras.config.set_dtype_policy("float32")


def without_validation() -> None:
    np.save(splits.images_path("validation"), np.zeros((0, 28, 28, 1), np.float32))
    np.save(splits.labels_path("validation"), np.zeros((0, 10), np.float32))


def write_recipe(**changed: Any) -> None:
    Path("params.yaml").write_text(json.dumps({"train": RECIPE | changed}))  # JSON is YAML


def outputs() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (train.MODEL, train.PROVENANCE, train.HISTORY)}


def weights() -> list[np.ndarray]:
    """The weights of the trained network, without the state of its optimizer."""
    import keras

    loaded: list[np.ndarray] = keras.models.load_model(train.MODEL, compile=False).get_weights()
    return loaded


def test_the_same_parameters_give_the_same_bytes(trained: str, new_session: None) -> None:
    first = outputs()
    train.main()
    assert outputs() == first


@pytest.mark.parametrize("name", train.Parameters.__struct_fields__)
def test_each_parameter_of_train_changes_the_model(trained: str, new_session: None, name: str) -> None:
    first = weights()
    without_validation()  # training is faster without them, with the same weights
    write_recipe(**{name: OTHER[name]})
    train.main()
    other = weights()
    assert len(other) != len(first) or not all(map(np.array_equal, other, first))


@pytest.mark.parametrize("identical", [False, True], ids=["order", "augmentation"])
def test_the_seed_decides_the_first_weights_the_order_of_the_images_and_their_augmentation(
    processed: None, new_session: None, monkeypatch: pytest.MonkeyPatch, identical: bool
) -> None:
    if identical:  # their order makes no difference, only their augmentation
        image = np.random.default_rng(0).random((1, 28, 28, 1), np.float32)
        np.save(splits.images_path("train"), np.repeat(image, 40, axis=0))
    started = []

    def note(network: Any, training: Any, *_: Any) -> None:
        started.append((network.get_weights()[0], np.concatenate([images for images, _ in training])))

    monkeypatch.setattr(learning, "fit", note)
    for seed in (0, 0, 1):
        write_recipe(seed=seed, shift=2.0 if identical else 0.0)
        train.main()
    for first, again, other in zip(*started, strict=True):
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_a_smaller_last_batch_counts_as_a_step_of_the_schedule(
    processed: None, new_session: None, keras: ModuleType
) -> None:
    write_recipe(batch_size=16, epochs=5, warmup=0.2)
    train.main()
    optimizer = keras.models.load_model(train.MODEL).optimizer
    schedule = optimizer.get_config()["learning_rate"]["config"]
    assert int(optimizer.iterations) == 5 * 3  # 40 images are 3 batches
    assert (schedule["warmup_steps"], schedule["decay_steps"]) == (3, 12)


def test_each_epoch_has_a_row_in_the_history_and_a_printed_line(trained: str) -> None:
    rows = list(csv.DictReader(train.HISTORY.open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert 0 <= float(rows[1]["accuracy"]) <= 1
    columns = ["accuracy", "loss", "validation_accuracy", "validation_loss"]
    assert list(rows[1])[1:] == columns
    assert f"train: epoch 2 of 2: {', '.join(f'{each} {float(rows[1][each]):.4f}' for each in columns)}" in trained
    assert re.search(r"train: 2 epochs on 40 images of mnist-5k in float32, \d+\.\d s -> models/model.keras", trained)


VARIED = {"batch_normalization": True, "rotation": 10.0, "zoom": 0.1, "schedule": "constant", "label_smoothing": 0.1}


@pytest.mark.parametrize(("epochs", "changed"), [(1, VARIED), (3, {})], ids=["in between", "before the outputs"])
def test_an_interrupted_training_goes_on_to_the_bytes_of_one_that_was_not(
    processed: None,
    new_session: None,
    keras: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    epochs: int,
    changed: dict[str, Any],
) -> None:
    write_recipe(epochs=3, **changed)
    train.main()
    expected = outputs()
    for path in expected:
        Path(path).write_bytes(b"old")
    save = checkpoint.save

    def interrupt(path: Path, network: Any, history: checkpoint.History) -> None:
        save(path, network, history)
        if len(history) == epochs:
            raise KeyboardInterrupt

    keras.utils.clear_session()
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train.main()
    assert set(outputs().values()) == {b"old"}
    assert len(train.GROWING.read_text().splitlines()) == 1 + epochs
    capsys.readouterr()
    keras.utils.clear_session()
    train.main()
    assert f"train: an interrupted training goes on after epoch {epochs} of 3\n" in capsys.readouterr().out
    assert outputs() == expected
    assert list(checkpoint.folder().iterdir()) == []


def test_a_checkpoint_belongs_to_the_parameters_the_code_the_data_and_the_environment(
    processed: None, keras: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def note(belongs_to: object) -> None:
        found.append(json.dumps(belongs_to))
        raise KeyboardInterrupt

    def training() -> None:
        with pytest.raises(KeyboardInterrupt):
            train.main()

    monkeypatch.setattr(checkpoint, "reserve", note)
    training()
    training()
    assert len(set(found)) == 1
    for name in OTHER:
        write_recipe(**{name: OTHER[name]})
        training()
    write_recipe()
    for path in (splits.images_path("train"), splits.labels_path("train"), splits.images_path("validation")):
        array = np.load(path)
        array[-1, -1] += 1
        np.save(path, array)
        training()
    environment = runtime.describe()
    monkeypatch.setattr(runtime, "describe", lambda: environment | {"threads": 99})
    training()
    monkeypatch.setattr(train, "__file__", __file__)
    training()
    assert len(set(found)) == 1 + len(OTHER) + 3 + 1 + 1


def test_the_history_can_be_read_while_the_network_trains(
    processed: None, new_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda *state: read.append(train.GROWING.read_text()) or save(*state))
    train.main()
    rows = train.HISTORY.read_text().splitlines()
    assert [each.splitlines() for each in read] == [rows[:2], rows]


def test_training_without_validation_images_gives_the_same_model(trained: str, new_session: None) -> None:
    first = train.MODEL.read_bytes()
    without_validation()
    train.main()
    assert train.MODEL.read_bytes() == first
    rows = list(csv.DictReader(train.HISTORY.open()))
    assert [(row["validation_accuracy"], row["validation_loss"]) for row in rows] == [("", "")] * 2
    assert all(float(row["accuracy"]) >= 0 and float(row["loss"]) > 0 for row in rows)


def test_the_validation_images_do_not_change_the_model(trained: str, new_session: None) -> None:
    first = outputs()
    np.save(splits.images_path("validation"), np.ones((20, 28, 28, 1), np.float32))
    train.main()
    assert train.MODEL.read_bytes() == first[str(train.MODEL)]
    assert train.HISTORY.read_bytes() != first[str(train.HISTORY)]


def test_provenance_has_the_data_set_and_the_environment(trained: str, keras: ModuleType) -> None:
    provenance = json.loads(train.PROVENANCE.read_text())
    assert provenance["dataset"] == "mnist-5k"
    assert provenance["images"] == {"train": 40, "validation": 20}
    assert provenance["versions"]["keras"] == keras.__version__
    assert provenance["threads"] >= 1
    assert provenance["kernels"] == runtime.level(runtime.instruction_sets())
    assert provenance["precision"] == "float32"


def test_a_loss_of_nan_stops_training_and_the_old_outputs_stay(trained: str, refusal: Callable[..., str]) -> None:
    first = outputs()
    write_recipe(learning_rate=1e30, schedule="constant")
    assert "the loss is nan after epoch" in refusal("train", train.main)
    assert outputs() == first
    assert not list(Path().rglob(".partial-*"))


@pytest.mark.parametrize("learning_rate", [1e300, 10**300], ids=["float", "whole number"])
def test_a_learning_rate_beyond_float32_is_refused_in_one_line(
    processed: None, keras: ModuleType, refusal: Callable[..., str], learning_rate: float
) -> None:
    write_recipe(learning_rate=learning_rate, epochs=1)
    assert "the loss is nan after epoch 1; lower train.learning_rate" in refusal("train", train.main)


@pytest.mark.parametrize(
    "changed",
    [
        {"dense_units": [10**6, 10**6]},
        {"dense_units": [10**400]},
        {"filters": [200_000]},
        {"filters": [20_000, 20_000], "kernel_size": 28},
        {"filters": [4096], "batch_size": 10**6},
    ],
    ids=["dense", "beyond float64", "filters", "kernels", "batch"],
)
def test_a_step_that_needs_too_much_memory_is_refused_before_training(
    processed: None, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2**30)
    monkeypatch.setattr(runtime, "start", lambda *_: pytest.fail("training started"))
    write_recipe(**changed)
    line = refusal("train", train.main)
    assert re.match(
        r"train: params.yaml: a training step needs (about|over) [\d,.]+ GiB, more than half of the 1.0 GiB", line
    )
    assert line.endswith("; lower train.batch_size, train.filters, train.dense_units or train.kernel_size")


def test_a_batch_larger_than_the_training_images_needs_no_more_memory_than_all_of_them(
    processed: None, keras: ModuleType, new_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2**30)
    write_recipe(batch_size=10**9, epochs=1)
    train.main()


@pytest.mark.parametrize("kind", ["MemoryError", "ResourceExhaustedError"])
def test_when_memory_runs_out_the_message_names_the_parameters_to_lower_and_the_old_outputs_stay(
    trained: str, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import tensorflow as tf

    def exhausted(*_: Any) -> None:
        raise MemoryError if kind == "MemoryError" else tf.errors.ResourceExhaustedError(None, None, "OOM")

    first = outputs()
    monkeypatch.setattr(learning, "fit", exhausted)
    assert "train: params.yaml: memory ran out; lower train.batch_size" in refusal("train", train.main)
    assert outputs() == first


def test_the_largest_allowed_values_of_the_parameters_can_be_trained(processed: None, keras: ModuleType) -> None:
    edge = {"filters": [1] * 4, "kernel_size": 28, "shift": 13.999, "rotation": 179.999, "zoom": 0.999}
    write_recipe(**edge, batch_normalization=True, epochs=1)
    train.main()
    assert len(train.HISTORY.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), np.zeros((2, 10), np.float32), "expected float32 (n, 28, 28, 1)"),
        (np.zeros((2, 28, 28, 1)), np.zeros((2, 10), np.float32), "expected float32 (n, 28, 28, 1), found float64"),
        (np.zeros((2, 28, 28, 1), np.float32), np.zeros((3, 10), np.float32), "2 train images but 3 labels"),
        (
            np.zeros((0, 28, 28, 1), np.float32),
            np.zeros((0, 10), np.float32),
            "expected at least one image, found none",
        ),
    ],
)
def test_processed_arrays_of_another_shape_or_type_are_refused(
    processed: None, refusal: Callable[..., str], images: np.ndarray, labels: np.ndarray, message: str
) -> None:
    np.save(splits.images_path("train"), images)
    np.save(splits.labels_path("train"), labels)
    assert message in refusal("train", train.main)


def test_a_record_of_the_data_set_with_other_keys_is_refused(processed: None, refusal: Callable[..., str]) -> None:
    SOURCE.write_text('{"name": "mnist"}')
    assert (
        "data/raw/dataset.json: expected a description of the data set: expected the keys dataset and requested"
        in refusal("train", train.main)
    )


def of_size(height: int, width: int) -> DataSet:
    """The description of a data set of grey images of this size."""
    return DataSet("own", ("a", "b"), {"x_train": Array((40, height, width), "")})


@pytest.mark.parametrize(
    ("data_set", "changed", "message"),
    [
        (of_size(8, 8), {"filters": [4] * 4}, "filters must have at most 3 numbers for images of 8x8 pixels"),
        (of_size(96, 15), {"filters": [4] * 4}, "filters must have at most 3 numbers for images of 96x15 pixels"),
        (of_size(8, 9), {"kernel_size": 9}, "kernel_size must be at most 8 for images of 8x9 pixels, got 9"),
        (of_size(9, 9), {"shift": 4.5}, "shift must be below 4.5 for images of 9x9 pixels, got 4.5"),
        (MNIST, {"filters": [4] * 5}, "filters must have at most 4 numbers for images of 28x28 pixels"),
        (MNIST, {"kernel_size": 29}, "kernel_size must be at most 28 for images of 28x28 pixels, got 29"),
    ],
)
def test_a_parameter_that_does_not_fit_the_size_of_the_images_is_refused(
    data_set: DataSet, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"params.yaml: train.{message}")):
        train.check_size(train.Parameters(**RECIPE | changed), data_set)


@pytest.mark.parametrize("side", [8, 9, 15, 16, 28, 64, 127, 128])
def test_the_largest_values_that_fit_a_size_build_a_network(keras: ModuleType, side: int) -> None:
    data_set = of_size(side, 128)
    edge = train.Parameters(**RECIPE | {"filters": [1] * (side.bit_length() - 1), "kernel_size": side})
    train.check_size(edge, data_set)
    assert train.build(edge, data_set, steps=1).output_shape == (None, 2)


def test_images_that_are_too_small_for_the_recipe_are_refused_before_training(
    processed: None, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "start", lambda *_: pytest.fail("training started"))
    write_recipe(shift=14)
    assert refusal("train", train.main).endswith(
        "params.yaml: train.shift must be below 14 for images of 28x28 pixels, got 14"
    )


def test_colour_images_of_three_classes_train(project: Path, keras: ModuleType, new_session: None) -> None:
    random = np.random.default_rng(0)
    describe(project, DataSet("own", ("a", "b", "c"), {each: Array((40, 12, 16, 3), "0") for each in MNIST.arrays}))
    splits.PROCESSED.mkdir(parents=True)
    for split, count in (("train", 40), ("validation", 0)):
        np.save(splits.images_path(split), random.random((count, 12, 16, 3), np.float32))
        np.save(splits.labels_path(split), np.eye(3, dtype=np.float32)[random.integers(0, 3, count)])
    write_recipe(rotation=10.0, zoom=0.1)
    train.main()
    network = keras.models.load_model(train.MODEL)
    assert (network.input_shape, network.output_shape) == ((None, 12, 16, 3), (None, 3))
    assert network.layers[-1].name == "classes"
