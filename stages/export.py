"""Read the model and the validation and test arrays; write models/model.onnx, how it agrees, and a page to draw on."""

import json
import math
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.command import run
from classifier.data import splits
from classifier.data.data_set import DataSet, read_data_set
from classifier.files import whole_file
from classifier.model import layers, onnx_file, predictions, runtime
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
        session = predictions.load(onnx_file.build(plain, data_set), data_set)
        outcomes = {  # only of splits that have images
            split: (labels.argmax(axis=1), predict(network, images), predictions.predict(session, images))
            for split, (images, labels) in held_out.items()
            if len(images)
        }
    except ValueError as error:
        raise ValueError(f"{MODEL}: {error}; {HOW_TO_RENEW}") from error
    agreement = {split: compare(*outcome) for split, outcome in outcomes.items()}
    check(agreement, "bfloat16" if "bfloat16" in {layer.compute_dtype for layer in network.layers} else "float32")
    floor = confidence_floor(outcomes["validation"][2]) if "validation" in outcomes else 0.0
    model = onnx_file.build(plain, data_set, {"confidence_floor": f"{floor:.4f}"})
    with whole_file(ONNX) as path:
        path.write_bytes(model)
    with whole_file(AGREEMENT) as path:
        path.write_text(json.dumps({"bytes": len(model), **agreement}, indent=2) + "\n")
    misread = misread_images(held_out["test"][0], outcomes["test"][0], outcomes["test"][2])
    with whole_file(PAGE) as path:
        size = document.write(path, plain, data_set, misread, onnx_file.normalization(data_set), floor)
    for split, found in agreement.items():
        images = (
            f"{found['changed_class']:,} of {len(outcomes[split][0]):,} {split} images in another class than by Keras"
        )
        print(f"export: {images}, largest difference {found['largest_difference']:.6f} -> {ONNX}")
    print(f"export: a page to draw on, {size / 1e6:.2f} MB{'' if size < 1e6 else ', over 1 MB'} -> {PAGE}")


def load_model(data_set: DataSet) -> "keras.Model":
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
    expected = (None, *data_set.image_shape), (None, len(data_set.classes))
    if found != expected:
        shapes = [f"input shape {each[0]} and output shape {each[1]}" for each in (expected, found)]
        raise ValueError(f"{MODEL}: expected {shapes[0]}, found {shapes[1]}; {HOW_TO_RENEW}")
    return model


def predict(network: "keras.Model", images: np.memmap) -> np.ndarray:
    """Return what `predictions.predict` does, computed by Keras."""
    found = [network.predict_on_batch(batch) for batch in predictions.batches(images)]
    return predictions.check(np.concatenate(found))


def confidence_floor(probabilities: np.ndarray) -> float:
    """Return the confidence, rounded down to four digits, that LEAST_CONFIDENT of these images do not reach."""
    return math.floor(float(np.quantile(probabilities.max(axis=1), LEAST_CONFIDENT)) * 1e4) / 1e4


def compare(actual: np.ndarray, by_keras: np.ndarray, by_onnx: np.ndarray) -> dict[str, Any]:
    """Compare two predictions of the same images, float32 (n, classes) each."""
    classes = {"keras": by_keras.argmax(axis=1), "onnx": by_onnx.argmax(axis=1)}
    return {
        "largest_difference": round(float(np.abs(by_keras - by_onnx).max()), 6),
        "changed_class": int((classes["keras"] != classes["onnx"]).sum()),
        "errors": {name: int((predicted != actual).sum()) for name, predicted in classes.items()},
    }


def misread_images(images: np.ndarray, actual: np.ndarray, probabilities: np.ndarray) -> list[document.Misread]:
    """Return the images that are misread, the most confident errors first."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = predictions.most_confidently_wrong(actual, predicted, confidence)
    return [(images[row], int(actual[row]), int(predicted[row]), float(confidence[row])) for row in rows]


def check(agreement: dict[str, dict[str, Any]], precision: str) -> None:
    """Raise ValueError if a probability differs by more than the tolerance for this precision.

    The number of images that change class has no limit of its own: within the tolerance, only close calls do.
    """
    for split, found in agreement.items():
        if (difference := found["largest_difference"]) > (most := TOLERANCE[precision]):
            remedy = "set train.precision to float32" if precision == "bfloat16" else HOW_TO_RENEW
            images = f"{split} images, of which {found['changed_class']:,} change class"
            expected = f"expected the probabilities that Keras computes in {precision} within {most}"
            raise ValueError(f"{ONNX}: {expected}, found a difference of {difference} in the {images}; {remedy}")


if __name__ == "__main__":
    run("export", main)
