import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from classifier.data import formats, splits
from classifier.data.description import DataSet
from classifier.data.formats import Arrays, save_npz
from classifier.data.held_out import hold_out
from classifier.paths import RAW
from stages import preprocess
from tests.classifier.data.test_formats import members, npy, write_npz
from tests.classifier.data.test_held_out import LABELS
from tests.conftest import describe
from tests.whole_arrays import identities


def write_parameters(project: Path, validation_images: int = 0, seed: int = 0) -> None:
    (project / "params.yaml").write_text(f"preprocess: {{validation_images: {validation_images}, seed: {seed}}}")


@pytest.fixture
def save_raw(project: Path) -> Callable[[Arrays], None]:
    describe(project)
    write_parameters(project)
    return lambda arrays: save_npz(RAW, arrays)


def test_the_processed_arrays_have_the_documented_form(save_raw: Callable[[Arrays], None], arrays: Arrays) -> None:
    save_raw(arrays)
    preprocess.main()
    for split in ("train", "test"):
        images, labels = splits.load(split)
        raw_images, raw_labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        assert len(splits.load("validation")[0]) == 0
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
    first = {path.name: path.read_bytes() for path in splits.PROCESSED.iterdir()}
    preprocess.main()
    assert {path.name: path.read_bytes() for path in splits.PROCESSED.iterdir()} == first
    assert sorted(first) == [
        f"{split}_{kind}.npy" for split in ("test", "train", "validation") for kind in ("images", "labels")
    ]


@pytest.mark.parametrize("block", [1, 10_000, 2**20])
def test_blocks_of_any_size_give_the_bytes_that_numpy_saves(
    save_raw: Callable[[Arrays], None], project: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(formats, "BLOCK", block)
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28), np.uint8)
    labels = np.arange(100, dtype=np.uint8) % 10
    save_raw({"x_train": images, "y_train": labels, "x_test": images[:7], "y_test": labels[:7]})
    write_parameters(project, validation_images=20, seed=1)
    preprocess.main()
    held_out = hold_out(labels, 20, seed=1)
    rows = {"train": ~held_out, "validation": held_out, "test": np.arange(100) < 7}
    for split, chosen in rows.items():
        expected = images[chosen][..., None] / np.float32(255), np.eye(10, dtype=np.float32)[labels[chosen]]
        for path, array in zip((splits.images_path(split), splits.labels_path(split)), expected, strict=True):
            np.save(project / "expected.npy", array)
            assert path.read_bytes() == (project / "expected.npy").read_bytes()


def test_a_raw_file_damaged_at_its_end_leaves_the_old_outputs(
    save_raw: Callable[[Arrays], None], arrays: Arrays, refusal: Callable[..., str]
) -> None:
    save_raw(arrays)
    preprocess.main()
    before = {path.name: path.read_bytes() for path in splits.PROCESSED.iterdir()}
    save_raw({name: array[::-1] for name, array in arrays.items()})
    content = bytearray(RAW.read_bytes())
    with zipfile.ZipFile(RAW) as archive:
        content[archive.getinfo("y_test.npy").header_offset - 1] ^= 1  # the last test image
    RAW.write_bytes(content)
    line = refusal("preprocess", preprocess.main)
    assert "not a whole npz archive: Bad CRC-32 for file 'x_test.npy'; run `dvc repro --force download`" in line
    assert {path.name: path.read_bytes() for path in splits.PROCESSED.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("y_test", np.full(8, 10, np.uint8), "y_test must be labels 0 to 9, found 10 at row 0"),
        ("y_test", np.zeros(7, np.uint8), "y_test must have 8 labels, one for each image, found the shape (7,)"),
        ("y_train", np.zeros((16, 1), np.uint8), "y_train must have 16 labels, one for each image"),
        ("x_train", np.zeros((16, 784), np.uint8), "x_train must have the shape (n, 28, 28), found (16, 784)"),
        ("x_test", np.zeros((0, 28, 28), np.uint8), "y_test must have 0 labels, one for each image"),
        ("x_test", np.zeros((8, 28, 28), np.float32), "x_test.npy must be uint8, found float32"),
    ],
)
def test_a_wrong_raw_file_is_refused_and_the_old_outputs_stay(
    save_raw: Callable[[Arrays], None],
    arrays: Arrays,
    refusal: Callable[..., str],
    name: str,
    array: np.ndarray,
    message: str,
) -> None:
    save_raw(arrays)
    preprocess.main()
    before = splits.images_path("test").read_bytes()
    save_raw(arrays | {name: array})
    line = refusal("preprocess", preprocess.main)
    assert message in line
    assert line.endswith("run `dvc repro --force download` to create it again")
    assert splits.images_path("test").read_bytes() == before


def test_each_training_image_is_in_exactly_one_split(
    save_raw: Callable[[Arrays], None], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (len(LABELS), 28, 28), np.uint8)
    save_raw({"x_train": images, "y_train": LABELS, "x_test": images[:5], "y_test": LABELS[:5]})
    write_parameters(project, validation_images=100)
    preprocess.main()
    train, validation = (splits.load(split)[0] for split in ("train", "validation"))
    assert (len(train), len(validation)) == (900, 100)
    both = {image.tobytes() for image in train} | {image.tobytes() for image in validation}
    label_of = {image.tobytes(): label for image, label in zip(preprocess.scale_pixels(images), LABELS, strict=True)}
    assert both == set(label_of)
    assert len(both) == 1000
    for split in ("train", "validation"):
        kept, labels = splits.load(split)
        assert [label_of[image.tobytes()] for image in kept] == labels.argmax(axis=1).tolist()
    printed = capsys.readouterr()
    assert "900 train, 100 validation, 5 test images" in printed.out
    assert printed.err == ""


def test_the_seed_of_params_yaml_chooses_the_validation_images(
    save_raw: Callable[[Arrays], None], project: Path
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (len(LABELS), 28, 28), np.uint8)
    save_raw({"x_train": images, "y_train": LABELS, "x_test": images[:5], "y_test": LABELS[:5]})
    chosen = []
    for seed in (0, 1):
        write_parameters(project, validation_images=100, seed=seed)
        preprocess.main()
        chosen.append(splits.images_path("validation").read_bytes())
    assert chosen[0] != chosen[1]


def test_at_most_a_quarter_is_held_out_with_a_warning(
    save_raw: Callable[[Arrays], None], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.zeros((len(LABELS), 28, 28), np.uint8)
    save_raw({"x_train": images, "y_train": LABELS, "x_test": images, "y_test": LABELS})
    write_parameters(project, validation_images=5000)
    preprocess.main()
    assert len(splits.load("validation")[0]) == 250
    assert "but at most a quarter of the 1,000 training images can be held out, so 250" in capsys.readouterr().err


def test_fewer_validation_images_than_classes_are_refused(
    save_raw: Callable[[Arrays], None], project: Path, arrays: Arrays, refusal: Callable[..., str]
) -> None:
    save_raw(arrays)
    write_parameters(project, validation_images=3)
    assert "preprocess.validation_images cannot be 3 for these images" in refusal("preprocess", preprocess.main)


def test_a_raw_file_with_an_unexpected_member_is_refused(
    save_raw: Callable[[Arrays], None], arrays: Arrays, refusal: Callable[..., str]
) -> None:
    write_npz(RAW, members(arrays) | {"x_validation.npy": npy(arrays["x_test"])})
    assert "found x_test.npy, x_train.npy, x_validation.npy" in refusal("preprocess", preprocess.main)


def test_a_missing_raw_file_is_refused_in_one_line(
    save_raw: Callable[[Arrays], None], refusal: Callable[..., str]
) -> None:
    assert "No such file or directory: 'data/raw/mnist.npz'" in refusal("preprocess", preprocess.main)


def test_colour_images_and_labels_above_255_keep_their_shape_and_class(
    save_raw: Callable[[Arrays], None], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    arrays = {
        "x_train": random.integers(0, 256, (16, 9, 10, 3), np.uint8),
        "y_train": np.arange(285, 301, dtype=np.uint16),
        "x_test": random.integers(0, 256, (8, 9, 10, 3), np.uint8),
        "y_test": np.arange(8, dtype=np.uint16),
    }
    describe(project, DataSet("own", tuple(map(str, range(301))), identities(arrays)))
    save_raw(arrays)
    preprocess.main()
    images, labels = splits.load("train")
    assert (images.shape, labels.shape) == ((16, 9, 10, 3), (16, 301))
    np.testing.assert_array_equal(images, arrays["x_train"].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(labels.argmax(axis=1), arrays["y_train"])
    assert "-> data/processed (float32, 9x10x3)" in capsys.readouterr().out
