"""Read the model, Keras's predictions and the arrays; write models/model.onnx, how it agrees, and a page to draw on."""

import json
import math
from typing import Any

import numpy as np

from classifier.command import run
from classifier.data import splits
from classifier.data.data_set import DataSet, read_data_set
from classifier.files import save, whole_file
from classifier.model import layers, onnx_file
from classifier.model.predictions import Outcome, open_session, predict_splits
from classifier.page import document
from classifier.paths import AGREEMENT, BY_KERAS, MODEL, ONNX, PAGE

HOW_TO_RENEW = "run `dvc repro --force train` to create it again"

# By how much a probability may differ between Keras and ONNX Runtime, by the type in which Keras computes. Measured:
# 0.000002 in float32, 0.022 in bfloat16, which has 8 significant bits (docs/export.md). A wrong layer gives about 1.
TOLERANCE = {"float32": 0.001, "bfloat16": 0.1}

LEAST_CONFIDENT = 0.02  # share of the validation images below the confidence_floor in the file; docs/export.md


def main() -> None:
    """Write the model as ONNX, if ONNX Runtime predicts with it what Keras predicts."""
    data_set = read_data_set()
    held_out = {split: splits.map_split(split) for split in ("validation", "test")}
    split, images, labels = splits.map_compared()
    network = read_network(data_set)
    try:
        session = open_session(onnx_file.build(network.layers, data_set), data_set)
        outcomes = predict_splits(session, {**held_out, split: (images, labels)})
        agreement = compare(outcomes[split], np.load(BY_KERAS))
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{MODEL}: {error}; {HOW_TO_RENEW}") from error
    refuse_disagreement(agreement, split, network.precision)

    floor = confidence_floor(outcomes["validation"].confidence) if "validation" in outcomes else 0.0
    model = onnx_file.build(network.layers, data_set, {"confidence_floor": f"{floor:.4f}"})
    save(ONNX, model)
    save(AGREEMENT, json.dumps({"bytes": len(model), split: agreement}, indent=2) + "\n")
    misread = misread_images(outcomes["test"])
    normalization, opening = onnx_file.normalization(data_set), opening_image(outcomes["test"])
    description = document.describe(network.layers, data_set, misread, normalization, floor, opening)
    with whole_file(PAGE) as path:
        size = document.write(path, description)
    changed = f"{agreement['changed_class']:,} of {len(images):,} {split} images change class"
    print(f"export: {changed}, largest difference {agreement['largest_difference']:.6f} -> {ONNX}")
    print(f"export: a page to draw on, {size / 1e6:.2f} MB -> {PAGE}")


def read_network(data_set: DataSet) -> layers.Network:
    """Read the trained network.

    Raises:
        ValueError: the file is missing or damaged, or its network has other input or output shapes.
    """
    try:
        network = layers.read(MODEL)
        shapes = network.image_shape, network.outputs
    except Exception as error:  # the libraries for zip, JSON and HDF5 have no common one
        raise ValueError(f"{MODEL}: not a model that can be read: {error}; {HOW_TO_RENEW}") from error
    if shapes != (data_set.image_shape, len(data_set.classes)):
        expected = f"images of {data_set.image_shape} and {len(data_set.classes)} classes"
        raise ValueError(f"{MODEL}: expected {expected}, found {shapes[0]} and {shapes[1]}; {HOW_TO_RENEW}")
    return network


def compare(outcome: Outcome, probabilities: np.ndarray) -> dict[str, Any]:
    """Compare the predictions by ONNX Runtime with the probabilities by Keras."""
    by_keras = outcome._replace(probabilities=probabilities)
    return {
        "largest_difference": round(float(np.abs(probabilities - outcome.probabilities).max()), 6),
        "changed_class": int((by_keras.predicted != outcome.predicted).sum()),
        "errors": {"keras": len(by_keras.errors()), "onnx": len(outcome.errors())},
    }


def refuse_disagreement(agreement: dict[str, Any], split: str, precision: str) -> None:
    """Raise ValueError if a probability differs by more than the tolerance for this precision.

    The number of images that change class has no limit of its own: within the tolerance, only close calls do.
    """
    if agreement["largest_difference"] > TOLERANCE[precision]:
        remedy = "set train.precision to float32" if precision == "bfloat16" else HOW_TO_RENEW
        expected = f"expected the probabilities that Keras computes in {precision} within {TOLERANCE[precision]}"
        raise ValueError(f"{ONNX}: {expected}, found {agreement} for the {split} images; {remedy}")


def confidence_floor(confidence: np.ndarray) -> float:
    """Return the confidence, rounded down to four digits, that LEAST_CONFIDENT of these images do not reach."""
    return math.floor(float(np.quantile(confidence, LEAST_CONFIDENT)) * 1e4) / 1e4


def misread_images(outcome: Outcome) -> list[document.Misread]:
    """Return the images that are misread, the most confident errors first."""
    images, actual, predicted, confidence = outcome.images, outcome.actual, outcome.predicted, outcome.confidence
    return [(images[row], int(actual[row]), int(predicted[row]), float(confidence[row])) for row in outcome.errors()]


def opening_image(outcome: Outcome) -> tuple[np.ndarray, int]:
    """Return the image that is read right with the highest confidence, or the first if none is; and its class."""
    row = int(np.argmax(np.where(outcome.actual == outcome.predicted, outcome.confidence, 0)))
    return outcome.images[row], int(outcome.actual[row])


if __name__ == "__main__":
    run("export", main)
