"""Class folders of images: which files are read, how they are split, and what is refused by the name of the file."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from classifier.data.arrays import Arrays
from classifier.data.class_folders import SUFFIXES, list_images
from classifier.data.data_set import fingerprint
from classifier.data.own import read_own
from predict import pictures as predicted
from tests.classifier.data.pictures import encoded, pixels, png, two_classes, write

GREY, COLOUR = pixels(100), pixels(101, colour=True)
WHOLE = encoded(GREY)
read = partial(read_own, seed=0, share=0.2, size=None, most=2**20, notes=[])


def split_set(*names: str, colour: bool = False) -> dict[str, bytes]:
    """One image of each `split/class` named."""
    return {f"{name}/{row}.png": encoded(pixels(row, colour=colour)) for row, name in enumerate(names)}


FOUR = ["train/cat", "train/dog", "test/cat", "test/dog"]


def as_bytes(arrays: Arrays) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


@pytest.mark.parametrize("colour", [False, True])
def test_train_and_test_are_read_as_they_are_split(tmp_path, colour):
    files = split_set("train/dog", "train/cat", "test/cat", "test/dog", "train/cat", colour=colour)
    arrays, classes = read(write(tmp_path, files))
    assert classes == ("cat", "dog")
    np.testing.assert_array_equal(arrays["x_train"], [pixels(row, colour=colour) for row in (1, 4, 0)])
    np.testing.assert_array_equal(arrays["x_test"], [pixels(row, colour=colour) for row in (2, 3)])
    assert (arrays["y_train"].tolist(), arrays["y_test"].tolist()) == ([0, 0, 1], [0, 1])
    assert arrays["y_train"].dtype == np.uint8


def test_classes_are_in_the_order_of_keras_and_torchvision(tmp_path):
    names = ["Zebra", "10", "9", "ant", "été", "train"]
    files = {f"{name}/{row}.png": WHOLE for name in names for row in range(5)}
    assert read(write(tmp_path, files))[1] == tuple(sorted(names))


def test_the_arrays_have_the_same_bytes_in_whatever_order_a_folder_is_listed(tmp_path, monkeypatch):
    write(tmp_path, two_classes(12))
    expected, iterdir = as_bytes(read(tmp_path)[0]), Path.iterdir
    random = np.random.default_rng(0)
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter(random.permutation(list(iterdir(folder)))))
    for _ in range(5):
        assert as_bytes(read(tmp_path)[0]) == expected


@pytest.mark.parametrize(("share", "counts"), [(0.25, [10, 2, 1]), (0.001, [1, 1, 1]), (0.999, [39, 9, 4])])
def test_each_class_gives_its_share_to_test_and_keeps_an_image_in_both(tmp_path, share, counts):
    sizes = {"a": 40, "b": 10, "c": 5}
    files = {f"{name}/{row}.png": encoded(pixels(row)) for name, count in sizes.items() for row in range(count)}
    arrays, _ = read(write(tmp_path, files), share=share)
    assert np.bincount(arrays["y_test"]).tolist() == counts
    assert np.bincount(arrays["y_train"]).tolist() == [40 - counts[0], 10 - counts[1], 5 - counts[2]]


def test_the_seed_draws_the_split_of_each_class_alone(tmp_path):
    before = read(write(tmp_path, two_classes(20)), seed=1)[0]
    drawn = list_images(tmp_path, 1, 0.2)["test"]
    assert [path.name for path in drawn[:4]] != [path.name for path in drawn[4:]]
    assert as_bytes(before) == as_bytes(read(tmp_path, seed=1)[0]) != as_bytes(read(tmp_path, seed=2)[0])
    after = read(write(tmp_path, {"cat/more.png": encoded(pixels(1000))}), seed=1)[0]
    for split in ("train", "test"):
        np.testing.assert_array_equal(*(part[f"x_{split}"][part[f"y_{split}"] == 1] for part in (before, after)))


LEFT = [".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", "__MACOSX/cat/._0.png", ".git/HEAD"]
LEFT += ["cat/0.png:Zone.Identifier", "cat/0.pngZone.Identifier", "cat/._1.png", "cat/Icon\r", "dog/@eaDir/0.png/T.jpg"]
LEFT += ["cat/ehthumbs_vista.db", "cat/index.html", "cat/0.png~", "dog/1.png.part", "dog/IMG.AAE", "$RECYCLE.BIN/0.png"]


def test_what_tools_leave_is_skipped_as_predict_skips_it_and_links_are_followed(tmp_path):
    images = write(tmp_path / "images", two_classes())
    (tmp_path / "linked").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "linked" / name).symlink_to(images / name)
    before, described = as_bytes(read(images)[0]), fingerprint(images)
    write(images, dict.fromkeys(LEFT, b"?"))
    assert fingerprint(images) == described
    assert as_bytes(read(images)[0]) == as_bytes(read(tmp_path / "linked")[0]) == before
    assert list(predicted.find([str(images / "cat")])) == [str(images / "cat" / f"{row}.png") for row in range(5)]
    assert SUFFIXES == predicted.ENDINGS


@pytest.mark.parametrize("names", [("training", "Testing", "VAL"), ("Train", "test", "validation")])
def test_splits_have_the_usual_names_and_the_validation_images_join_the_training_images(tmp_path, names):
    files = split_set(*(f"{split}/{name}" for split in names for name in ("cat", "dog")))
    arrays, classes = read(write(tmp_path, files), notes=(notes := []))
    assert classes == ("cat", "dog")
    np.testing.assert_array_equal(arrays["x_train"], [pixels(row) for row in (0, 4, 1, 5)])
    np.testing.assert_array_equal(arrays["x_test"], [pixels(2), pixels(3)])
    assert "2 validation images join the training images" in notes[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO"])
def test_pictures_stand_as_their_exif_says_and_as_predict_reads_them(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = encoded(np.arange(200, dtype=np.uint8).reshape(10, 20), kind, exif=exif)
    files = {f"{split}/{name}/0.Jpg": content for split in ("train", "test") for name in "ab"}
    image = read(write(tmp_path, files))[0]["x_train"][0]
    assert image.shape == ((10, 20) if orientation < 5 else (20, 10))
    corner = [np.ravel(rows)[0] for rows in (image, image[:, ::-1], image[::-1, ::-1], image[::-1])]
    assert np.argmin(corner) == [0, 1, 2, 3, 0, 1, 2, 3][orientation - 1]
    np.testing.assert_array_equal(image, np.asarray(predicted.decode(content)[0].convert("L")))


def test_images_of_several_kinds_are_read_as_one_kind_if_no_pixel_changes(tmp_path):
    grey, colour = Image.fromarray(GREY), Image.fromarray(COLOUR)
    palette = colour.quantize(16)
    kinds = {"L": grey, "LA": grey.convert("LA"), "P": grey.convert("P"), "1": grey.convert("1"), "again": grey}
    files = {f"{name}/{kind}.png": encoded(image) for name in "ab" for kind, image in kinds.items()}
    arrays, _ = read(write(tmp_path, files), notes=(notes := []))
    assert arrays["x_train"].shape == (8, 10, 8)
    assert notes == [f"{tmp_path}: read as grey without loss: 2 LA, 2 P"]
    write(tmp_path, {"a/palette.png": encoded(palette), "b/RGBA.png": encoded(colour.convert("RGBA"))})
    arrays, _ = read(tmp_path, notes=(notes := []), share=0.01)
    assert notes == [f"{tmp_path}: read as colour without loss: 4 L, 2 LA, 3 P, 1 RGBA"]
    images = np.concatenate([arrays["x_train"], arrays["x_test"]])
    for expected in (grey.convert("RGB"), palette.convert("RGB"), colour):
        assert (images == np.asarray(expected)).all((1, 2, 3)).any()


# The path after that of the folder, or what is said of the folder itself.
REFUSED = {
    "nothing": ({}, ": expected only CLASS/IMAGE.png"),
    "a file beside classes": (two_classes() | {"labels.csv": b""}, "/labels.csv: expected only CLASS/IMAGE.png"),
    "another file": (two_classes() | {"cat/notes.txt": b""}, "/cat/notes.txt: expected only CLASS/IMAGE.png"),
    "a folder of images": (two_classes() | {"cat/more/0.png": b""}, "/cat/more: expected only CLASS/IMAGE.png"),
    "an empty class": (two_classes() | {"cow/.hidden": b""}, "/cow: expected only CLASS/IMAGE.png"),
    "train alone": (split_set("train/cat", "train/dog"), "/train/cat: expected .* train/CLASS/... and test/CLASS"),
    "a split of another name": (split_set(*FOUR, "more/cat"), "/more/cat: expected .* train/CLASS/... and test/CLASS"),
    "two folders of one split": (split_set(*FOUR, "testing/cat"), "/test/cat: expected .* train/CLASS/... and test"),
    "rows of pixels": ({"train.csv": b"1,0,0"}, "/train.csv: not a format that is read; read it with pandas.read_csv"),
    "a file beside train": (split_set(*FOUR) | {"notes.md": b""}, "/notes.md: .* move the rest"),
    "a class of test alone": (split_set(*FOUR, "test/cow"), ": .* each class must have a train image; not so for cow"),
    "few images": (two_classes(4), "/cat: expected at least 5 images; add some, or split them yourself"),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED)
def test_a_folder_of_another_form_is_refused(tmp_path, files, message):
    with pytest.raises(ValueError, match=f"^{tmp_path}{message}"):
        read(write(tmp_path, files))


def test_images_of_any_size_are_resized_as_the_same_arrays_are(tmp_path):
    images = [encoded(np.full(size, 90, np.uint8)) for size in ((200, 300), (8, 8), (1, 1), (12, 16), (500, 10))]
    files = {f"{label}/{row}.png": image for label in "ab" for row, image in enumerate(images)}
    assert np.unique(read(write(tmp_path / "any", files), size=(12, 16))[0]["x_train"]).tolist() == [90]
    source = write(tmp_path / "files", two_classes(colour=True))
    np.savez(tmp_path / "a.npz", **read(source)[0])  # type: ignore[arg-type]
    resized = read(source, size=(9, 20))[0]
    assert resized["x_test"].shape == (2, 9, 20, 3)
    assert as_bytes(resized) == as_bytes(read(tmp_path / "a.npz", size=(9, 20))[0])


ODD = {
    "gif": (encoded(GREY, "GIF"), "cannot identify image file"),
    "without its end": (WHOLE[:-12], "not an image that can be used"),
    "flipped": (WHOLE[:60] + bytes([WHOLE[60] ^ 1]) + WHOLE[61:], "broken PNG file"),
    "cut JPEG": (encoded(pixels(1, 64, 64), "JPEG")[:-800], "image file is truncated"),
    "12 bits of 16": (encoded(np.full((10, 8), 4095, np.uint16)), "found I;16B; save it so, of values 0 to 255"),
    "16-bit colour": (png(8, 10, 16, 2, bytes(49) * 10), "found RGB;16B"),
    "transparent pixels": (encoded(Image.fromarray(np.dstack([COLOUR, GREY]))), "found RGBA with transparent ones"),
    "a transparent grey": (encoded(GREY, transparency=int(GREY[0, 0])), "found L with transparent ones; lay it on"),
    "inks of print": (encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"), "found CMYK; save it so"),
    "nothing": (b"", "the file is empty"),
    "beyond Pillow's limit": (png(10_000, 10_000, 8, 0, b""), "exceeds limit"),
    "smaller than can be classified": (encoded(np.zeros((7, 8), np.uint8)), r"found 7x8; download\.resize"),
    "larger than can be classified": (encoded(np.zeros((128, 129), np.uint8)), r"found 128x129; download\.resize"),
    "another size": (encoded(pixels(9, 8, 10)), "found 8x10 grey here and 10x8 grey in .*cat/0.png"),
}


@pytest.mark.parametrize(("content", "message"), ODD.values(), ids=ODD)
def test_an_image_that_is_not_whole_8_bit_and_like_the_first_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"^{tmp_path}/dog/odd\.png: .*{message}"):
        read(write(tmp_path, two_classes() | {"dog/odd.png": content}))


def test_more_images_than_the_limit_are_refused(tmp_path):
    assert read(write(tmp_path, two_classes()), most=800)[0]["x_test"].shape == (2, 10, 8)
    with pytest.raises(ValueError, match="images of 10x8 grey have more bytes, unpacked, than are allowed"):
        read(tmp_path, most=799)
