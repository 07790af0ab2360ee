"""Read the model and the validation and test arrays; write metrics.json, and tables and pictures in evaluation/."""

import json
import math
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

from classifier.data import batches, delivered, splits
from classifier.files import pictures, table
from classifier.files.paths import CONFUSION_MATRIX, METRICS, MISCLASSIFIED, MODEL, PER_DIGIT, PREDICTIONS
from classifier.files.whole_file import whole_file
from classifier.model import runtime
from classifier.running.command import run

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


HOW_TO_RENEW = "run `dvc repro --force train` to create it again"

DIGITS = range(splits.CLASSES)
BATCH = 100  # images predicted at once; larger batches would need more memory than training


def main() -> None:
    """Predict each validation and test image once, and write metrics, tables and pictures."""
    held_out = {split: splits.load(split) for split in ("validation", "test")}
    warning = delivered.load().warning()
    model = load_model()
    outcomes = {  # only of splits that have images
        split: (labels.argmax(axis=1), predict(model, batches.load(split, BATCH)))
        for split, (images, labels) in held_out.items()
        if len(images)
    }
    metrics = {split: measure(*each) for split, each in outcomes.items()}
    table.save(PREDICTIONS, ["split", "image", "actual", "predicted", "confidence"], rows_of(outcomes))

    # The table of digits and the pictures show the test images only.
    actual, probabilities = outcomes["test"]
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    worst = most_confidently_wrong(actual, predicted, confidence, 25)
    table.save(PER_DIGIT, ["digit", "images", "errors", "precision", "recall", "f1"], per_digit(actual, predicted))
    with whole_file(CONFUSION_MATRIX) as path:
        pictures.draw_confusion_matrix(confusion_matrix(actual, predicted, labels=DIGITS), path)
    with whole_file(MISCLASSIFIED) as path:
        captions = [f"{actual[i]} read as {predicted[i]}\nconfidence {confidence[i]:.3f}" for i in worst]
        test_images, _ = held_out["test"]
        pictures.draw_digits(test_images[worst], captions, "The most confidently misclassified test images", path)
    with whole_file(METRICS) as path:
        path.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    for split, (labels, _) in outcomes.items():
        counts = f"{metrics[split]['errors']:,} errors in {len(labels):,} {split} images"
        print(f"evaluate: {counts}, accuracy {metrics[split]['accuracy']:.4f} -> {METRICS}")
    if warning:
        print(f"evaluate: {warning}", file=sys.stderr)


def load_model() -> "keras.Model":
    """Load the trained network, without its optimizer.

    Raises:
        ValueError: the file is damaged, contains code, or its network has other input or output shapes.
    """
    if not zipfile.is_zipfile(MODEL):
        raise ValueError(f"{MODEL}: missing, or not a whole .keras file; {HOW_TO_RENEW}")
    runtime.start(seed=0)  # prediction uses no random numbers
    import keras

    try:
        model = keras.models.load_model(MODEL, compile=False, safe_mode=True)
        found = model.input_shape, model.output_shape
    except Exception as error:  # a damaged file makes Keras raise any exception
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{MODEL}: not a model that can be loaded: {reason}; {HOW_TO_RENEW}") from error
    expected = (None, *splits.IMAGE_SHAPE), (None, splits.CLASSES)
    if found != expected:
        shapes = [f"input shape {each[0]} and output shape {each[1]}" for each in (expected, found)]
        raise ValueError(f"{MODEL}: expected {shapes[0]}, found {shapes[1]}; {HOW_TO_RENEW}")
    return model


def predict(model: "keras.Model", images: "tf.data.Dataset") -> np.ndarray:
    """Return float32 (n, 10): the probability of each digit for each image, in the order of the batches.

    Raises:
        ValueError: a prediction is not a number or not a probability.
    """
    probabilities: np.ndarray = model.predict(images, verbose=0)
    if not np.isfinite(probabilities).all():
        raise ValueError(
            f"{MODEL}: predicts probabilities that are not numbers; lower train.learning_rate and run `dvc repro`"
        )
    if probabilities.min() < 0 or np.abs(probabilities.sum(axis=1) - 1).max() > 0.01:
        raise ValueError(f"{MODEL}: predicts ten numbers that are not probabilities; {HOW_TO_RENEW}")
    return probabilities


def rows_of(outcomes: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Iterable[Sequence[Any]]:
    """Yield a row for each image: split, image (counted from 0), actual, predicted, confidence (0 to 1)."""
    for split, (actual, probabilities) in outcomes.items():
        columns = (actual, probabilities.argmax(axis=1), probabilities.max(axis=1).tolist())
        for image, row in enumerate(zip(*columns, strict=True)):
            yield split, image, *row


def measure(actual: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return accuracy (0 to 1), loss (mean cross-entropy in nats) and number of errors."""
    predicted = probabilities.argmax(axis=1)
    exact = probabilities.astype(np.float64)
    loss = log_loss(actual, exact / exact.sum(axis=1, keepdims=True), labels=DIGITS)
    if not math.isfinite(loss):
        raise ValueError(f"{MODEL}: expected a loss that is a number, found {loss}; {HOW_TO_RENEW}")
    return {
        "accuracy": accuracy_score(actual, predicted),
        "loss": round(loss, 6),
        "errors": int((actual != predicted).sum()),
    }


def per_digit(actual: np.ndarray, predicted: np.ndarray) -> Iterable[Sequence[Any]]:
    """Yield a row for each digit: digit, its images, errors among them, precision, recall, F1 (each 0 to 1)."""
    scores = precision_recall_fscore_support(actual, predicted, labels=DIGITS, zero_division=0)
    for digit, precision, recall, f1, count in zip(DIGITS, *scores, strict=True):
        errors = int(((actual == digit) & (predicted != digit)).sum())
        yield digit, count, errors, float(precision), float(recall), float(f1)


def most_confidently_wrong(actual: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, most: int) -> np.ndarray:
    """Return the rows of up to `most` errors, the most confident first; equal confidence keeps the order of rows."""
    wrong = np.flatnonzero(actual != predicted)
    return wrong[np.argsort(-confidence[wrong], kind="stable")][:most]


if __name__ == "__main__":
    run("evaluate", main)
