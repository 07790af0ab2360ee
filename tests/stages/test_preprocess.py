import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.data import splits
from classifier.data.arrays import Arrays, identify, save_npz
from classifier.data.catalogue import DIGITS
from classifier.data.data_set import DataSet, read_data_set
from classifier.data.held_out import hold_out
from classifier.paths import PROCESSED, RAW, SOURCE
from stages import preprocess
from tests.classifier.data.test_held_out import LABELS
from tests.conftest import describe

Save = Callable[..., None]


def write_parameters(project: Path, validation_images: int = 0, seed: int = 0) -> None:
    (project / "params.yaml").write_text(f"preprocess: {{validation_images: {validation_images}, seed: {seed}}}")


@pytest.fixture
def save_raw(project) -> Save:
    """Write arrays and their description, as download does."""

    def save(arrays: Arrays, classes: tuple[str, ...] = DIGITS) -> None:
        describe(project, DataSet("own", classes, identify(arrays)))
        save_npz(RAW, arrays)

    write_parameters(project)
    return save


def noise(count: int = len(LABELS)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)


def outputs() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in PROCESSED.iterdir()}


@pytest.mark.parametrize("block", [1, 30, 10_000])
def test_blocks_of_any_size_give_the_bytes_that_numpy_saves(save_raw, project, monkeypatch, block):
    monkeypatch.setattr(preprocess, "BLOCK", block)
    images, labels = noise(100), np.arange(100, dtype=np.uint8) % 10
    save_raw({"x_train": images, "y_train": labels, "x_test": images[:7], "y_test": labels[:7]})
    for count in (20, 0):  # images held out; without any, the split is empty
        write_parameters(project, validation_images=count, seed=1)
        preprocess.main()
        held_out = hold_out(labels, count, seed=1)
        rows = {"train": ~held_out, "validation": held_out, "test": np.arange(100) < 7}
        for split, chosen in rows.items():
            expected = images[chosen][..., None] / np.float32(255), np.eye(10, dtype=np.float32)[labels[chosen]]
            for path, array in zip((splits.images_path(split), splits.labels_path(split)), expected, strict=True):
                np.save(project / "expected.npy", array)
                assert path.read_bytes() == (project / "expected.npy").read_bytes()
    assert len(outputs()) == 6


@pytest.mark.parametrize("inverted", [False, True])
def test_colour_images_and_labels_above_255_are_kept_and_light_images_are_inverted(save_raw, capsys, inverted):
    images, labels = np.random.default_rng(0).integers(0, 256, (16, 9, 10, 3), np.uint8), np.arange(285, 301, 1, "u2")
    save_raw({"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}, tuple(map(str, range(301))))
    replace(read_data_set(), inverted=inverted).save(SOURCE)
    preprocess.main()
    scaled, one_hot = splits.map_split("train")
    assert (scaled.shape, one_hot.shape) == ((16, 9, 10, 3), (16, 301))
    seen = 255 - images if inverted else images
    np.testing.assert_array_equal(scaled, seen.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(one_hot.argmax(axis=1), labels)
    assert "-> data/processed (float32, 9x10x3)" in capsys.readouterr().out


Damage = Callable[[Arrays], object]
DAMAGE: dict[str, tuple[Damage, str]] = {
    "half a file": (lambda _: RAW.write_bytes(RAW.read_bytes()[:9000]), "not an npz archive that can be read"),
    "another pixel": (lambda arrays: save_npz(RAW, arrays | {"x_test": arrays["x_test"] ^ 1}), "x_test is not that of"),
    "signed pixels": (lambda arrays: save_npz(RAW, arrays | {"x_test": arrays["x_test"].view("i1")}), "found int8"),
    "few classes": (lambda arrays: describe(Path(), DataSet("own", DIGITS[:9], identify(arrays))), "be labels 0 to 8"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_other_raw_arrays_than_those_described_are_refused_and_outputs_stay(save_raw, arrays, refusal, damage, message):
    save_raw(arrays)
    preprocess.main()
    before = outputs()
    damage(arrays)
    line = refusal("preprocess", preprocess.main)
    assert message in line
    assert line.startswith("preprocess: data/raw/mnist.npz: ")
    assert line.endswith("run `dvc repro --force download` to create it again")
    assert outputs() == before


def test_at_most_a_quarter_of_the_images_is_held_out(save_raw, project, capsys, refusal):
    images = noise()
    save_raw({"x_train": images, "y_train": LABELS, "x_test": images[:5], "y_test": LABELS[:5]})
    write_parameters(project, 100)
    preprocess.main()
    printed = capsys.readouterr()
    assert "900 train, 100 validation, 5 test images" in printed.out
    assert printed.err == ""
    write_parameters(project, 5000)
    preprocess.main()
    assert len(splits.map_split("validation")[0]) == 250
    assert "but at most a quarter of the 1,000 training images can be held out, so 250" in capsys.readouterr().err
    write_parameters(project, 3)
    assert "preprocess.validation_images cannot be 3: it must be at least" in refusal("preprocess", preprocess.main)


def test_the_images_are_never_all_in_memory_as_float32(save_raw):
    images, labels = np.zeros((40_000, 28, 28), np.uint8), np.arange(40_000, dtype=np.uint8) % 2
    save_raw({"x_train": images, "y_train": labels, "x_test": images[:10], "y_test": labels[:10]})
    tracemalloc.start()
    preprocess.main()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * images.nbytes  # float32 would have four times the bytes
