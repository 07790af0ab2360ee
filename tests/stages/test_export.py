import base64
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from classifier.data import splits
from classifier.data.catalogue import MNIST, MNIST_5K
from classifier.model import architecture, keras_file, layers
from classifier.model.predictions import Outcome
from classifier.paths import AGREEMENT, BY_KERAS, MODEL, ONNX, PAGE
from stages import export, train
from tests.clone import REPOSITORY, finish
from tests.stages.conftest import RECIPE, write_arrays

OUTPUTS = (ONNX, AGREEMENT, PAGE)


def test_the_file_predicts_what_keras_predicts_with_the_model_and_the_metrics_say_so(network):
    session = onnxruntime.InferenceSession(ONNX)
    for split in ("validation", "test"):
        images = np.array(splits.map_split(split)[0])
        by_keras, (by_onnx,) = network.predict_on_batch(images), session.run(None, {"images": images})
        assert np.abs(by_keras - by_onnx).max() < 1e-5
    agreement = json.loads(AGREEMENT.read_text())
    assert list(agreement) == ["bytes", "validation"]
    assert agreement["bytes"] == ONNX.stat().st_size
    actual = splits.map_split("validation")[1].argmax(axis=1)
    errors = int((np.load(BY_KERAS).argmax(axis=1) != actual).sum())
    assert agreement["validation"]["errors"] == {"keras": errors, "onnx": errors}
    assert agreement["validation"]["changed_class"] == 0
    assert agreement["validation"]["largest_difference"] < 1e-5


@pytest.mark.model
def test_keras_and_the_committed_file_predict_the_same_for_all_test_images(keras):
    if not (REPOSITORY / ONNX).exists():
        pytest.skip(f"there is no {ONNX}: run `make repro` first")
    images = np.load(REPOSITORY / splits.images_path("test"))
    by_keras = keras.models.load_model(REPOSITORY / MODEL, compile=False).predict(images, verbose=0)
    (by_onnx,) = onnxruntime.InferenceSession(REPOSITORY / ONNX).run(None, {"images": images})
    assert np.abs(by_keras - by_onnx).max() < export.TOLERANCE[layers.read(REPOSITORY / MODEL).precision]
    assert (by_keras.argmax(axis=1) != by_onnx.argmax(axis=1)).mean() < 0.001


def metadata() -> dict[str, str]:
    about: dict[str, str] = onnxruntime.InferenceSession(ONNX).get_modelmeta().custom_metadata_map
    return about


def test_the_file_names_the_confidence_that_two_in_a_hundred_validation_images_do_not_reach(trained, monkeypatch):
    session = onnxruntime.InferenceSession(ONNX)
    confidence = session.run(None, {"images": splits.map_split("validation")[0]})[0].max(axis=1)
    assert float(metadata()["confidence_floor"]) == pytest.approx(np.quantile(confidence, 0.02) - 5e-5, abs=5.1e-5)
    assert export.confidence_floor(np.linspace(0, 1, 1001)) == 0.02

    write_arrays(MNIST_5K, validation=0)
    monkeypatch.setattr(splits, "COMPARED", 10)
    train.main()
    export.main()  # without validation images, no confidence is too low
    assert metadata()["confidence_floor"] == "0.0000"
    agreement = json.loads(AGREEMENT.read_text())
    assert (list(agreement), len(np.load(BY_KERAS))) == (["bytes", "train"], 10)
    assert agreement["train"]["largest_difference"] < 1e-5


def test_the_page_has_the_floor_and_all_that_is_misread_and_the_same_bytes_come_again(trained):
    images, labels = splits.map_split("test")
    probabilities = onnxruntime.InferenceSession(ONNX).run(None, {"images": images})[0]
    actual, predicted, confidence = labels.argmax(axis=1), probabilities.argmax(axis=1), probabilities.max(axis=1)
    (text,) = re.findall(r'id="network">(.*?)</script>', PAGE.read_text())
    page = json.loads(text)
    assert page["confidence_floor"] == float(metadata()["confidence_floor"])
    assert page["misread"] == (actual != predicted).sum() > 30
    expected = [[a, p, round(float(c), 6)] for a, p, c in zip(actual, predicted, confidence, strict=True) if a != p]
    (right,) = np.nonzero((actual == predicted) & (confidence == confidence[actual == predicted].max()))
    opening = np.frombuffer(base64.b64decode(page["images"]), np.uint8)[-784:].reshape(28, 28, 1)
    assert np.array_equal(opening, np.rint(images[right[0]] * 255))
    assert page["opening"] == actual[right[0]]
    assert page["gallery"] == sorted(expected, key=lambda row: -row[2])[:60]
    before = [path.read_bytes() for path in OUTPUTS]
    export.main()
    assert [path.read_bytes() for path in OUTPUTS] == before


def test_agreement_of_an_example_computed_by_hand():
    by_onnx = np.array([[0.8, 0.2], [0.55, 0.45], [0.2, 0.8]], np.float32)
    outcome = Outcome(np.zeros((3, 2, 2, 1)), np.array([1, 0, 1]), by_onnx)
    assert export.compare(outcome, np.array([[0.7, 0.3]] * 3, np.float32)) == {
        "largest_difference": 0.5,
        "changed_class": 1,
        "errors": {"keras": 2, "onnx": 1},
    }


def test_a_file_that_predicts_otherwise_than_keras_is_refused_and_the_old_outputs_stay(trained, refusal, monkeypatch):
    def with_another_bias(path: Path) -> layers.Network:
        """As a defect in layers.py would read the network."""
        network = read(path)
        first, *others = network.layers
        return network._replace(layers=[replace(first, bias=first.bias + 1), *others])

    before = [path.read_bytes() for path in OUTPUTS]
    read = layers.read
    monkeypatch.setattr(layers, "read", with_another_bias)
    line = refusal("export", export.main)
    assert line.startswith("export: models/model.onnx: expected the probabilities that Keras computes in float32")
    assert [path.read_bytes() for path in OUTPUTS] == before


def test_in_bfloat16_more_is_tolerated_and_float32_is_the_remedy():
    agreement = {"largest_difference": 0.05, "changed_class": 1}
    export.refuse_disagreement(agreement, "validation", "bfloat16")
    with pytest.raises(ValueError, match=r"within 0\.001, found .*0\.05, .* for the validation images"):
        export.refuse_disagreement(agreement, "validation", "float32")
    agreement["largest_difference"] = 0.11
    with pytest.raises(ValueError, match=r"set train\.precision to float32"):
        export.refuse_disagreement(agreement, "validation", "bfloat16")


def test_a_network_trained_in_bfloat16_is_compared_as_such(network, keras):
    """Its weights are rounded. Not all machines have kernels that compute in bfloat16, so by_keras is of float32."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        rounded = architecture.build(MNIST, RECIPE["filters"], RECIPE["kernel_size"], RECIPE["dense_units"])
    finally:
        keras.config.set_dtype_policy("float32")
    rounded.set_weights(network.get_weights())
    keras_file.save(rounded, MODEL)
    export.main()
    difference = json.loads(AGREEMENT.read_text())["validation"]["largest_difference"]
    assert 1e-5 < difference < export.TOLERANCE["bfloat16"]


def test_export_imports_neither_keras_nor_tensorflow(trained):
    script = "import sys; from stages import export; export.main(); print({'keras', 'tensorflow'} & {*sys.modules})"
    done = finish([sys.executable, "-c", script], os.environ | {"PYTHONPATH": str(REPOSITORY)})
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "set()"), done.stderr


def of(*names: str, shape: tuple[int, ...] = (28, 28, 1)) -> Callable[[Path], None]:
    """Save a network of these layers instead."""

    def save(path: Path) -> None:
        import keras

        kinds = {
            "code": keras.layers.Lambda(lambda pixels: pixels, name="lambda"),
            "flatten": keras.layers.Flatten(),
            "dense": keras.layers.Dense(10),
            "softmax": keras.layers.Dense(10, activation="softmax"),
            "rescaling": keras.layers.Rescaling(1.05, name="rescaling"),
        }
        keras.Sequential([keras.Input(shape), *(kinds[name] for name in names)]).save(path)

    return save


OTHER_IMAGES = "expected images of (28, 28, 1) and 10 classes, found"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "not a model that can be read: [Errno 2] No such file or directory"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "not a model that can be read: File is not a zip"),
        (of("flatten", "code", "dense"), "expected layers of classifier/model/architecture.py, found lambda (Lambda)"),
        (of("flatten", "dense", shape=(32, 32, 3)), f"{OTHER_IMAGES} (32, 32, 3) and 10"),
        (of("flatten"), f"{OTHER_IMAGES} (28, 28, 1) and 0"),
        (of("flatten", "dense"), "predicts numbers that are not probabilities"),
        (of("flatten", "softmax", "rescaling"), "of classifier/model/architecture.py, found rescaling (Rescaling)"),
    ],
)
def test_a_damaged_or_wrong_model_is_refused_in_one_line_and_the_old_outputs_stay(trained, refusal, damage, message):
    before = [path.read_bytes() for path in OUTPUTS]
    damage(MODEL)
    line = refusal("export", export.main)
    assert line.startswith("export: models/model.keras: ")
    assert message in line
    assert line.endswith("run `dvc repro --force train` to create it again")
    assert [path.read_bytes() for path in OUTPUTS] == before


def test_the_lines_in_the_document_read_a_picture_with_the_file_alone(network, tmp_path):
    document = (REPOSITORY / "docs/export.md").read_text()
    (lines,) = re.findall(r"(?ms)^```python\n(.*?)^```", document)
    folder = tmp_path / "stranger"
    folder.mkdir()
    shutil.copy(ONNX, folder / "model.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    done = finish([sys.executable, "-c", lines], folder=folder)
    (expected,) = network.predict_on_batch(pixels[np.newaxis, :, :, np.newaxis] / np.float32(255))
    name, probability = done.stdout.split()
    assert (name, float(probability)) == (str(expected.argmax()), pytest.approx(expected.max(), abs=1e-5))
