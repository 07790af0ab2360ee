"""IDX files and class folders go from files to a review with one parameter; tests/test_readme.py shows it for npz."""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clone import Clone

pytestmark = [pytest.mark.slow, pytest.mark.datasets]

Make = Callable[[Path], str]  # writes a data set into a folder and returns its path from there


def patterns(count: int, classes: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of a pattern for each class with noise, which a network can learn, and their labels."""
    random = np.random.default_rng(0)
    labels = (np.arange(count) % classes).astype(np.uint8)
    pattern = random.integers(0, 2, (classes, 4, 4, *shape[2:])) * 200
    large = np.kron(pattern, np.ones((1, shape[0] // 4, shape[1] // 4, *([1] * len(shape[2:])))))
    return (large[labels] + random.integers(0, 50, (count, *shape))).astype(np.uint8), labels


def articles(folder: Path) -> str:
    """IDX files in the form and with the names of Fashion-MNIST."""
    images, labels = patterns(500, 20, 28, 28)
    (folder / "articles").mkdir()
    for name, rows in {"train": slice(None, 400), "t10k": slice(400, None)}.items():
        for kind, array in {"images-idx3": images[rows], "labels-idx1": labels[rows]}.items():
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"articles/{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return "./articles"


def photographs(folder: Path) -> str:
    """Class folders of colour images, 96x64; one class has twice as many as the other."""
    for number, (image, label) in enumerate(zip(*patterns(180, 3, 96, 64, 3), strict=True)):
        path = folder / "photographs" / ("a cat" if label else "a dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return "photographs"


def run_pipeline(clone: Clone, make: Make, shape: list[int], classes: list[str]) -> dict[str, float]:
    """Run and commit the pipeline with one changed parameter; return the metrics of the test images."""
    source = make(clone.folder)
    clone.run(f"dvc add -q {source} && git add -A")
    output = clone.run(f"dvc exp run -S download.dataset={source} -S train.batch_size=20 -S train.epochs=4")
    assert clone.ran(output) == ["download", "preprocess", "train", "export", "evaluate"]
    described = json.loads(clone.read("data/raw/dataset.json"))
    assert (described["dataset"], described["image_shape"], described["classes"]) == (source, shape, classes)
    clone.commit("Another data set")
    assert "matches all 5 stages" in clone.run("python -m review.verify HEAD")
    metrics: dict[str, float] = json.loads(clone.read("metrics.json"))["test"]
    assert metrics["accuracy"] > 0.8
    return metrics


def test_idx_files_of_20_classes_go_through_the_pipeline_with_one_parameter(clone: Clone) -> None:
    run_pipeline(clone, articles, [28, 28, 1], [str(number) for number in range(20)])
    refused = clone.attempt("python -m review.compare HEAD~")
    assert refused.returncode == 2
    assert "is of the data set mnist-5k and this folder of " in refused.stderr


def test_photographs_are_reviewed_and_stop_make_repro_when_they_change(clone: Clone) -> None:
    metrics = run_pipeline(clone, photographs, [96, 64, 3], ["a cat", "a dog"])
    assert "balanced_accuracy" in metrics
    clone.set("train.batch_size", 30)
    assert clone.ran(clone.run("dvc repro")) == ["train", "export", "evaluate"]
    assert "train.batch_size" in clone.run("python -m review.compare HEAD")
    clone.run("make --old-file=.venv/installed report BASE=HEAD")
    assert "data:image/png;base64," in clone.read("report/report.html")

    clone.commit("Larger batches")
    clone.run("cp 'photographs/a cat/1.png' 'photographs/a cat/new.png'")
    done = clone.attempt("make --old-file=.venv/installed repro")
    assert done.returncode != 0
    assert "download: photographs has changed since data/raw/dataset.json described it" in done.stderr
    assert clone.run("git status --porcelain") == ""
    assert "download" in clone.ran(clone.run("rm data/raw/dataset.json && dvc repro download"))
    assert " M data/raw/dataset.json" in clone.run("git status --porcelain")
