import os
from pathlib import Path

import numpy as np
import pytest

from classifier.data.formats import Arrays
from tests.classifier.data.own.pictures import encoded, pixels, two_classes, write
from tests.whole_arrays import Own, load_own


def load(source: Path, seed: int = 0, test_share: float = 0.2) -> Own:
    return load_own(source, seed, test_share, None)


def split_set(*names: str) -> dict[str, bytes]:
    """One image of each `split/class` named."""
    return {f"{name}/{row}.png": encoded(pixels(row)) for row, name in enumerate(names)}


FOUR = ["train/cat", "train/dog", "test/cat", "test/dog"]


def as_bytes(arrays: Arrays) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


def test_train_and_test_are_read_as_they_are_split(tmp_path: Path) -> None:
    own = load(write(tmp_path, split_set("train/dog", "train/cat", "test/cat", "test/dog", "train/cat")))
    assert own.classes == ("cat", "dog")
    assert list(own.arrays) == ["x_train", "y_train", "x_test", "y_test"]
    np.testing.assert_array_equal(own.arrays["x_train"], [pixels(1), pixels(4), pixels(0)])
    np.testing.assert_array_equal(own.arrays["x_test"], [pixels(2), pixels(3)])
    assert own.arrays["y_train"].tolist() == [0, 0, 1]
    assert own.arrays["y_test"].tolist() == [0, 1]
    assert own.arrays["y_train"].dtype == np.uint8
    assert own.warnings == ()


def test_classes_are_in_the_order_of_keras_and_torchvision(tmp_path: Path) -> None:
    names = ["Zebra", "10", "9", "ant", "été"]
    own = load(write(tmp_path, {f"{name}/{row}.png": encoded(pixels(row)) for name in names for row in range(5)}))
    assert own.classes == tuple(sorted(names)) == ("10", "9", "Zebra", "ant", "été")


def test_the_arrays_have_the_same_bytes_in_whatever_order_a_folder_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, two_classes(12))
    expected, listed = as_bytes(load(tmp_path).arrays), Path.iterdir
    random = np.random.default_rng(0)
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter(random.permutation(list(listed(folder)))))
    for _ in range(10):
        assert as_bytes(load(tmp_path).arrays) == expected


def test_each_class_gives_its_share_to_test(tmp_path: Path) -> None:
    files = {
        f"{n}/{row}.png": encoded(pixels(row)) for n, count in (("a", 40), ("b", 10), ("c", 5)) for row in range(count)
    }
    own = load(write(tmp_path, files), test_share=0.25)
    assert np.bincount(own.arrays["y_test"]).tolist() == [10, 2, 1]
    assert np.bincount(own.arrays["y_train"]).tolist() == [30, 8, 4]


@pytest.mark.parametrize(("test_share", "counts"), [(0.001, [1, 1]), (0.999, [4, 4])])
def test_each_class_keeps_an_image_in_train_and_in_test(tmp_path: Path, test_share: float, counts: list[int]) -> None:
    own = load(write(tmp_path, two_classes()), test_share=test_share)
    assert np.bincount(own.arrays["y_test"]).tolist() == counts


def test_the_seed_draws_the_split(tmp_path: Path) -> None:
    write(tmp_path, two_classes(20))
    assert as_bytes(load(tmp_path, 1).arrays) == as_bytes(load(tmp_path, 1).arrays)
    assert as_bytes(load(tmp_path, 1).arrays) != as_bytes(load(tmp_path, 2).arrays)


def test_an_image_more_in_one_class_leaves_the_split_of_the_others(tmp_path: Path) -> None:
    before = load(write(tmp_path, two_classes(20))).arrays
    after = load(write(tmp_path, {"cat/more.png": encoded(pixels(1000))})).arrays
    for split in ("train", "test"):
        dogs = [each[f"x_{split}"][each[f"y_{split}"] == 1] for each in (before, after)]
        np.testing.assert_array_equal(*dogs)


def test_hidden_files_and_those_of_file_managers_are_skipped(tmp_path: Path) -> None:
    names = [".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", "__MACOSX/cat/._0.png", ".git/HEAD"]
    own = load(write(tmp_path, two_classes() | dict.fromkeys(names, b"?")))
    assert own.classes == ("cat", "dog")


def test_links_to_images_and_folders_are_followed(tmp_path: Path) -> None:
    images, linked = write(tmp_path / "images", two_classes()), tmp_path / "linked"
    linked.mkdir()
    (linked / "cat").symlink_to(images / "cat")
    (linked / "dog").mkdir()
    for path in (images / "dog").iterdir():
        (linked / "dog" / path.name).symlink_to(path)
    assert as_bytes(load(linked).arrays) == as_bytes(load(images).arrays)


def test_classes_can_be_named_train_or_test(tmp_path: Path) -> None:
    files = {f"{name}/{row}.png": encoded(pixels(row)) for name in ("bus", "train") for row in range(5)}
    assert load(write(tmp_path, files)).classes == ("bus", "train")


REFUSED = {
    "nothing": ({}, r": expected 2 to 1,000 classes, found 0$"),
    "images without classes": ({"0.png": b""}, r"/0\.png: expected class folders alone in .*, found a file; move it"),
    "one class": (
        {f"cat/{row}.png": encoded(pixels(row)) for row in range(9)},
        ": expected 2 to 1,000 classes, found 1",
    ),
    "1,001 classes": (
        {f"train/{name:04}/0.png": b"" for name in range(1001)} | split_set("test/0000"),
        ": expected 2 to 1,000 classes, found 1,001",
    ),
    "a file beside classes": (two_classes() | {"labels.csv": b""}, r"/labels\.csv: expected class folders alone"),
    "another file": (
        two_classes() | {"cat/notes.txt": b""},
        r"/cat/notes\.txt: expected images alone, \*\.png, .*another",
    ),
    "a folder of images": (
        two_classes() | {"cat/more/0.png": b""},
        "/cat/more: expected images alone .* found a folder",
    ),
    "few images": (two_classes(4), "/cat: expected at least 5 images of a class to split, found 4; add some, or make"),
    "a blank name": (
        two_classes() | {" /0.png": b""},
        "/ : expected a class's name of 1 to 100 printable .* found ' '",
    ),
    "a name of two lines": (two_classes() | {"a\nb/0.png": b""}, r"/a\nb: expected a class's name of .* found 'a\\nb'"),
    "a long name": (two_classes() | {"n" * 101 + "/0.png": b""}, "/n{101}: expected a class's name of 1 to 100"),
    "train alone": (split_set("train/cat", "train/dog"), ": expected the folders train and test .* found train$"),
    "validation for test": (
        split_set("train/cat", "train/dog", "val/cat", "val/dog"),
        ": expected the folders train and test and nothing else, found train, val$",
    ),
    "a third split": (
        split_set(*FOUR, "validation/cat"),
        ": expected the folders train and test and nothing else, found test, train, validation$",
    ),
    "a file beside train": (
        split_set(*FOUR) | {"README.md": b""},
        ": expected the folders train and test .* README.md, ",
    ),
    "a class of test alone": (
        split_set(*FOUR, "test/cow"),
        "/test/cow: a class that .*/train lacks; add it there or remove it here",
    ),
    "no test images": (split_set("train/cat", "train/dog") | {"test/.hidden": b""}, ": x_test: holds no images"),
    "a file for train": (split_set("test/cat") | {"train": b""}, "/train: cannot be read: Not a directory"),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED)
def test_a_folder_of_another_form_is_refused(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises((ValueError, OSError), match=f"^{tmp_path}{message}"):
        load(write(tmp_path, files))


@pytest.mark.parametrize("folder", ["cat", "train/cat", "test/dog"])
def test_an_empty_class_is_refused(tmp_path: Path, folder: str) -> None:
    write(tmp_path, split_set(*FOUR, "train/cat") if "/" in folder else two_classes())
    for path in (tmp_path / folder).iterdir():
        path.rename(path.with_name(".hidden"))
    with pytest.raises(
        ValueError, match=f"^{tmp_path}/{folder}: the class has no images; add some or remove the folder"
    ):
        load(tmp_path)


def test_a_class_with_no_test_image_is_a_warning(tmp_path: Path) -> None:
    own = load(write(tmp_path, split_set(*FOUR, "train/cow")))
    assert own.warnings == (f"{tmp_path}: test has no image of class cow",)


@pytest.mark.parametrize("link", ["cat", "cat/loop.png", "train"])
def test_a_link_to_itself_is_refused(tmp_path: Path, link: str) -> None:
    write(tmp_path, {name: content for name, content in two_classes().items() if not name.startswith(f"{link}/")})
    path = tmp_path / link
    path.symlink_to(path.name)
    with pytest.raises(OSError, match=f"^{path}: cannot be read: Too many levels of symbolic links$"):
        load(tmp_path)


def test_a_link_to_a_folder_above_is_refused(tmp_path: Path) -> None:
    (write(tmp_path, two_classes()) / "cow").symlink_to("..")
    (tmp_path / "cat/up").symlink_to("..")
    with pytest.raises(
        ValueError, match=f"^{tmp_path}/cat/up: expected images alone in the class folder cat, found a folder"
    ):
        load(tmp_path)


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    (write(tmp_path, two_classes()) / "cat/gone.png").symlink_to("nowhere")
    with pytest.raises(OSError, match=f"^{tmp_path}/cat/gone.png: cannot be read: No such file or directory$"):
        load(tmp_path)


def test_what_is_neither_file_nor_folder_is_refused_unopened(tmp_path: Path) -> None:
    write(tmp_path, two_classes())
    os.mkfifo(tmp_path / "cat/pipe.png")
    with pytest.raises(
        ValueError, match=f"^{tmp_path}/cat/pipe.png: expected a regular file or a folder, found neither"
    ):
        load(tmp_path)
    with pytest.raises(ValueError, match=r"^/dev/zero: expected a regular file or a folder, found neither"):
        load(Path("/dev/zero"))


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "No such file or directory"), ("a\0b", "embedded null byte")])
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(OSError, match=f"^{tmp_path}/{name}: cannot be read: {reason}$"):
        load(tmp_path / name)
