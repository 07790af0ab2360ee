"""Read the ONNX model and the validation and test arrays; write metrics.json, tables and pictures in evaluation/."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from classifier import pictures
from classifier.command import run
from classifier.data import splits
from classifier.data.data_set import DataSet, read_data_set
from classifier.files import save, save_csv
from classifier.model.predictions import Outcome, open_session, predict_splits
from classifier.paths import CONFUSION_MATRIX, METRICS, MISCLASSIFIED, ONNX, PER_CLASS, PREDICTIONS

HOW_TO_RENEW = "run `dvc repro --force export` to create it again"

UNEQUAL = 1.5  # times as many images in the largest class as in the smallest; MNIST's test images have 1.3


def main() -> None:
    """Predict each validation and test image once, and write metrics, tables and pictures."""
    data_set = read_data_set()
    held_out = {split: splits.map_split(split) for split in ("validation", "test")}
    try:
        outcomes = predict_splits(open_session(ONNX.read_bytes(), data_set), held_out)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{ONNX}: {error}; {HOW_TO_RENEW}") from error
    metrics = {split: measure(outcome) for split, outcome in outcomes.items()}
    save_csv(PREDICTIONS, ["split", "image", "actual", "predicted", "confidence"], rows_of(outcomes))

    # The table of classes and the pictures show the test images only.
    counts = confusion_matrix(outcomes["test"])
    save_csv(PER_CLASS, *per_class(data_set, counts))
    title = f"Test images: {metrics['test']['errors']:,} of {counts.sum():,} misread"
    save(CONFUSION_MATRIX, pictures.draw_matrix(counts, data_set.classes, title))
    save(MISCLASSIFIED, draw_errors(outcomes["test"], data_set))
    save(METRICS, json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    for split, measured in metrics.items():
        errors = f"{measured['errors']:,} errors in {len(outcomes[split].images):,} {split} images"
        accuracies = [f"{key.replace('_', ' ')} {measured[key]:.4f}" for key in measured if "accuracy" in key]
        print(f"evaluate: {errors}, {', '.join(accuracies)} -> {METRICS}")
    if warning := data_set.warning():
        print(f"evaluate: {warning}", file=sys.stderr)


def measure(outcome: Outcome) -> dict[str, Any]:
    """Return accuracy (0 to 1), loss (mean cross-entropy in nats) and number of errors.

    If the classes have unequal numbers of images, the accuracy is mainly that of the large ones. Then the balanced
    accuracy, the mean of the accuracies of the classes that have images, is returned too.
    """
    counts = confusion_matrix(outcome)
    images, right = counts.sum(axis=1), counts.diagonal()
    measured = {"accuracy": int(right.sum()) / len(outcome.images)}
    if images.max() >= UNEQUAL * images.min():
        measured["balanced_accuracy"] = round(float(np.mean(right[images > 0] / images[images > 0])), 6)
    exact = outcome.probabilities.astype(np.float64)
    of_actual = exact[np.arange(len(exact)), outcome.actual] / exact.sum(axis=1)  # float32 does not sum to 1 exactly
    loss = -np.log(of_actual.clip(np.finfo(np.float64).eps)).mean()  # without the limit, infinite at a probability of 0
    return measured | {"loss": round(float(loss), 6), "errors": len(outcome.errors())}


def confusion_matrix(outcome: Outcome) -> np.ndarray:
    """Return the number of images by class, int (classes, classes): rows actual, columns predicted."""
    counts = np.zeros((outcome.probabilities.shape[1],) * 2, int)
    np.add.at(counts, (outcome.actual, outcome.predicted), 1)
    return counts


def rows_of(outcomes: Mapping[str, Outcome]) -> Iterator[Sequence[Any]]:
    """Yield a row for each image: split, image (counted from 0), actual, predicted, confidence (0 to 1)."""
    for split, outcome in outcomes.items():
        columns = outcome.actual, outcome.predicted, outcome.confidence.tolist()
        for image, row in enumerate(zip(*columns, strict=True)):
            yield split, image, *row


def per_class(data_set: DataSet, counts: np.ndarray) -> tuple[Sequence[str], Iterator[Sequence[Any]]]:
    """Return the header and a row for each class; precision, recall and F1 are 0 to 1, and 0 if nothing is counted."""
    images, predicted, right = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    table = {
        "class": range(len(counts)),
        **({"name": data_set.classes} if data_set.named else {}),
        "images": images,
        "errors": images - right,
        "precision": right / predicted.clip(1),
        "recall": right / images.clip(1),
        "f1": 2 * right / (images + predicted).clip(1),
    }
    return list(table), zip(*table.values(), strict=True)


def draw_errors(outcome: Outcome, data_set: DataSet) -> bytes:
    """Draw the images with the most confident errors, as a PNG."""
    rows, names = outcome.errors()[:25], [pictures.shorten(name) for name in data_set.classes]
    columns = outcome.actual[rows], outcome.predicted[rows], outcome.confidence[rows]
    arrow = " → " if max(map(len, names)) < 4 else "\n→ "
    captions = [
        f"{names[actual]}{arrow}{names[predicted]}\n{confidence:.3f}"
        for actual, predicted, confidence in zip(*columns, strict=True)
    ]
    title = "The most confidently misclassified test images:\nactual → predicted, confidence"
    return pictures.draw_images(outcome.images[rows], captions, title, data_set.inverted)


if __name__ == "__main__":
    run("evaluate", main)
