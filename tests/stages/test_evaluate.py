import csv
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import balanced_accuracy_score, log_loss, precision_recall_fscore_support

from classifier import pictures
from classifier.data import splits
from classifier.data.catalogue import MNIST
from classifier.data.data_set import DataSet
from classifier.model import layers, onnx_file
from classifier.model.predictions import Outcome
from classifier.paths import CONFUSION_MATRIX, METRICS, MISCLASSIFIED, MODEL, ONNX, PER_CLASS, PREDICTIONS
from stages import evaluate, export, train
from tests.classifier.page.test_document import own

OUTPUTS = (METRICS, PREDICTIONS, PER_CLASS, CONFUSION_MATRIX, MISCLASSIFIED)


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """The figures, in the order in which they are drawn; their files are empty."""
    drawn: list[Figure] = []
    monkeypatch.setattr(pictures, "png", lambda figure: drawn.append(figure) or b"")
    return drawn


def test_predictions_and_the_table_of_classes_agree_with_the_metrics(trained):
    rows = list(csv.DictReader(PREDICTIONS.open()))
    assert [row["split"] for row in rows] == ["validation"] * 30 + ["test"] * 60
    for split, images in (("validation", 30), ("test", 60)):
        metrics = json.loads(METRICS.read_text())[split]
        of_split = [row for row in rows if row["split"] == split]
        labels = splits.map_split(split)[1].argmax(axis=1)
        assert [row["image"] for row in of_split] == [str(image) for image in range(images)]
        assert [row["actual"] for row in of_split] == [str(label) for label in labels]
        assert sum(row["actual"] != row["predicted"] for row in of_split) == metrics["errors"]
    assert all(0.1 <= float(row["confidence"]) <= 1 for row in rows)
    digits = list(csv.DictReader(PER_CLASS.open()))
    assert sum(int(digit["images"]) for digit in digits) == len(of_split)
    assert sum(int(digit["errors"]) for digit in digits) == metrics["errors"]


def test_evaluating_again_gives_the_same_bytes(trained, monkeypatch):
    first = [path.read_bytes() for path in OUTPUTS]
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)  # as in a user's matplotlibrc
    evaluate.main()
    assert [path.read_bytes() for path in OUTPUTS] == first
    for path in (CONFUSION_MATRIX, MISCLASSIFIED):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert b"Software" not in path.read_bytes()  # it names Matplotlib's version
    assert not any(b"\r" in path.read_bytes() for path in OUTPUTS[:3])  # the same on Windows


def test_the_pictures_show_the_confusion_matrix_and_the_misread_images(trained, figures):
    evaluate.main()
    matrix, grid = figures
    rows = [row for row in csv.DictReader(PREDICTIONS.open()) if row["split"] == "test"]
    counts = Counter((int(row["actual"]), int(row["predicted"])) for row in rows)
    (axes,) = matrix.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")
    assert {text.get_position()[::-1]: int(text.get_text()) for text in axes.texts} == counts
    shades = axes.images[0].get_array()
    assert shades.mask.diagonal().all()  # its counts would hide the errors
    assert {place: shades[place] for place in zip(*np.nonzero(shades.filled(0)), strict=True)} == {
        (actual, predicted): count for (actual, predicted), count in counts.items() if actual != predicted
    }
    assert axes.get_title() == f"Test images: {shades.sum()} of 60 misread"

    wrong = [row for row in rows if row["actual"] != row["predicted"]]
    wrong.sort(key=lambda row: -float(row["confidence"]))
    images = splits.map_split("test")[0]
    (axes,) = grid.axes
    assert len(axes.images) == len(axes.texts) == 25 < len(wrong)
    for drawn, caption, row in zip(axes.images, axes.texts, wrong, strict=False):
        assert caption.get_text() == f"{row['actual']} → {row['predicted']}\n{float(row['confidence']):.3f}"
        assert caption.get_fontsize() >= 10  # points, of 100 pixels an inch
        assert np.array_equal(drawn.get_array(), images[int(row["image"])][..., 0])


def test_inverted_images_are_drawn_as_they_were(figures):
    for channels, drawn in ((1, 0.25), (3, 0.75)):  # grey is drawn as ink
        light = replace(own((2, 2, channels), ("Ankle boot", "Bag")), inverted=True)
        some = outcome([0], [1], 2)._replace(images=np.full((1, 2, 2, channels), 0.25))
        evaluate.draw_errors(some, light)
        axes = figures[-1].axes[0]
        assert np.unique(axes.images[0].get_array()) == drawn
        assert axes.texts[0].get_text().startswith("Ankle boot\n→ Bag\n0.")


EIGHT = replace(MNIST, classes=MNIST.classes[:8])  # as many as the layer before the last has outputs


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (lambda _: b"", "not a model that can be loaded"),
        (lambda plain: onnx_file.build(plain[:-2], EIGHT), "28, 28, 1]), ('probabilities', ['n', 8])]"),
        (lambda plain: onnx_file.build(plain[:-1], MNIST), "predicts numbers that are not probabilities"),
    ],
)
def test_a_damaged_or_wrong_model_is_refused_in_one_line_and_the_old_outputs_stay(trained, refusal, damaged, message):
    first = [path.read_bytes() for path in OUTPUTS]
    ONNX.write_bytes(damaged(layers.read(MODEL).layers))
    line = refusal("evaluate", evaluate.main)
    assert line.startswith("evaluate: models/model.onnx: ")
    assert message in line
    assert line.endswith("run `dvc repro --force export` to create it again")
    assert [path.read_bytes() for path in OUTPUTS] == first


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "float64": lambda path: np.save(path, np.load(path).astype(float)),
    "few images": lambda path: np.save(path, np.load(path)[:3]),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize(("stage", "split"), [(evaluate, "test"), (export, "test"), (train, "train")])
def test_a_damaged_array_and_one_with_too_few_images_is_refused_in_one_line(trained, refusal, damage, stage, split):
    damage(splits.images_path(split))
    line = refusal("stage", stage.main)
    assert line.startswith(f"stage: {splits.PROCESSED}/{split}_")
    assert line.endswith("run `dvc repro --force preprocess` to create it again")


def outcome(actual: list[int], predicted: list[int], classes: int) -> Outcome:
    """Images of which each is read with a confidence between 0.6 and 1."""
    random = np.random.default_rng(0).uniform(0.4 / classes, 0.6, len(actual))[:, np.newaxis]
    probabilities = (1 - random) * np.eye(classes)[predicted] + random / classes
    return Outcome(np.zeros((len(actual), 2, 2, 1)), np.array(actual), probabilities.astype(np.float32))


def test_the_metrics_and_the_table_of_classes_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    actual, predicted = random.integers(0, 4, 200).tolist(), random.integers(0, 5, 200).tolist()
    some = outcome(actual, predicted, 6)  # class 4 has no images, class 5 is not predicted either
    named = DataSet("own", ("cat", "dog, $1", *"2345"), MNIST.arrays)
    header, rows = evaluate.per_class(named, evaluate.confusion_matrix(some))
    labels, names, *columns = zip(*rows, strict=True)
    assert list(header) == ["class", "name", "images", "errors", "precision", "recall", "f1"]
    assert (labels, names) == (tuple(range(6)), named.classes)
    scores = precision_recall_fscore_support(actual, predicted, labels=range(6), zero_division=0)
    np.testing.assert_allclose([*columns[2:], columns[0]], scores)
    assert sum(columns[1]) == evaluate.measure(some)["errors"]
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        balanced = balanced_accuracy_score(actual, predicted)
    assert evaluate.measure(some)["balanced_accuracy"] == pytest.approx(balanced, abs=1e-6)
    loss = log_loss(actual, some.probabilities, labels=range(6))
    assert evaluate.measure(some)["loss"] == pytest.approx(loss, abs=1e-6)


def test_the_loss_is_finite_at_a_probability_of_0():
    assert evaluate.measure(Outcome(np.zeros((1, 2, 2, 1)), np.array([0]), np.array([[0.0, 1.0]])))["loss"] > 36


@pytest.mark.parametrize(("images", "unequal"), [((29, 20), False), ((30, 20), True)])
def test_balanced_accuracy_is_only_measured_if_classes_are_unequal(images, unequal):
    labels = np.repeat([0, 1], images).tolist()
    assert ("balanced_accuracy" in evaluate.measure(outcome(labels, labels, 2))) is unequal


def test_of_many_classes_the_matrix_shows_those_with_the_most_errors(figures):
    counts = np.diag(np.full(1000, 5))
    counts[700, 999] = 3
    pictures.draw_matrix(counts, [f"class {label}" for label in range(1000)], "title")
    (axes,) = figures[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()][28:] == ["class 700", "class 999"]
    assert "the 30 of 1,000 classes with the most errors" in axes.get_title()


def test_colour_images_names_in_any_script_and_no_images_are_drawn(capsys, recwarn):
    images = np.random.default_rng(0).random((2, 12, 16, 3), np.float32)
    colour = pictures.draw_images(images, ["犬 read as $x", "$"], "title")
    none = pictures.draw_images(images[:0], [], "none")
    matrix = pictures.draw_matrix(np.ones((2, 2), int), ["犬$^", "a" * 100], "title")
    assert pictures.shorten("a" * 100) == "a" * 13 + "…"
    assert all(len(drawn) > 1000 for drawn in (colour, none, matrix))
    assert (capsys.readouterr().err, len(recwarn)) == ("", 0)
