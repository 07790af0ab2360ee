"""Data sets of other shapes and classes go from files to a review with one parameter and no line of code changed."""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from classifier.data.arrays import IDX_FILES
from tests.clone import Clone

pytestmark = [pytest.mark.slow, pytest.mark.datasets]

Make = Callable[[Path], str]  # writes a data set into a folder and returns its path from there


def patterns(count: int, classes: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of a pattern for each class with noise, which a network can learn, and their labels."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    pattern = random.integers(0, 2, (classes, 4, 4, *shape[2:])) * 200
    large = np.kron(pattern, np.ones((1, shape[0] // 4, shape[1] // 4, *([1] * len(shape[2:])))))
    return (large[labels] + random.integers(0, 50, (count, *shape))).astype(np.uint8), labels


def articles(folder: Path) -> str:
    """IDX files in the form and with the names of Fashion-MNIST."""
    images, labels = patterns(500, 10, 28, 28)
    split = {"train": slice(None, 400), "test": slice(400, None)}
    (folder / "articles").mkdir()
    for name, file_name in IDX_FILES.items():
        array = (images if name[0] == "x" else labels.astype(np.uint8))[split[name[2:]]]
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (folder / "articles" / file_name).write_bytes(gzip.compress(header + array.tobytes()))
    return "./articles"


def twenty(folder: Path) -> str:
    """An npz archive of 20 classes of colour images, 32x32."""
    images, labels = patterns(600, 20, 32, 32, 3)
    split = {"x_train": images[:500], "y_train": labels[:500], "x_test": images[500:], "y_test": labels[500:]}
    np.savez(folder / "twenty.npz", **split)
    return "twenty.npz"


def small_digits(folder: Path) -> str:
    """The digits of scikit-learn, 8x8."""
    digits = load_digits()
    images, labels = (digits.images * 15).astype(np.uint8), digits.target
    split = {"x_train": images[:1500], "y_train": labels[:1500], "x_test": images[1500:], "y_test": labels[1500:]}
    np.savez(folder / "small-digits.npz", **split)
    return "small-digits.npz"


def photographs(folder: Path) -> str:
    """Class folders of colour images, 96x64; one class has twice as many as the other."""
    images, labels = patterns(180, 3, 96, 64, 3)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / "photographs" / ("a cat" if label else "a dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return "photographs"


@pytest.mark.parametrize(
    ("make", "shape", "classes"),
    [
        (articles, [28, 28, 1], [*"0123456789"]),
        (twenty, [32, 32, 3], [str(number) for number in range(20)]),
        (small_digits, [8, 8, 1], [*"0123456789"]),
        (photographs, [96, 64, 3], ["a cat", "a dog"]),
    ],
)
def test_a_data_set_goes_from_files_to_a_review_without_a_change_of_code(
    clone: Clone, make: Make, shape: list[int], classes: list[str]
) -> None:
    source = make(clone.folder)
    clone.run(f"dvc add -q {source}")
    clone.set("download.dataset", source)
    clone.set("train.batch_size", 20)
    clone.set("train.epochs", 4)
    assert clone.ran(clone.run("dvc repro")) == ["download", "preprocess", "train", "export", "evaluate"]
    described = json.loads(clone.read("data/raw/dataset.json"))
    assert (described["dataset"], described["image_shape"], described["classes"]) == (source, shape, classes)
    metrics = json.loads(clone.read("metrics.json"))
    assert metrics["test"]["accuracy"] > 0.8
    assert ("balanced_accuracy" in metrics["test"]) == (len(classes) == 2)
    clone.commit("Another data set")
    assert clone.run("dvc status") == "Data and pipelines are up to date.\n"
    assert "matches all 5 stages" in clone.run("python -m review.verify HEAD")
    assert clone.run("git diff --name-only HEAD~ -- stages classifier review tests dvc.yaml") == ""

    refused = clone.attempt("python -m review.compare HEAD~")
    assert refused.returncode == 2
    assert "is of the data set mnist-5k and this folder of " in refused.stderr
    assert refused.stderr.count("\n") == 1

    clone.run("git checkout -q -b wider")
    clone.set("train.dense_units", "[256, 64]")
    assert clone.ran(clone.run("dvc repro")) == ["train", "export", "evaluate"]
    clone.run("make --old-file=.venv/installed noise SEEDS=2")
    clone.commit("Wider")
    compared = clone.run("python -m review.compare main")
    assert "train.dense_units" in compared
    assert "verdict" in compared
    assert "pictures -> report\n" in clone.run("make --old-file=.venv/installed report BASE=main")
    page = clone.read("report/report.html")
    assert "data:image/png;base64," in page
    assert "matches" in page


def test_changed_own_data_stop_make_repro_until_they_are_accepted(clone: Clone) -> None:
    clone.set("download.dataset", photographs(clone.folder))
    repro = "make --old-file=.venv/installed repro"
    clone.run(repro)
    clone.commit("Photographs")
    clone.run("cp 'photographs/a cat/1.png' 'photographs/a cat/new.png'")
    done = clone.attempt(repro)
    assert done.returncode != 0
    assert "download: photographs has changed since data/raw/dataset.json described it: " in done.stderr
    assert clone.run("git status --porcelain") == '?? "photographs/a cat/new.png"\n'
    clone.run(f"rm data/raw/dataset.json && {repro}")
    assert "data/raw/dataset.json" in clone.run("git status --porcelain")
    assert clone.run("git diff --stat HEAD -- stages classifier") == ""


def test_an_experiment_with_another_data_set_runs(clone: Clone) -> None:
    source = small_digits(clone.folder)
    clone.run("git config user.name Test && git config user.email test@example.org && git add -A")
    clone.run(f"dvc exp run --name other -S download.dataset={source}")
    assert json.loads(clone.read("data/raw/dataset.json"))["image_shape"] == [8, 8, 1]
    assert "is of the data set mnist-5k and " in clone.attempt("python -m review.compare HEAD other").stderr
