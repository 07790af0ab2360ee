import gzip
from pathlib import Path

import numpy as np
import pytest

from classifier.data.formats import MEMBERS, Arrays
from tests.classifier.data.test_formats import members, npy, write_npz
from tests.whole_arrays import Own, load_own


def load(source: Path) -> Own:
    return load_own(source, 0, 0.2, None)


def made(classes: int = 3, shape: tuple[int, ...] = (9, 8), dtype: str = "uint8") -> Arrays:
    """Two train images and a test image a class, of noise."""
    random = np.random.default_rng(0)
    labels = np.arange(classes).astype(dtype)
    return {
        "x_train": random.integers(0, 256, (2 * classes, *shape), np.uint8),
        "y_train": np.concatenate([labels, labels]),
        "x_test": random.integers(0, 256, (classes, *shape), np.uint8),
        "y_test": labels,
    }


def saved(folder: Path, changed: Arrays | None = None, **options: object) -> Path:
    np.savez(folder / "a.npz", **(made(**options) | (changed or {})))  # type: ignore[arg-type]
    return folder / "a.npz"


@pytest.mark.parametrize("shape", [(8, 8), (128, 96), (32, 32, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", ">i4", "uint64"])
def test_an_archive_is_read_whatever_integers_its_labels_are(
    tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    expected = made(20, shape, dtype)
    own = load(saved(tmp_path, expected))
    assert list(own.arrays) == list(MEMBERS)
    for name in MEMBERS:
        np.testing.assert_array_equal(own.arrays[name], expected[name])
        assert own.arrays[name].dtype == np.uint8
        assert own.arrays[name].flags.c_contiguous
    assert own.classes == tuple(map(str, range(20)))
    assert own.warnings == ()


def test_images_of_one_channel_are_grey(tmp_path: Path) -> None:
    assert load(saved(tmp_path, shape=(9, 8, 1))).arrays["x_train"].shape == (6, 9, 8)


def test_labels_in_a_column_are_taken(tmp_path: Path) -> None:
    expected = made()
    own = load(saved(tmp_path, {name: expected[name][:, None] for name in ("y_train", "y_test")}))
    np.testing.assert_array_equal(own.arrays["y_train"], expected["y_train"])


@pytest.mark.parametrize(("classes", "dtype"), [(2, "uint8"), (256, "uint8"), (257, "uint16"), (1000, "uint16")])
def test_two_to_a_thousand_classes_are_taken(tmp_path: Path, classes: int, dtype: str) -> None:
    own = load(saved(tmp_path, classes=classes, dtype=dtype))
    assert own.arrays["y_train"].dtype == own.arrays["y_test"].dtype == dtype
    assert own.arrays["y_test"].tolist() == list(range(classes))


@pytest.mark.parametrize("kind", ["U", "S"])
def test_an_archive_can_name_its_classes(tmp_path: Path, kind: str) -> None:
    names = [name.encode() if kind == "S" else name for name in ("cat", "dog", "été")]
    assert load(saved(tmp_path, {"classes": np.array(names)})).classes == ("cat", "dog", "été")


def test_equal_images_in_train_and_test_are_counted_in_a_warning(tmp_path: Path) -> None:
    arrays = made()
    arrays["x_test"][1:] = arrays["x_train"][1:3]
    path = saved(tmp_path, arrays)
    assert load(path).warnings == (f"{path}: 2 of 3 test images are in train too, with the same pixels",)


def test_equal_images_with_different_labels_are_counted_in_a_warning(tmp_path: Path) -> None:
    arrays = made()
    arrays["x_train"][1:3] = arrays["x_train"][0]
    path = saved(tmp_path, arrays)
    assert load(path).warnings == (f"{path}: 1 image is there under more than one label, with the same pixels",)


def test_a_class_with_no_test_image_is_named_in_a_warning(tmp_path: Path) -> None:
    path = saved(tmp_path, {"y_test": np.zeros(3, np.uint8), "classes": np.array(["cat", "dog", "cow"])})
    assert load(path).warnings == (f"{path}: test has no image of class dog, cow",)


REFUSED: dict[str, tuple[Arrays, str]] = {
    "images of floats": ({"x_train": np.zeros((6, 9, 8))}, r"x_train\.npy must be uint8, found float64"),
    "labels of floats": ({"y_test": np.zeros(3)}, r"y_test\.npy must be integers, found float64"),
    "names that are objects": ({"classes": np.array([1, 2], "i1")}, r"classes\.npy must be text, found int8"),
    "an array more": ({"extra": np.zeros(3)}, r"expected the members x_test\.npy, .*, found extra\.npy"),
    "flat images": (
        {"x_test": np.zeros((3, 72), np.uint8)},
        r"x_test: expected images of the shape .*, found \(3, 72\)",
    ),
    "four channels": (
        {"x_train": np.zeros((6, 9, 8, 4), np.uint8)},
        r"x_train: expected images .*, found \(6, 9, 8, 4\)",
    ),
    "channels first": (
        {"x_train": np.zeros((6, 3, 9, 8), np.uint8)},
        r"x_train: expected images .*, found \(6, 3, 9, 8\)",
    ),
    "no images": ({"x_test": np.zeros((0, 9, 8), np.uint8)}, r"x_test: holds no images; its shape is \(0, 9, 8\)"),
    "small images": (made(shape=(7, 8)), r"x_train: expected images of 8x8 to 128x128 \(height x width\), found 7x8"),
    "large images": (made(shape=(128, 129)), "x_train: expected images of 8x8 to 128x128 .*, found 128x129; resize"),
    "two sizes": (
        {"x_test": np.zeros((3, 9, 9), np.uint8)},
        "x_test: images must be those of train, 9x8 grey, .* 9x9 grey",
    ),
    "grey and colour": (
        {"x_test": np.zeros((3, 9, 8, 3), np.uint8)},
        "x_test: .* 9x8 grey, in size .*, found 9x8 colour",
    ),
    "few labels": ({"y_train": np.zeros(5, np.uint8)}, r"y_train: expected one label for each of 6 images, .* \(5,\)"),
    "one-hot labels": (
        {"y_test": np.eye(3, dtype=np.uint8)},
        r"y_test: expected one label for .* found the shape \(3, 3\)",
    ),
    "a negative label": (
        {"y_test": np.array([0, -1, 2])},
        "y_test: labels must be 0 to 999, found -1 at row 1, which has no class",
    ),
    "a large label": ({"y_train": np.array([0, 1, 2, 3, 1000, 5])}, "labels must be 0 to 999, found 1000 at row 4"),
    "a label with no name": (
        {"classes": np.array(["cat", "dog"])},
        "y_train: labels must be 0 to 1, found 2 at row 2, which has no class",
    ),
    "a name with no image": (
        {"classes": np.array(["cat", "dog", "cow", "hen"])},
        "y_train: each class must have a train image, but there is none of class hen; labels must be 0 to",
    ),
    "a gap": ({"y_train": np.array([0, 1, 2, 4, 8, 8])}, "none of class 3, 5, 6 and 1 more; .* with no gap"),
    "labels from 1": ({"y_train": made()["y_train"] + 1}, "y_train: each class must .* none of class 0;"),
    "a class of test alone": (
        {"y_test": np.array([0, 1, 3])},
        "each class must have a train image, .* none of class 3;",
    ),
    "one class": (
        {"y_train": np.zeros(6, np.uint8), "y_test": np.zeros(3, np.uint8)},
        "y_train: expected 2 to 1,000 classes, found 1",
    ),
    "too many names": ({"classes": np.arange(1001).astype(str)}, "classes: expected 2 to 1,000 classes, found 1,001"),
    "names in a table": ({"classes": np.array([["a", "b"]])}, r"classes: expected a list of names, .* \(1, 2\)"),
    "a name twice": (
        {"classes": np.array(["a", "b", "a"])},
        "classes: expected names that differ, found 'a' more than once",
    ),
    "an empty name": (
        {"classes": np.array(["a", "b", ""])},
        "classes: expected a class's name of 1 to 100 .*, found ''",
    ),
    "a name that rings": (
        {"classes": np.array(["a", "b", "\a"])},
        r"classes: expected a class's name .*, found '\\x07'",
    ),
    "names in Latin 1": (
        {"classes": np.array([b"a", b"b", b"\xe9"])},
        "classes: the names cannot be read as text: 'utf-8'",
    ),
}


@pytest.mark.parametrize(("changed", "message"), REFUSED.values(), ids=REFUSED)
def test_an_archive_of_another_form_is_refused(tmp_path: Path, changed: Arrays, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{tmp_path}/a\.npz: .*{message}"):
        load(saved(tmp_path, changed))


def test_names_that_are_no_characters_are_refused(tmp_path: Path) -> None:
    damaged = npy(np.array(["cat", "dog", "cow"]))[:-4] + b"\xff\xff\xff\xff"
    path = write_npz(tmp_path / "a.npz", members(made()) | {"classes.npy": damaged})
    with pytest.raises(ValueError, match=r"classes: expected a class's name .*, found 'co\\Uffffffff'"):
        load(path)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,pixel")
    with pytest.raises(ValueError, match=r"a\.csv: not a whole npz archive: File is not a zip file"):
        load(tmp_path / "a.csv")


def test_an_archive_too_large_for_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bytes, expected at most 1,000"):
        load_own(saved(tmp_path), 0, 0.2, None, most_bytes=1000)
    with pytest.raises(ValueError, match="images resized to 128x128 are 147,456 bytes, expected at most 147,455"):
        load_own(saved(tmp_path), 0, 0.2, (128, 128), most_bytes=147_455)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


NAMES = {
    "of the publisher": "{0}-{1}-idx{2}-ubyte",
    "of Kaggle": "{0}-{1}.idx{2}-ubyte",
    "of EMNIST": "emnist-letters-{0}-{1}-idx{2}-ubyte",
}


def write_idx(folder: Path, arrays: Arrays, name: str = NAMES["of the publisher"], test: str = "t10k") -> Path:
    for member, array in arrays.items():
        kind, split = member.split("_")
        file = name.format("train" if split == "train" else test, "images" if kind == "x" else "labels", array.ndim)
        (folder / file).write_bytes(idx(array))
    return folder


@pytest.mark.parametrize("test", ["t10k", "test"])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3)])
def test_idx_files_are_read_by_any_of_their_usual_names(
    tmp_path: Path, shape: tuple[int, ...], name: str, test: str
) -> None:
    expected = made(shape=shape)
    own = load(write_idx(tmp_path, expected, name, test))
    assert own.classes == ("0", "1", "2")
    for member in MEMBERS:
        np.testing.assert_array_equal(own.arrays[member], expected[member])


def test_of_a_file_and_its_gz_the_gz_is_read_and_other_files_are_skipped(tmp_path: Path) -> None:
    expected = made()
    write_idx(tmp_path, expected)
    for path in list(tmp_path.iterdir()):
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.write_bytes(b"")
    (tmp_path / "LICENSE").write_text("MIT")
    np.testing.assert_array_equal(load(tmp_path).arrays["x_train"], expected["x_train"])


def test_a_missing_idx_file_is_named(tmp_path: Path) -> None:
    (write_idx(tmp_path, made()) / "t10k-labels-idx1-ubyte").unlink()
    message = f"^{tmp_path}: expected four IDX files, found none of y_test beside t10k-images-idx3-ubyte, train-i"
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_idx_files_of_two_data_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_idx(write_idx(tmp_path, made(), NAMES["of EMNIST"]), made())
    message = "expected one file of x_test, found emnist-letters-t10k-images-idx3-ubyte and t10k-images-idx3-ubyte"
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_a_broken_idx_file_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path, made() | {"x_test": np.zeros((3, 7, 8), np.uint8)})
    with pytest.raises(ValueError, match=f"^{tmp_path}/t10k-images-idx3-ubyte: expected images of 8x8 to 128x128"):
        load(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=f"^{tmp_path}/train-labels-idx1-ubyte: not an IDX file of unsigned bytes"):
        load(tmp_path)
