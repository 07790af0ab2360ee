import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from matplotlib.figure import Figure

from classifier.data import splits
from classifier.data.catalogue import MNIST, MNIST_5K
from classifier.data.data_set import Array, DataSet
from classifier.model import layers, onnx_file, predictions
from classifier.model.layers import Layer
from classifier.paths import MODEL, ONNX, SOURCE
from stages import evaluate, export, train
from tests.conftest import describe


def test_the_metrics_equal_those_of_keras(network: Any) -> None:
    evaluate.main()
    network.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    metrics = json.loads(evaluate.METRICS.read_text())
    assert list(metrics) == ["validation", "test"]
    for split, images in (("validation", 30), ("test", 60)):
        loss, accuracy = network.evaluate(*splits.map_split(split), verbose=0)
        assert {name: metrics[split][name] for name in ("accuracy", "loss", "errors")} == {
            "accuracy": pytest.approx(accuracy),
            "loss": pytest.approx(loss, abs=1e-5),
            "errors": round(images * (1 - accuracy)),
        }


def test_without_validation_images_there_are_only_test_metrics(network: Any) -> None:
    np.save(splits.images_path("validation"), np.zeros((0, 28, 28, 1), np.float32))
    np.save(splits.labels_path("validation"), np.zeros((0, 10), np.float32))
    evaluate.main()
    assert list(json.loads(evaluate.METRICS.read_text())) == ["test"]
    assert "validation" not in evaluate.PREDICTIONS.read_text()


def test_predictions_and_the_table_of_classes_agree_with_the_metrics(network: Any) -> None:
    evaluate.main()
    rows = list(csv.DictReader(evaluate.PREDICTIONS.open()))
    assert [row["split"] for row in rows] == ["validation"] * 30 + ["test"] * 60
    for split, images in (("validation", 30), ("test", 60)):
        metrics = json.loads(evaluate.METRICS.read_text())[split]
        of_split = [row for row in rows if row["split"] == split]
        labels = splits.map_split(split)[1].argmax(axis=1)
        assert [row["image"] for row in of_split] == [str(image) for image in range(images)]
        assert [row["actual"] for row in of_split] == [str(label) for label in labels]
        assert sum(row["actual"] != row["predicted"] for row in of_split) == metrics["errors"]
    assert all(0.1 <= float(row["confidence"]) <= 1 for row in rows)
    digits = list(csv.DictReader(evaluate.PER_CLASS.open()))
    assert sum(int(digit["images"]) for digit in digits) == len(of_split)
    assert sum(int(digit["errors"]) for digit in digits) == metrics["errors"]


def test_evaluating_twice_gives_the_same_bytes(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = [evaluate.METRICS, evaluate.PREDICTIONS, evaluate.PER_CLASS]
    pictures = [evaluate.CONFUSION_MATRIX, evaluate.MISCLASSIFIED]
    evaluate.main()
    first = [path.read_bytes() for path in outputs + pictures]
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)  # as in a user's matplotlibrc
    evaluate.main()
    assert [path.read_bytes() for path in outputs + pictures] == first
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size < 100_000 for path in pictures)
    assert not any(b"Software" in path.read_bytes() for path in pictures)  # it names Matplotlib's version
    assert not any(b"\r" in path.read_bytes() for path in outputs)  # the same on Windows


def test_the_pictures_show_the_confusion_matrix_and_the_misread_images(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []

    def keep(figure: Figure, path: Path, dpi: int) -> None:
        figures.append(figure)
        path.touch()

    monkeypatch.setattr(evaluate.pictures, "save", keep)
    evaluate.main()
    matrix, grid = figures
    rows = [row for row in csv.DictReader(evaluate.PREDICTIONS.open()) if row["split"] == "test"]
    counts = Counter((int(row["actual"]), int(row["predicted"])) for row in rows)
    (axes,) = matrix.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")
    assert {tuple(reversed(text.get_position())): text.get_text() for text in axes.texts} == {
        place: str(count) for place, count in counts.items()
    }
    shades = axes.images[0].get_array()
    assert shades.mask.diagonal().all()  # its counts would hide the errors
    assert {place: shades[place] for place in zip(*np.nonzero(shades.filled(0)), strict=True)} == {
        (actual, predicted): count for (actual, predicted), count in counts.items() if actual != predicted
    }
    assert axes.images[0].get_clim() == (0, shades.max())
    assert axes.get_facecolor()[:3] == (0.93, 0.93, 0.93)
    assert axes.get_title() == f"Test images: {shades.sum()} of 60 misread"

    wrong = [row for row in rows if row["actual"] != row["predicted"]]
    images = splits.map_split("test")[0]
    confidences = []
    for each in grid.axes:
        caption = re.fullmatch(r"(\d) read as (\d)\nconfidence (\d\.\d{3})", each.get_title())
        assert caption
        confidences.append(float(caption[3]))
        assert any(
            (row["actual"], row["predicted"]) == (caption[1], caption[2])
            and np.array_equal(each.images[0].get_array(), images[int(row["image"])][..., 0])
            for row in wrong
        )
    assert len(confidences) == 25
    assert confidences == sorted((float(f"{float(row['confidence']):.3f}") for row in wrong), reverse=True)[:25]


def test_the_warning_about_the_fallback_is_repeated(network: Any, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main()
    assert capsys.readouterr().err == ""
    describe(Path(), MNIST_5K, requested="mnist")
    evaluate.main()
    assert "evaluate: warning: mnist-5k is used instead of mnist" in capsys.readouterr().err


def build(network: Any, change: Callable[[list[Layer]], list[Layer]], data_set: DataSet = MNIST) -> bytes:
    """The ONNX file of the changed layers of a network."""
    return onnx_file.build(change(layers.read(network)), data_set)


def without_the_last(plain: list[Layer]) -> list[Layer]:
    return plain[:-1]


def with_nan(plain: list[Layer]) -> list[Layer]:
    return [replace(layer, bias=np.full_like(layer.bias, np.nan)) for layer in plain]


def with_another_input(_: Any) -> bytes:
    images = Array((9, 32, 32, 3), "")
    data_set = DataSet("own", tuple("0123456789"), {"x_train": images})
    return onnx_file.build([Layer("flatten", "flat"), Layer("dense", "last", *dense(32 * 32 * 3, 10))], data_set)


def with_more_classes(_: Any) -> bytes:
    data_set = DataSet("own", tuple("0123456789a"), MNIST.arrays)
    return onnx_file.build([Layer("flatten", "flat"), Layer("dense", "last", *dense(28 * 28, 11))], data_set)


def dense(inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((inputs, outputs), np.float32), np.zeros(outputs, np.float32)


def with_a_pixel_more(network: Any) -> bytes:
    """A dense layer that does not fit its input; onnx.checker would refuse it."""
    model = onnx.load_from_string(ONNX.read_bytes())
    model.graph.node[-2].input[1] = model.graph.node[1].input[1]
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (lambda _: b"", "not a model that can be loaded"),
        (lambda _: ONNX.read_bytes()[:-100], "not a model that can be loaded"),
        (lambda _: ONNX.read_bytes()[:1000], "not a model that can be loaded"),
        (lambda _: MODEL.read_bytes(), "not a model that can be loaded"),
        (with_a_pixel_more, "not a model that can be loaded"),
        (
            with_another_input,
            "expected images ['n', 28, 28, 1] of tensor(float) and probabilities ['n', 10] of tensor(float), "
            "found images ['n', 32, 32, 3] of tensor(float) and ",
        ),
        (with_more_classes, "probabilities ['n', 10] of tensor(float), found images"),
        (lambda network: build(network, without_the_last), "predicts numbers that are not probabilities"),
        (lambda network: build(network, with_nan), "predicts probabilities that are not numbers"),
    ],
)
def test_a_damaged_or_wrong_model_is_refused_in_one_line_and_the_old_outputs_stay(
    network: Any, refusal: Callable[..., str], damaged: Callable[[Any], bytes], message: str
) -> None:
    outputs = [evaluate.METRICS, evaluate.PREDICTIONS, evaluate.PER_CLASS]
    for path in outputs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("the old file")
    ONNX.write_bytes(damaged(network))
    line = refusal("evaluate", evaluate.main)
    assert line.startswith("evaluate: models/model.onnx: ")
    assert message in line
    assert line.endswith("run `dvc repro --force export` to create it again")
    assert [path.read_text() for path in outputs] == ["the old file"] * 3


def test_a_missing_model_is_named_with_the_stage_that_writes_it(network: Any, refusal: Callable[..., str]) -> None:
    ONNX.unlink()
    expected = "evaluate: models/model.onnx: missing; run `dvc repro --force export` to create it again"
    assert refusal("evaluate", evaluate.main) == expected


def saved(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


WHOLE = saved(np.zeros((3, 28, 28, 1), np.float32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[:5],
        WHOLE[:60],
        WHOLE[:-1],
        b"hello, this is not an array",
        WHOLE[:10] + b"(" * 118 + WHOLE[128:],
        WHOLE.replace(b"(3, ", b"(-3,"),
        saved(np.array([{}])),
        saved(np.zeros((3, 5), np.float32)),
        saved(np.zeros((3, 28, 28, 1))),
        saved(np.zeros((0, 28, 28, 1), np.float32)),
        WHOLE,  # with 60 labels
    ],
    ids=range(12),
)
@pytest.mark.parametrize(("stage", "split"), [(evaluate, "test"), (export, "test"), (train, "train")])
def test_a_damaged_array_is_refused_in_one_line(
    network: Any, refusal: Callable[..., str], content: bytes, stage: ModuleType, split: str
) -> None:
    for kind in (splits.images_path, splits.labels_path):
        kind("train").write_bytes(kind("test").read_bytes())
    path = splits.images_path(split)
    path.write_bytes(content)
    line = refusal("stage", stage.main)
    assert line.startswith(f"stage: {path}: ")
    assert line.endswith("run `dvc repro --force preprocess` to create it again")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        '{"dataset": 5, "requested": "mnist"}',
        '{"dataset": "mnist\\nverdict: better", "requested": "mnist"}',
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("stage", [evaluate, export, train])
def test_a_malformed_record_of_the_data_set_is_refused_in_one_line(
    network: Any, refusal: Callable[..., str], text: str, stage: ModuleType
) -> None:
    for kind in (splits.images_path, splits.labels_path):
        kind("train").write_bytes(kind("test").read_bytes())
    SOURCE.write_text(text)
    line = refusal("stage", stage.main)
    assert line.startswith("stage: data/raw/dataset.json: expected a description of the data set: ")
    assert line.endswith("run `dvc repro --force download` to create it again")


def test_without_errors_the_picture_of_misread_images_is_empty(tmp_path: Path) -> None:
    actual = np.arange(10)
    worst = predictions.most_confidently_wrong(actual, actual, np.ones(10))
    assert len(worst) == 0
    evaluate.pictures.draw_images(np.zeros((10, 28, 28, 1))[worst], [], "none", tmp_path / "none.png")
    assert (tmp_path / "none.png").exists()


def test_the_table_of_digits_of_an_example_computed_by_hand() -> None:
    actual, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    rows = list(evaluate.per_class(actual, predicted, 10))
    assert rows[0] == (0, 3, 1, 1.0, pytest.approx(2 / 3), pytest.approx(0.8))
    assert rows[1] == (1, 1, 0, 0.5, 1.0, pytest.approx(2 / 3))
    assert rows[9] == (9, 0, 0, 0.0, 0.0, 0.0)


NAMED = DataSet("own", ("cat", "dog, $1"), MNIST.arrays)


def test_classes_with_names_have_a_column_of_names(project: Path) -> None:
    rows = list(evaluate.per_class(np.array([0, 0, 1]), np.array([0, 1, 1]), 2))
    evaluate.save_per_class(NAMED, rows)
    table = list(csv.reader(evaluate.PER_CLASS.open()))
    assert [row[:3] for row in table] == [["class", "name", "images"], ["0", "cat", "2"], ["1", "dog, $1", "1"]]
    evaluate.save_per_class(MNIST, rows)
    assert [row[:2] for row in csv.reader(evaluate.PER_CLASS.open())] == [["class", "images"], ["0", "2"], ["1", "1"]]


def test_balanced_accuracy_is_the_mean_over_classes_and_only_measured_if_classes_are_unequal() -> None:
    actual = np.array([0, 0, 0, 1])
    probabilities = np.eye(3)[[0, 0, 1, 0]]
    measured = evaluate.measure(actual, probabilities)
    assert measured["accuracy"] == 0.5
    assert measured["balanced_accuracy"] == pytest.approx((2 / 3 + 0) / 2, abs=1e-6)  # class 2 has no images
    assert "balanced_accuracy" not in evaluate.measure(np.array([0, 1, 2, 0, 1, 2]), np.eye(3)[[0, 0, 1, 0, 1, 2]])
    almost = np.repeat([0, 1], [29, 20])
    assert "balanced_accuracy" not in evaluate.measure(almost, np.eye(2)[almost])
    unequal = np.repeat([0, 1], [30, 20])
    assert evaluate.measure(unequal, np.eye(2)[unequal])["balanced_accuracy"] == 1


def test_of_many_classes_the_matrix_shows_those_with_the_most_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.diag(np.full(1000, 5))
    counts[700, 999] = 3
    figures: list[Figure] = []
    monkeypatch.setattr(evaluate.pictures, "save", lambda figure, *_, **__: figures.append(figure))
    evaluate.pictures.draw_confusion_matrix(counts, [f"class {each}" for each in range(1000)], tmp_path / "many.png")
    (axes,) = figures[0].axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == 30
    assert labels[-2:] == ["class 700", "class 999"]
    assert "3 of 5,003 misread\nthe 30 of 1,000 classes with the most errors" in axes.get_title()


def test_colour_images_and_names_in_any_script_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    images = np.random.default_rng(0).random((2, 12, 16, 3), np.float32)
    evaluate.pictures.draw_images(images, ["犬 read as $x", "$"], "title", tmp_path / "colour.png")
    evaluate.pictures.draw_confusion_matrix(np.ones((2, 2), int), ["犬$^", "a" * 100], tmp_path / "matrix.png")
    assert evaluate.pictures.shorten("a" * 100) == "a" * 13 + "…"
    assert all(path.stat().st_size > 1000 for path in (tmp_path / "colour.png", tmp_path / "matrix.png"))
    assert (capsys.readouterr().err, len(recwarn)) == ("", 0)
