"""Read the ONNX model and the validation and test arrays; write metrics.json, tables and pictures in evaluation/."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

from classifier import pictures
from classifier.command import run
from classifier.data import splits
from classifier.data.data_set import DataSet, read_data_set
from classifier.files import save_csv, whole_file
from classifier.model import predictions
from classifier.paths import CONFUSION_MATRIX, METRICS, MISCLASSIFIED, ONNX, PER_CLASS, PREDICTIONS

HOW_TO_RENEW = "run `dvc repro --force export` to create it again"

UNEQUAL = 1.5  # times as many images in the largest class as in the smallest; MNIST's test images have 1.3


def main() -> None:
    """Predict each validation and test image once, and write metrics, tables and pictures."""
    held_out = {split: splits.map_split(split) for split in ("validation", "test")}
    data_set = read_data_set()
    try:
        session = predictions.load(ONNX.read_bytes(), data_set)
        outcomes = {  # only of splits that have images
            split: (labels.argmax(axis=1), predictions.predict(session, images))
            for split, (images, labels) in held_out.items()
            if len(images)
        }
    except ValueError as error:
        raise ValueError(f"{ONNX}: {error}; {HOW_TO_RENEW}") from error
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{ONNX}: missing; {HOW_TO_RENEW}") from error
    metrics = {split: measure(*each) for split, each in outcomes.items()}
    save_csv(PREDICTIONS, ["split", "image", "actual", "predicted", "confidence"], rows_of(outcomes))

    # The table of classes and the pictures show the test images only.
    actual, probabilities = outcomes["test"]
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    worst = predictions.most_confidently_wrong(actual, predicted, confidence)[:25]
    labels = range(len(data_set.classes))
    save_per_class(data_set, per_class(actual, predicted, len(labels)))
    with whole_file(CONFUSION_MATRIX) as path:
        counts = confusion_matrix(actual, predicted, labels=labels)
        pictures.draw_confusion_matrix(counts, data_set.classes, path)
    with whole_file(MISCLASSIFIED) as path:
        names = [pictures.shorten(name) for name in data_set.classes]
        captions = [f"{names[actual[i]]} read as {names[predicted[i]]}\nconfidence {confidence[i]:.3f}" for i in worst]
        test_images, _ = held_out["test"]
        pictures.draw_images(test_images[worst], captions, "The most confidently misclassified test images", path)
    with whole_file(METRICS) as path:
        path.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    for split, measured in metrics.items():
        errors = f"{measured['errors']:,} errors in {len(outcomes[split][0]):,} {split} images"
        accuracies = [f"{key.replace('_', ' ')} {measured[key]:.4f}" for key in measured if "accuracy" in key]
        print(f"evaluate: {errors}, {', '.join(accuracies)} -> {METRICS}")
    if warning := data_set.warning():
        print(f"evaluate: {warning}", file=sys.stderr)


def rows_of(outcomes: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Iterable[Sequence[Any]]:
    """Yield a row for each image: split, image (counted from 0), actual, predicted, confidence (0 to 1)."""
    for split, (actual, probabilities) in outcomes.items():
        columns = (actual, probabilities.argmax(axis=1), probabilities.max(axis=1).tolist())
        for image, row in enumerate(zip(*columns, strict=True)):
            yield split, image, *row


def measure(actual: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return accuracy (0 to 1), loss (mean cross-entropy in nats) and number of errors.

    If the classes have unequal numbers of images, the accuracy is mainly that of the large ones. Then the balanced
    accuracy, the mean of the accuracies of the classes that have images, is returned too.
    """
    predicted = probabilities.argmax(axis=1)
    exact = probabilities.astype(np.float64)
    loss = log_loss(actual, exact / exact.sum(axis=1, keepdims=True), labels=range(probabilities.shape[1]))
    if not math.isfinite(loss):
        raise ValueError(f"{ONNX}: expected a loss that is a number, found {loss}; {HOW_TO_RENEW}")
    images = np.bincount(actual, minlength=probabilities.shape[1])
    unequal = images.max() >= UNEQUAL * images.min()
    return {
        "accuracy": accuracy_score(actual, predicted),
        **({"balanced_accuracy": balanced_accuracy(actual, predicted)} if unequal else {}),
        "loss": round(loss, 6),
        "errors": int((actual != predicted).sum()),
    }


def balanced_accuracy(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean of the accuracies of the classes that have images."""
    images = np.bincount(actual)
    right = np.bincount(actual[actual == predicted], minlength=len(images))
    return round(float(np.mean(right[images > 0] / images[images > 0])), 6)


def per_class(actual: np.ndarray, predicted: np.ndarray, classes: int) -> Iterable[Sequence[Any]]:
    """Yield a row for each class: its number, its images, errors among them, precision, recall, F1 (each 0 to 1)."""
    scores = precision_recall_fscore_support(actual, predicted, labels=range(classes), zero_division=0)
    for label, (precision, recall, f1, count) in enumerate(zip(*scores, strict=True)):
        errors = int(((actual == label) & (predicted != label)).sum())
        yield label, count, errors, float(precision), float(recall), float(f1)


def save_per_class(data_set: DataSet, rows: Iterable[Sequence[Any]]) -> None:
    """Write the rows of `per_class`, with a column of names if the classes have other names than their numbers."""
    header = ["class", "images", "errors", "precision", "recall", "f1"]
    if data_set.named:
        header.insert(1, "name")
        rows = [(label, data_set.classes[label], *scores) for label, *scores in rows]
    save_csv(PER_CLASS, header, rows)


if __name__ == "__main__":
    run("evaluate", main)
