"""Read the model and the test arrays and write metrics.json and evaluation/: predictions, per-digit table, pictures."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

from stages import dataset, pictures, runtime, source, table
from stages.command import run
from stages.whole_file import whole_file

MODEL = Path("models/model.keras")
PROVENANCE = Path("models/provenance.json")
METRICS = Path("metrics.json")
PREDICTIONS = Path("evaluation/predictions.csv")
PER_DIGIT = Path("evaluation/per_digit.csv")
CONFUSION_MATRIX = Path("evaluation/confusion_matrix.png")
MISCLASSIFIED = Path("evaluation/misclassified.png")

DIGITS = range(dataset.CLASSES)
BATCH = 1000  # images predicted at once; their activations take about 150 MB


def main() -> None:
    """Predict every test image once, and write what follows from that."""
    images, labels = dataset.load("test")
    train_images = json.loads(PROVENANCE.read_text())["images"]["train"]
    warning = source.load().warning()
    actual = labels.argmax(axis=1)
    probabilities = predict(images)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    metrics = {"train": {"images": train_images}, "test": measure(actual, probabilities)}
    worst = most_confidently_wrong(actual, predicted, confidence, 25)
    rows = zip(range(len(actual)), actual, predicted, confidence.tolist(), strict=True)
    table.save(PREDICTIONS, ["image", "actual", "predicted", "confidence"], rows)
    table.save(PER_DIGIT, ["digit", "images", "errors", "precision", "recall", "f1"], per_digit(actual, predicted))
    with whole_file(CONFUSION_MATRIX) as path:
        pictures.draw_confusion_matrix(confusion_matrix(actual, predicted, labels=DIGITS), path)
    with whole_file(MISCLASSIFIED) as path:
        captions = [f"{actual[i]} read as {predicted[i]}\nconfidence {confidence[i]:.3f}" for i in worst]
        pictures.draw_digits(images[worst], captions, "The most confidently misclassified test images", path)
    with whole_file(METRICS) as path:
        path.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    test = metrics["test"]
    counts = f"{test['errors']:,} errors in {test['images']:,} test images"
    print(f"evaluate: {counts}, accuracy {test['accuracy']:.4f} -> {METRICS}")
    if warning:
        print(f"evaluate: {warning}", file=sys.stderr)


def predict(images: np.ndarray) -> np.ndarray:
    """Return float32 (n, 10) probabilities of float32 (n, 28, 28, 1) images in 0..1.

    Raises:
        ValueError: the model predicts something that is not a number.
    """
    runtime.start(seed=0)  # prediction draws nothing; any seed does
    import keras

    model = keras.models.load_model(MODEL, compile=False, safe_mode=True)
    probabilities: np.ndarray = model.predict(images, batch_size=BATCH, verbose=0)
    if not np.isfinite(probabilities).all():
        raise ValueError(
            f"{MODEL}: predicts probabilities that are not numbers; train it again at a lower learning rate"
        )
    return probabilities


def measure(actual: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return accuracy (0 to 1), loss (mean cross-entropy in nats), and the counts of errors and images."""
    predicted = probabilities.argmax(axis=1)
    exact = probabilities.astype(np.float64)
    loss = log_loss(actual, exact / exact.sum(axis=1, keepdims=True), labels=DIGITS)
    if not math.isfinite(loss):
        raise ValueError(f"the test loss is {loss}; expected a number")
    return {
        "accuracy": accuracy_score(actual, predicted),
        "loss": round(loss, 6),
        "errors": int((actual != predicted).sum()),
        "images": len(actual),
    }


def per_digit(actual: np.ndarray, predicted: np.ndarray) -> Iterable[Sequence[Any]]:
    """Yield a row a digit: digit, its images, how many of them were misread, precision, recall, F1 (each 0 to 1)."""
    scores = precision_recall_fscore_support(actual, predicted, labels=DIGITS, zero_division=0)
    for digit, precision, recall, f1, count in zip(DIGITS, *scores, strict=True):
        errors = int(((actual == digit) & (predicted != digit)).sum())
        yield digit, count, errors, float(precision), float(recall), float(f1)


def most_confidently_wrong(actual: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, most: int) -> np.ndarray:
    """Return the rows of at most `most` wrong predictions, the most confident first, ties in the order of rows."""
    wrong = np.flatnonzero(actual != predicted)
    return wrong[np.argsort(-confidence[wrong], kind="stable")][:most]


if __name__ == "__main__":
    run("evaluate", main)
