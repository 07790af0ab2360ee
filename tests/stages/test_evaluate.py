import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stages import cnn, dataset, evaluate, keras_archive
from stages.source import SOURCE, Source


@pytest.fixture
def model(project: Path, keras: ModuleType) -> None:
    """An untrained small network, sixty random test images, thirty to validate, and no training arrays."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    dataset.PROCESSED.mkdir(parents=True)
    for split, count in (("test", 60), ("validation", 30)):
        np.save(dataset.images_path(split), random.random((count, 28, 28, 1), np.float32))
        np.save(dataset.labels_path(split), np.eye(10, dtype=np.float32)[random.integers(0, 10, count)])
    SOURCE.parent.mkdir(parents=True)
    Source("mnist", "mnist").save(SOURCE)
    evaluate.MODEL.parent.mkdir()
    keras_archive.save(cnn.build([4], 3, [8]), evaluate.MODEL)


def test_the_metrics_are_kerass_own(model: None, keras: ModuleType) -> None:
    evaluate.main()
    network = keras.models.load_model(evaluate.MODEL)
    network.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    metrics = json.loads(evaluate.METRICS.read_text())
    assert list(metrics) == ["validation", "test"]
    for split, images in (("validation", 30), ("test", 60)):
        loss, accuracy = network.evaluate(*dataset.load(split), verbose=0)
        assert metrics[split] == {
            "accuracy": pytest.approx(accuracy),
            "loss": pytest.approx(loss, abs=1e-5),
            "errors": round(images * (1 - accuracy)),
            "images": images,
        }


def test_without_validation_images_there_are_no_metrics_of_them(model: None) -> None:
    np.save(dataset.images_path("validation"), np.zeros((0, 28, 28, 1), np.float32))
    np.save(dataset.labels_path("validation"), np.zeros((0, 10), np.float32))
    evaluate.main()
    assert list(json.loads(evaluate.METRICS.read_text())) == ["test"]
    assert "validation" not in evaluate.PREDICTIONS.read_text()


def test_predictions_and_the_per_digit_table_agree_with_the_metrics(model: None) -> None:
    evaluate.main()
    rows = list(csv.DictReader(evaluate.PREDICTIONS.open()))
    assert [row["split"] for row in rows] == ["validation"] * 30 + ["test"] * 60
    for split, images in (("validation", 30), ("test", 60)):
        metrics = json.loads(evaluate.METRICS.read_text())[split]
        of_split = [row for row in rows if row["split"] == split]
        labels = dataset.load(split)[1].argmax(axis=1)
        assert [row["image"] for row in of_split] == [str(image) for image in range(images)]
        assert [row["actual"] for row in of_split] == [str(label) for label in labels]
        assert sum(row["actual"] != row["predicted"] for row in of_split) == metrics["errors"]
    assert all(0.1 <= float(row["confidence"]) <= 1 for row in rows)
    digits = list(csv.DictReader(evaluate.PER_DIGIT.open()))
    assert sum(int(digit["images"]) for digit in digits) == metrics["images"]
    assert sum(int(digit["errors"]) for digit in digits) == metrics["errors"]


def test_evaluating_twice_gives_the_same_bytes_pictures_too(model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = [evaluate.METRICS, evaluate.PREDICTIONS, evaluate.PER_DIGIT]
    pictures = [evaluate.CONFUSION_MATRIX, evaluate.MISCLASSIFIED]
    evaluate.main()
    first = [path.read_bytes() for path in outputs + pictures]
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)  # as a user's matplotlibrc may say
    evaluate.main()
    assert [path.read_bytes() for path in outputs + pictures] == first
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size < 100_000 for path in pictures)


def test_a_stand_in_data_set_is_told_again(model: None, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main()
    assert capsys.readouterr().err == ""
    Source("mnist-5k", "mnist").save(SOURCE)
    evaluate.main()
    assert "evaluate: warning: mnist-5k stands in for mnist" in capsys.readouterr().err


def test_a_model_that_predicts_no_numbers_is_refused_and_old_metrics_stay(
    model: None, keras: ModuleType, refusal: Callable[..., str]
) -> None:
    evaluate.main()
    before = evaluate.METRICS.read_bytes()
    network = keras.models.load_model(evaluate.MODEL)
    network.set_weights([np.full_like(weights, np.nan) for weights in network.get_weights()])
    keras_archive.save(network, evaluate.MODEL)
    assert "models/model.keras: predicts probabilities that are not numbers" in refusal("evaluate", evaluate.main)
    assert evaluate.METRICS.read_bytes() == before


def test_a_file_that_is_no_model_is_refused_in_one_line(model: None, refusal: Callable[..., str]) -> None:
    evaluate.MODEL.write_bytes(b"not a model")
    assert "models/model.keras" in refusal("evaluate", evaluate.main)


def test_a_perfect_model_leaves_an_empty_grid(tmp_path: Path) -> None:
    actual = np.arange(10)
    worst = evaluate.most_confidently_wrong(actual, actual, np.ones(10), 25)
    assert len(worst) == 0
    evaluate.pictures.draw_digits(np.zeros((10, 28, 28, 1))[worst], [], "none", tmp_path / "none.png")
    assert (tmp_path / "none.png").exists()


def test_the_most_confident_mistakes_come_first() -> None:
    actual = np.array([0, 0, 0, 0])
    predicted = np.array([1, 0, 2, 3])
    confidence = np.array([0.5, 0.99, 0.9, 0.5])
    assert evaluate.most_confidently_wrong(actual, predicted, confidence, 2).tolist() == [2, 0]


def test_the_table_of_digits_is_right_on_a_worked_example() -> None:
    actual, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    rows = list(evaluate.per_digit(actual, predicted))
    assert rows[0] == (0, 3, 1, 1.0, pytest.approx(2 / 3), pytest.approx(0.8))
    assert rows[1] == (1, 1, 0, 0.5, 1.0, pytest.approx(2 / 3))
    assert rows[9] == (9, 0, 0, 0.0, 0.0, 0.0)
