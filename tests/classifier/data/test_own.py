"""A user's own arrays: what is taken, refused by one line, and taken with a warning."""

from pathlib import Path

import numpy as np
import pytest

from classifier.data.arrays import Arrays
from classifier.data.own import read_own
from tests.classifier.data.test_arrays import write_idx

MOST = 2**20


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


def read(folder: Path, arrays: Arrays, size: tuple[int, int] | None = None) -> tuple[Arrays, tuple[str, ...]]:
    np.savez(folder / "a.npz", **arrays)  # type: ignore[arg-type]
    return read_own(folder / "a.npz", 0, 0.2, size, MOST, [])


@pytest.mark.parametrize(
    ("classes", "shape", "dtype"),
    [(2, (128, 96), ">i4"), (3, (32, 32, 3), "uint64"), (256, (8, 8), "u1"), (257, (8, 8), "u2"), (1000, (8, 8), "i8")],
)
def test_an_archive_is_read_whatever_integers_its_labels_are(tmp_path, classes, shape, dtype):
    arrays, names = read(tmp_path, made(classes, shape, dtype))
    assert names == tuple(map(str, range(classes)))
    assert arrays["y_test"].dtype == (np.uint8 if classes <= 256 else np.uint16)
    for name, expected in made(classes, shape, dtype).items():
        np.testing.assert_array_equal(arrays[name], expected)


def test_images_of_one_channel_and_labels_in_a_column_are_taken(tmp_path):
    expected = made()
    changed = {"x_train": expected["x_train"][..., None], "x_test": expected["x_test"][..., None]}
    arrays, _ = read(tmp_path, expected | changed | {"y_test": expected["y_test"][:, None]})
    np.testing.assert_array_equal(arrays["x_train"], expected["x_train"])
    np.testing.assert_array_equal(arrays["y_test"], expected["y_test"])


@pytest.mark.parametrize("kind", ["U", "S"])
@pytest.mark.parametrize("first", [0, 1])
def test_an_archive_can_name_its_classes_and_labels_may_begin_at_1(tmp_path, first, kind):
    given = made() | {name: made()[name] + np.uint8(first) for name in ("y_train", "y_test")}
    arrays, classes = read(tmp_path, given | {"classes": np.array(["cat", "dog", "cow"], kind)})
    assert (classes, arrays["y_test"].tolist()) == (("cat", "dog", "cow"), [0, 1, 2])
    assert read(tmp_path, given)[1] == tuple(str(label + first) for label in range(3))


def test_idx_files_and_colour_images_are_resized_as_well(tmp_path):
    source = write_idx(tmp_path, made(shape=(200, 300, 3)))
    arrays, _ = read_own(source, 0, 0.2, (10, 20), 2 * MOST, [])
    assert arrays["x_train"].shape == (6, 10, 20, 3)


@pytest.mark.parametrize(
    ("name", "mapping", "named"),
    [
        ("letters", "1 68 100\n2 69 101\n3 70 102\n4 71 103\n", "DEF"),
        ("letters", None, "ABC"),
        ("balanced", "0 48\n2 97\n1 49\n\n", "01a"),
    ],
)
def test_images_of_emnist_are_turned_and_its_mapping_or_the_publisher_names_the_classes(tmp_path, name, mapping, named):
    expected, path = made(), tmp_path / f"gzip/emnist-{name}-mapping.txt"
    raw = {key: rows.swapaxes(1, 2) if key[0] == "x" else rows + (name == "letters") for key, rows in expected.items()}
    write_idx(path.parent, raw, [f"emnist-{name}-{{}}-{{}}-idx{{}}-ubyte.gz"], "test")
    if mapping:
        path.write_text(mapping)
    arrays, classes = read_own(tmp_path, 0, 0.2, None, MOST, notes := [])
    assert "".join(classes) == named
    for key, rows in expected.items():
        np.testing.assert_array_equal(arrays[key], rows)
    assert notes[0] == f"{tmp_path}: images of emnist-{name} are stored transposed: turned upright"
    assert (f"label 1, class {named[0]}, is stored as 0" in notes[-1]) == (name == "letters")
    path.write_text("1 A\n")
    with pytest.raises(ValueError, match=f"^{path}: expected a label and a code point in each line, as `1 65`"):
        read_own(tmp_path, 0, 0.2, None, MOST, [])


def test_labels_of_qmnist_are_the_first_of_eight_columns_and_may_be_there_as_in_mnist_too(tmp_path):
    expected = made()
    columns = {key: (expected[key][:, None] + 300 * np.arange(8)).astype(">i4") for key in ("y_train", "y_test")}
    write_idx(tmp_path, expected | columns, ["qmnist-{}-{}-idx{}-int"], "test")
    write_idx(tmp_path, expected, ["qmnist-{}-{}-idx{}-ubyte.gz"], "test")
    (tmp_path / "qmnist-train-labels-idx1-ubyte.gz").unlink()
    arrays, _ = read_own(tmp_path, 0, 0.2, None, MOST, [])
    for key, rows in expected.items():
        np.testing.assert_array_equal(arrays[key], rows)


REFUSED: dict[str, tuple[Arrays, str]] = {
    "images of floats": ({"x_train": np.zeros((6, 9, 8))}, r"x_train must be uint8 .*, found float64 .*; `\(x \* 255"),
    "labels of floats": ({"y_test": np.zeros(3)}, r"y_test must be integers, .*, found float64 \(3,\); .*`y\.astype"),
    "flat images": ({"x_test": np.zeros((3, 72), np.uint8)}, r"x_test must be .* uint8 \(3, 72\); .*`x\.reshape"),
    "four channels": ({"x_train": np.zeros((6, 9, 8, 4), np.uint8)}, r"x_train must be .*, found uint8 \(6, 9, 8, 4\)"),
    "no images": ({"x_test": np.zeros((0, 9, 8), np.uint8)}, r"x_test must be .*, found uint8 \(0, 9, 8\)"),
    "small images": (made(shape=(7, 8)), r"expected 8x8 to 128x128 pixels .*, found 7x8; download.resize"),
    "two sizes": ({"x_test": np.zeros((3, 9, 9), np.uint8)}, "x_test .* of x_train, 9x8 grey, found 9x9 grey"),
    "grey and colour": ({"x_test": np.zeros((3, 9, 8, 3), np.uint8)}, "9x8 grey, found 9x8 colour"),
    "few labels": ({"y_train": np.zeros(5, np.uint8)}, r"y_train must be integers, one for each of 6 .* \(5,\)"),
    "one-hot labels": ({"y_test": np.eye(3, dtype=np.uint8)}, r"y_test must be integers, .* \(3, 3\); `y\.argmax"),
    "a negative label": ({"y_test": np.array([0, -1, 2])}, "labels must be 0 to 2, .* not so for -1"),
    "a label with no name": ({"classes": np.array(["a", "b"])}, "labels must be 0 to 1, .* not so for 2"),
    "a name with no image": ({"classes": np.array([*"abcd"])}, "each class must have a train image; not so for d"),
    "a gap": ({"y_train": np.array([0, 1, 2, 4, 8, 8])}, "labels must be 0 to 8, .* not so for 3, 5, 6, 7"),
    "one class": ({"y_train": np.zeros(6, "u1"), "y_test": np.zeros(3, "u1")}, "2 to 1,000 classes, found 1"),
    "a name twice": ({"classes": np.array(["a", "b", "a"])}, "names of classes that differ, .*, found 'a'"),
    "a name that rings": ({"classes": np.array(["a", "b", "\a"])}, r"printable characters, found '\\x07'"),
}


@pytest.mark.parametrize(("changed", "message"), REFUSED.values(), ids=REFUSED)
def test_an_archive_of_another_form_is_refused_by_its_name(tmp_path, changed, message):
    with pytest.raises(ValueError, match=rf"^{tmp_path}/a\.npz: .*{message}"):
        read(tmp_path, made() | changed)
