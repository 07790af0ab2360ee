import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from classifier.command import run
from classifier.data import splits
from classifier.data.catalogue import MNIST_5K
from classifier.model import checkpoint, learning, predictions, runtime
from classifier.paths import HISTORY, MODEL, PROVENANCE, SOURCE
from stages import train
from tests.classifier.page.test_document import own
from tests.conftest import REPOSITORY
from tests.stages.conftest import RECIPE, write_arrays, write_recipe

OUTPUTS = (MODEL, PROVENANCE, HISTORY)
IN_TRAINING = ("train", "validation")

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


@pytest.fixture(autouse=True)
def precision(keras) -> Any:
    """A test may train in another precision; the next one begins with float32, as a new process does."""
    yield
    keras.config.set_dtype_policy("float32")


def outputs() -> list[bytes]:
    return [path.read_bytes() for path in OUTPUTS]


@pytest.fixture
def begun(trained, monkeypatch) -> Callable[..., dict[str, Any]]:
    """Return what a training with a changed recipe begins with: the network, how it learns, and all batches."""

    def begin(**changed: Any) -> dict[str, Any]:
        state: dict[str, Any] = {}

        def note(network: Any, training: Any, validation: Any, epochs: int, history: Any, _: str) -> None:
            state["layers"] = [layer.get_config() for layer in network.layers]
            state["learning"] = [network.optimizer.get_config(), network.loss.get_config(), epochs]
            state["weights"] = [weight.tobytes() for weight in network.get_weights()]
            state["batches"] = [images.numpy().tobytes() for images, _ in training]
            history.append({"loss": 0.0})

        monkeypatch.setattr(learning, "fit", note)
        monkeypatch.setattr(predictions, "join", lambda _: np.eye(10)[:1])  # nothing is predicted, so that
        monkeypatch.delenv(runtime.LIMIT, raising=False)  # bfloat16 needs no kernels, which a limit may exclude
        write_recipe(**changed)
        keras.utils.clear_session()
        train.main()
        return state

    import keras

    return begin


def test_each_parameter_of_train_changes_the_training(begun):
    assert OTHER.keys() == RECIPE.keys() == set(train.Parameters.__struct_fields__)
    first = begun()
    assert begun() == first
    for name, value in OTHER.items():
        assert begun(**{name: value}) != first, name


@pytest.mark.parametrize("identical", [False, True], ids=["order", "augmentation"])
def test_the_seed_decides_the_first_weights_the_order_of_the_images_and_their_augmentation(begun, identical):
    if identical:  # their order makes no difference, only their augmentation
        image = np.load(splits.images_path("train"))[:1]
        np.save(splits.images_path("train"), np.repeat(image, 40, axis=0))
    first, other = (begun(seed=seed, shift=2.0 if identical else 0.0) for seed in (0, 1))
    assert (first["weights"] == other["weights"], first["batches"] == other["batches"]) == (False, False)


def test_a_smaller_last_batch_counts_as_a_step_of_the_schedule(begun):
    optimizer, *_ = begun(batch_size=16, epochs=5, warmup=0.2)["learning"]
    schedule = optimizer["learning_rate"]["config"]
    assert (schedule["warmup_steps"], schedule["decay_steps"]) == (3, 12)  # 40 images are 3 batches


def test_the_history_the_output_and_the_provenance_say_what_was_trained(trained):
    rows = list(csv.DictReader(HISTORY.open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert 0 <= float(rows[1]["accuracy"]) <= 1
    assert list(rows[1])[1:] == ["accuracy", "loss", "validation_accuracy", "validation_loss"]
    assert f"train: epoch 2 of 2: accuracy {float(rows[1]['accuracy']):.4f}, loss " in trained
    assert "train: 2 epochs on 40 images of mnist-5k in float32, " in trained
    assert " Trainable params: " in trained
    assert "Optimizer params" not in trained  # the total is that of the network
    provenance = json.loads(PROVENANCE.read_text())
    data = [SOURCE, *(path(split) for path in (splits.images_path, splits.labels_path) for split in IN_TRAINING)]
    assert provenance.pop("data") == {str(path): hashlib.md5(path.read_bytes()).hexdigest() for path in data}
    images = {"train": 40, "validation": 30}
    assert provenance == {"dataset": "mnist-5k", "images": images, "parameters": RECIPE, **runtime.describe()}


VARIED = {"batch_normalization": True, "rotation": 10.0, "zoom": 0.1, "schedule": "constant", "label_smoothing": 0.1}


def killed() -> None:
    raise KeyboardInterrupt


def edited() -> None:
    write_recipe(epochs=4)


@pytest.mark.faults
@pytest.mark.parametrize("case", [(1, VARIED, killed), (3, {}, killed), (3, {}, edited)])
def test_a_training_that_is_interrupted_or_refused_goes_on_to_the_same_bytes(trained, keras, monkeypatch, capsys, case):
    epochs, changed, end = case
    shutil.copy(REPOSITORY / "dvc.yaml", "dvc.yaml")
    write_recipe(epochs=3, **changed)
    run("train", train.main)
    expected = outputs()
    for path in OUTPUTS:
        path.write_bytes(b"old")
    save = checkpoint.save

    def save_and_end(network: Any, history: checkpoint.History, belongs_to: str) -> None:
        save(network, history, belongs_to)
        if len(history) == epochs:
            end()

    keras.utils.clear_session()
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", save_and_end)
        with pytest.raises(SystemExit):
            run("train", train.main)
    if end == edited:
        assert "params.yaml (section train) changed while the stage ran" in capsys.readouterr().err
    assert set(outputs()) == {b"old"}
    assert len(learning.GROWING.read_text().splitlines()) == 1 + epochs  # it can be read while the network trains
    write_recipe(epochs=3, **changed)
    keras.utils.clear_session()
    run("train", train.main)
    assert f"train: an interrupted training goes on after epoch {epochs} of 3\n" in capsys.readouterr().out
    assert outputs() == expected
    assert not checkpoint.PATH.exists()
    assert not learning.GROWING.exists()


def test_a_checkpoint_belongs_to_the_code_that_runs_the_parameters_the_data_and_the_environment(trained, monkeypatch):
    def note(_: Any, belongs_to: str) -> None:
        owners.append(json.loads(belongs_to))
        raise KeyboardInterrupt

    def edit(*_: Any) -> None:
        (Path("code") / "layers.py").write_text("edited after the modules were imported")

    owners: list[Any] = []
    Path("code").mkdir()
    (Path("code") / "layers.py").touch()
    monkeypatch.setattr(checkpoint, "CODE", Path("code"))
    code = list(checkpoint.digests([Path(train.__file__), Path("code/layers.py")]).values())
    monkeypatch.setattr(checkpoint, "resume", note)
    monkeypatch.setattr(train, "check_size", edit)
    with pytest.raises(KeyboardInterrupt):
        train.main()
    assert owners == [[code, json.loads(PROVENANCE.read_text())]]


def test_a_training_that_cannot_keep_a_checkpoint_warns_and_goes_on(trained, monkeypatch, capsys):
    def full(*_: Any) -> None:
        raise OSError("no space left")

    first = outputs()
    monkeypatch.setattr(checkpoint, "whole_file", full)
    train.main()
    assert outputs() == first
    assert capsys.readouterr().err.splitlines()[1:3] == ["train: warning: no space left"] * 2


def test_the_same_bytes_come_again_and_the_same_model_without_validation_images(trained, keras):
    first = outputs()
    train.main()
    assert outputs() == first  # the same bytes from the same parameters
    write_arrays(MNIST_5K, validation=0)
    keras.utils.clear_session()
    train.main()
    assert MODEL.read_bytes() == first[0]
    rows = list(csv.DictReader(HISTORY.open()))
    assert [(row["validation_accuracy"], row["validation_loss"]) for row in rows] == [("", "")] * 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"learning_rate": 1e30, "schedule": "constant"}, r"the loss is nan after epoch \d; lower train.learning_rate"),
        pytest.param(
            {"dense_units": [10**9, 10**9]},  # 4 EB, for which TensorFlow waits 10 s
            "params.yaml: memory ran out; lower train.batch_size",
            marks=pytest.mark.faults,
        ),
    ],
)
def test_a_loss_of_nan_and_too_little_memory_stop_training_and_the_old_outputs_stay(trained, refusal, changed, message):
    first = outputs()
    write_recipe(**changed)
    assert re.match(f"train: {message}", refusal("train", train.main))
    assert outputs() == first
    assert not list(Path().rglob(".partial-*"))


def test_a_training_that_cannot_work_warns_with_the_parameter_to_change(project, keras, capsys):
    write_arrays(own((8, 8), ("a\n", "b")), train=300, validation=30)
    for split in IN_TRAINING:  # sorted by class, and the images of a class are alike
        labels = np.sort(np.load(splits.labels_path(split)), axis=0)[::-1]
        np.save(splits.labels_path(split), np.stack([labels[:, 0], 1 - labels[:, 0]], axis=1))
        np.save(splits.images_path(split), np.ones((len(labels), 8, 8, 1), np.float32) * labels[:, :1, None, None])
    few = "train: warning: 150 training steps are few, 200 are usual; raise train.epochs or lower train.batch_size"
    for epochs, batch_size, changed, warnings in (
        (2, 3, {"learning_rate": 0.01}, []),
        (1, 2, {"learning_rate": 0.01}, [few]),
        (4, 6, {"learning_rate": 100.0, "schedule": "constant"}, ["is above that of guessing, 0.6931;", "one class"]),
    ):
        write_recipe(epochs=epochs, batch_size=batch_size, shift=0.0, **changed)
        keras.utils.clear_session()
        train.main()
        lines = capsys.readouterr().err.splitlines()
        assert [warning for warning, line in zip(warnings, lines, strict=True) if warning in line] == warnings, lines
    assert all(line.endswith("; lower train.learning_rate or raise train.epochs") for line in lines)


def test_a_stand_in_is_trained_for_as_many_steps_as_the_data_set_of_params(trained, capsys):
    whole = 12_000  # three times the images of mnist-5k
    replace(MNIST_5K, requested="mnist", requested_images=whole).save(SOURCE)
    train.main()
    assert "train: 6 epochs instead of 2, as mnist-5k is smaller\n" in capsys.readouterr().out
    assert len(HISTORY.read_text().splitlines()) == 1 + 6
    assert json.loads(PROVENANCE.read_text())["parameters"] == RECIPE


@pytest.mark.parametrize(
    ("size", "changed", "message"),
    [
        ((96, 15), {"filters": [4] * 4}, "filters must be at most 3 numbers"),
        ((8, 9), {"kernel_size": 9}, "kernel_size must be at most 8 for images of 8x9 pixels, got 9"),
        ((9, 9), {"shift": 4.5}, "shift must be below 4.5 for images of 9x9 pixels, got 4.5"),
    ],
)
def test_a_parameter_that_does_not_fit_the_size_of_the_images_is_refused(project, refusal, size, changed, message):
    write_arrays(own(size, ("a", "b")), train=2, validation=0)
    write_recipe(**changed)
    assert f"train: params.yaml: train.{message}" in refusal("train", train.main)


@pytest.mark.parametrize("side", [8, 15, 16, 128])
def test_the_largest_values_that_fit_a_size_build_a_network(keras, side):
    edge = RECIPE | {"filters": [1] * (side.bit_length() - 1), "kernel_size": side, "shift": side / 2 - 0.001}
    recipe = msgspec.convert(edge, train.Parameters)
    train.check_size(recipe, own((side, 128), ("a", "b")))
    assert train.build(recipe, own((side, 128), ("a", "b")), steps=1).output_shape == (None, 2)


def test_colour_images_train_with_the_largest_changes_of_each_image(project, keras):
    write_arrays(own((12, 16, 3), ("a", "b")), train=40, validation=0)
    write_recipe(shift=5.999, rotation=179.999, zoom=0.999, batch_size=10**9)  # a batch of all images
    train.main()
    network = keras.models.load_model(MODEL)
    assert (network.input_shape, network.output_shape) == ((None, 12, 16, 3), (None, 2))
    assert network.layers[-1].name == "classes"
