from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages import dataset, preprocess
from stages.archive import RAW, Arrays, save_npz
from tests.stages.test_archive import members, npy, write_npz


@pytest.fixture
def save_raw(project: Path) -> Callable[[Arrays], None]:
    RAW.parent.mkdir(parents=True)
    return lambda arrays: save_npz(RAW, arrays)


def test_the_processed_arrays_keep_their_contract(save_raw: Callable[[Arrays], None], arrays: Arrays) -> None:
    save_raw(arrays)
    preprocess.main()
    for split in ("train", "test"):
        images, labels = dataset.load(split)
        raw_images, raw_labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        assert images.dtype == labels.dtype == np.float32
        assert images.shape == (*raw_images.shape, 1)
        assert images.flags.c_contiguous
        np.testing.assert_array_equal(images[..., 0], raw_images.astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(labels.argmax(axis=1), raw_labels)
        np.testing.assert_array_equal(labels.sum(axis=1), 1)
        np.testing.assert_array_equal(np.unique(labels), [0, 1])


def test_black_and_white_map_to_zero_and_one() -> None:
    np.testing.assert_array_equal(preprocess.scale_pixels(np.array([0, 255], np.uint8)), np.array([0, 1], np.float32))


def test_the_same_raw_file_gives_the_same_bytes(save_raw: Callable[[Arrays], None], arrays: Arrays) -> None:
    save_raw(arrays)
    preprocess.main()
    first = {path.name: path.read_bytes() for path in dataset.PROCESSED.iterdir()}
    preprocess.main()
    assert {path.name: path.read_bytes() for path in dataset.PROCESSED.iterdir()} == first
    assert sorted(first) == ["test_images.npy", "test_labels.npy", "train_images.npy", "train_labels.npy"]


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("y_test", np.full(8, 10, np.uint8), "y_test must be digits 0 to 9, found 10 at row 0"),
        ("y_test", np.zeros(7, np.uint8), "y_test must be one label for each of 8 images, found the shape (7,)"),
        ("y_train", np.zeros((16, 1), np.uint8), "y_train must be one label for each of 16 images"),
        ("x_train", np.zeros((16, 784), np.uint8), "x_train must have the shape (n, 28, 28), found (16, 784)"),
        ("x_test", np.zeros((0, 28, 28), np.uint8), "y_test must be one label for each of 0 images"),
        ("x_test", np.zeros((8, 28, 28), np.float32), "x_test.npy must be uint8, found float32"),
    ],
)
def test_a_raw_file_that_breaks_its_contract_is_refused_and_good_outputs_stay(
    save_raw: Callable[[Arrays], None],
    arrays: Arrays,
    refusal: Callable[..., str],
    name: str,
    array: np.ndarray,
    message: str,
) -> None:
    save_raw(arrays)
    preprocess.main()
    before = dataset.images_path("test").read_bytes()
    save_raw(arrays | {name: array})
    assert message in refusal("preprocess", preprocess.main)
    assert dataset.images_path("test").read_bytes() == before


def test_a_raw_file_with_a_member_too_many_is_refused(
    save_raw: Callable[[Arrays], None], arrays: Arrays, refusal: Callable[..., str]
) -> None:
    write_npz(RAW, members(arrays) | {"x_validation.npy": npy(arrays["x_test"])})
    assert "found x_test.npy, x_train.npy, x_validation.npy" in refusal("preprocess", preprocess.main)


def test_a_missing_raw_file_is_refused_in_one_line(project: Path, refusal: Callable[..., str]) -> None:
    assert "No such file or directory: 'data/raw/mnist.npz'" in refusal("preprocess", preprocess.main)
