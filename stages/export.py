"""Read the model and the validation and test arrays; write models/model.onnx, how it agrees, and a page to draw on."""

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.command import run
from classifier.data import splits
from classifier.data.data_set import DataSet, read_data_set
from classifier.files import whole_file
from classifier.model import layers, onnx_file, runtime
from classifier.model.predictions import Outcome, batches, join, open_session, predict_splits
from classifier.page import document
from classifier.paths import AGREEMENT, MODEL, ONNX, PAGE

if TYPE_CHECKING:
    import keras

HOW_TO_RENEW = "run `dvc repro --force train` to create it again"

# By how much a probability may differ between Keras and ONNX Runtime, by the type in which Keras computes. Measured:
# 0.000002 in float32, 0.022 in bfloat16, which has 8 significant bits (docs/export.md). A wrong layer gives about 1.
TOLERANCE = {"float32": 0.001, "bfloat16": 0.1}

LEAST_CONFIDENT = 0.02  # share of the validation images below the confidence_floor in the file; docs/export.md


def main() -> None:
    """Write the model as ONNX, if ONNX Runtime predicts with it what Keras predicts."""
    data_set = read_data_set()
    held_out = {split: splits.map_split(split) for split in ("validation", "test")}
    network = load_model(data_set)
    try:
        plain = layers.read(network)
        outcomes = predict_splits(open_session(onnx_file.build(plain, data_set), data_set), held_out)
        agreement = {split: compare(outcome, network) for split, outcome in outcomes.items()}
    except ValueError as error:
        raise ValueError(f"{MODEL}: {error}; {HOW_TO_RENEW}") from error
    in_bfloat16 = any(layer.compute_dtype == "bfloat16" for layer in network.layers)
    refuse_disagreement(agreement, "bfloat16" if in_bfloat16 else "float32")

    floor = confidence_floor(outcomes["validation"].confidence) if "validation" in outcomes else 0.0
    model = onnx_file.build(plain, data_set, {"confidence_floor": f"{floor:.4f}"})
    with whole_file(ONNX) as path:
        path.write_bytes(model)
    with whole_file(AGREEMENT) as path:
        path.write_text(json.dumps({"bytes": len(model), **agreement}, indent=2) + "\n")
    misread = misread_images(outcomes["test"])
    normalization, opening = onnx_file.normalization(data_set), opening_image(outcomes["test"])
    description = document.describe(plain, data_set, misread, normalization, floor, opening)
    with whole_file(PAGE) as path:
        size = document.write(path, description)
    for split, measured in agreement.items():
        images = f"{measured['changed_class']:,} of {len(outcomes[split].images):,} {split} images"
        print(f"export: {images} change class, largest difference {measured['largest_difference']:.6f} -> {ONNX}")
    print(f"export: a page to draw on, {size / 1e6:.2f} MB -> {PAGE}")


def load_model(data_set: DataSet) -> "keras.Model":
    """Load the trained network, without its optimizer.

    Raises:
        ValueError: the file is missing or damaged, contains code, or its network has other input or output shapes.
    """
    runtime.start(seed=0)  # prediction uses no random numbers
    import keras

    try:
        model = keras.models.load_model(MODEL, compile=False, safe_mode=True)
        shapes = model.input_shape, model.output_shape
    except Exception as error:  # a damaged file makes Keras raise any exception
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{MODEL}: not a model that can be loaded: {reason}; {HOW_TO_RENEW}") from error
    expected = (None, *data_set.image_shape), (None, len(data_set.classes))
    if shapes != expected:
        raise ValueError(f"{MODEL}: expected input and output shape {expected}, found {shapes}; {HOW_TO_RENEW}")
    return model


def compare(outcome: Outcome, network: "keras.Model") -> dict[str, Any]:
    """Compare the predictions by ONNX Runtime with those by Keras."""
    probabilities = join(network.predict_on_batch(batch) for batch in batches(outcome.images))
    by_keras = outcome._replace(probabilities=probabilities)
    return {
        "largest_difference": round(float(np.abs(probabilities - outcome.probabilities).max()), 6),
        "changed_class": int((by_keras.predicted != outcome.predicted).sum()),
        "errors": {"keras": len(by_keras.errors()), "onnx": len(outcome.errors())},
    }


def refuse_disagreement(agreement: dict[str, dict[str, Any]], precision: str) -> None:
    """Raise ValueError if a probability differs by more than the tolerance for this precision.

    The number of images that change class has no limit of its own: within the tolerance, only close calls do.
    """
    for split, measured in agreement.items():
        if measured["largest_difference"] > TOLERANCE[precision]:
            remedy = "set train.precision to float32" if precision == "bfloat16" else HOW_TO_RENEW
            expected = f"expected the probabilities that Keras computes in {precision} within {TOLERANCE[precision]}"
            raise ValueError(f"{ONNX}: {expected}, found {measured} for the {split} images; {remedy}")


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
