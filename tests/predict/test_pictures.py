"""Which files are read as pictures, how they are turned into grey, and which are refused."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from predict import pictures

RAMP = np.add.outer(np.arange(20) * 8, np.arange(30) * 3).astype(np.uint8)


def read(name: str) -> Image.Image:
    return pictures.decode(pictures.load(name))[0]


def saved(path: Path, image: Image.Image, **options: object) -> str:
    image.save(path, **options)  # type: ignore[arg-type]
    return str(path)


def test_png_and_jpeg_of_every_mode_give_the_same_grey(tmp_path: Path) -> None:
    ramp = Image.fromarray(RAMP)
    opaque = ramp.convert("RGBA")
    wide = Image.fromarray(RAMP.astype(np.uint16) * 257)
    for number, image in enumerate((ramp, ramp.convert("RGB"), ramp.convert("P"), ramp.convert("LA"), opaque, wide)):
        found = pictures.grey(read(saved(tmp_path / f"{number}.png", image)))
        assert np.array_equal(found, RAMP), image.mode
    for number, image in enumerate((ramp, ramp.convert("RGB"), ramp.convert("CMYK"))):
        found = pictures.grey(read(saved(tmp_path / f"{number}.jpg", image, quality=95)))
        assert np.abs(found.astype(int) - RAMP).max() <= 6, image.mode


def test_grey_is_the_luminance_that_the_specification_gives(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    red, green, blue = colours.astype(int).transpose(2, 0, 1)
    expected = (19595 * red + 38470 * green + 7471 * blue + 32768) // 65536
    found = pictures.grey(read(saved(tmp_path / "colours.png", Image.fromarray(colours))))
    assert np.array_equal(found, expected)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    opacity = np.linspace(0, 255, RAMP.size).astype(np.uint8).reshape(RAMP.shape)
    picture = np.stack([RAMP, RAMP, RAMP, opacity], axis=-1)
    expected = (RAMP.astype(int) * opacity + 255 * (255 - opacity.astype(int)) + 127) // 255
    found = pictures.grey(read(saved(tmp_path / "glass.png", Image.fromarray(picture))))
    assert np.array_equal(found, expected)


def test_a_photo_that_the_camera_marks_as_turned_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    name = saved(tmp_path / "turned.jpg", Image.fromarray(RAMP), exif=exif, quality=95)
    found = pictures.grey(read(name)).astype(int)
    assert np.abs(found - np.rot90(RAMP, -1)).max() <= 6


def test_a_large_photo_is_decoded_in_a_smaller_size(tmp_path: Path) -> None:
    name = saved(tmp_path / "photo.jpg", Image.new("RGB", (4000, 3300), "white"))
    assert read(name).size == (1000, 825)
    name = saved(tmp_path / "screen.png", Image.new("RGB", (1700, 1700), "white"))
    assert read(name).size == (1700, 1700)


def test_a_picture_is_squashed_into_the_shape_of_other_data_sets(tmp_path: Path) -> None:
    half = np.zeros((40, 60, 3), np.uint8)
    half[:, 30:, 0] = 200
    image = read(saved(tmp_path / "half.png", Image.fromarray(half)))
    colour = pictures.resize(image, (4, 6, 3))
    assert colour.shape == (4, 6, 3)
    assert colour[:, 5, 0].tolist() == [200] * 4
    assert colour[:, 0].max() == 0
    assert pictures.resize(image, (4, 6, 1)).shape == (4, 6, 1)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


REFUSED = {
    "empty.png": (b"", "empty"),
    "text.png": (b"a text\n", "not a PNG or JPEG picture"),
    "drawing.gif": (b"GIF89a" + bytes(50), "not a PNG or JPEG picture"),
    "truncated.png": (png(Image.effect_noise((64, 64), 50))[:2000], "not a whole picture: "),
    "clear.png": (png(Image.new("RGBA", (9, 9), (0, 0, 0, 0))), "transparent everywhere"),
    "bomb.png": (png(Image.new("1", (9500, 9500))), "too large: Image size (90250000 pixels) exceeds limit"),
    "huge.png": (png(Image.new("1", (14000, 14000))), "too large: Image size (196000000 pixels) exceeds limit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_whole_picture_is_refused(name: str, tmp_path: Path) -> None:
    content, reason = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(reason)):
        read(str(tmp_path / name))


def test_a_jpeg_cut_anywhere_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((40, 40), 50).save(whole)
    content = whole.read_bytes()
    refused = 0
    for length in range(1, len(content), 37):
        (tmp_path / "cut.jpg").write_bytes(content[:length])
        try:
            read(str(tmp_path / "cut.jpg"))
        except ValueError:
            refused += 1
    assert refused >= len(content) // 37 - 1


@pytest.mark.parametrize(("name", "reason"), [("", "No such file or directory"), ("7" * 5000, "File name too long")])
def test_an_empty_name_is_no_folder_and_one_that_is_too_long_is_refused(name: str, reason: str) -> None:
    assert list(pictures.find([name])) == [name]
    with pytest.raises(OSError, match=f"cannot be read: {reason}"):
        pictures.load(name)


def test_a_missing_file_a_pipe_and_a_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be read: No such file or directory"):
        read(str(tmp_path / "gone.png"))
    os.mkfifo(tmp_path / "pipe.png")
    for name in (str(tmp_path / "pipe.png"), os.devnull):
        with pytest.raises(ValueError, match="not a regular file"):
            read(name)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="expected a file of at most 10 bytes, found more"):
        read(saved(tmp_path / "ramp.png", Image.fromarray(RAMP)))


def test_a_folder_stands_for_its_pictures_and_a_pattern_for_the_files_that_match(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "notes.txt", "more/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = pictures.find([str(tmp_path), str(tmp_path / "**/*.jp*g"), str(tmp_path / "[z]"), "-"])
    names = [name.removeprefix(f"{tmp_path}/") for name in found]
    assert names == ["a.jpeg", "b.PNG", "a.jpeg", "more/c.jpg", "[z]", "-"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (name,) = pictures.find([str(tmp_path)])
    with pytest.raises(ValueError, match="no picture in this folder"):
        read(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any folder")
def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(0o000)
    (name,) = pictures.find([str(tmp_path / "closed")])
    with pytest.raises(OSError, match="cannot be read: Permission denied"):
        pictures.load(name)


def test_a_file_whose_name_is_a_pattern_is_this_file(tmp_path: Path) -> None:
    (tmp_path / "scan[1].png").touch()
    assert list(pictures.find([str(tmp_path / "scan[1].png")])) == [str(tmp_path / "scan[1].png")]
