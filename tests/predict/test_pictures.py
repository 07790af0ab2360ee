"""Which files are read as pictures, how they are turned into grey, and which are refused."""

import numpy as np
import pytest
from PIL import Image

from predict import pictures
from tests.classifier.data.pictures import encoded

RAMP = np.add.outer(np.arange(20) * 8, np.arange(30) * 3).astype(np.uint8)


def grey(content: bytes) -> np.ndarray:
    return np.asarray(pictures.decode(content)[0].convert("L")).astype(int)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "RGBA", "I;16", "CMYK"])
def test_png_and_jpeg_of_every_mode_give_the_same_grey(mode):
    wide = Image.fromarray(RAMP.astype(np.uint16) * 257)
    image = wide if mode == "I;16" else Image.fromarray(RAMP).convert(mode)
    if mode != "CMYK":  # which PNG has not
        assert np.array_equal(grey(encoded(image)), RAMP)
    if mode in ("L", "RGB", "CMYK"):
        assert np.abs(grey(encoded(image, "JPEG", quality=95)) - RAMP).max() <= 6


def test_what_is_transparent_is_white():
    opacity = np.linspace(0, 255, RAMP.size).astype(np.uint8).reshape(RAMP.shape)
    expected = (RAMP.astype(int) * opacity + 255 * (255 - opacity.astype(int)) + 127) // 255
    assert np.array_equal(grey(encoded(Image.fromarray(np.stack([RAMP, RAMP, RAMP, opacity], axis=-1)))), expected)


def test_white_ink_on_a_transparent_ground_is_laid_on_black():
    white = np.stack([np.full_like(RAMP, 255)] * 3 + [RAMP], axis=-1)
    assert np.array_equal(grey(encoded(Image.fromarray(white))), RAMP)


@pytest.mark.parametrize("bits", [8, 10, 12, 15])
def test_fewer_bits_in_a_png_of_16_bits_are_read(bits):
    values = (RAMP.astype(np.uint16) << 8 >> (16 - bits)) | (1 << (bits - 1))
    assert np.abs(grey(encoded(Image.fromarray(values))) - (values >> (bits - 8))).max() <= 1


@pytest.mark.parametrize(("kind", "size"), [("JPEG", (1000, 825)), ("MPO", (1000, 825)), ("PNG", (4000, 3300))])
def test_a_large_photo_is_decoded_in_a_smaller_size(kind, size):
    options = {"save_all": True, "append_images": [Image.new("RGB", (8, 8))]} if kind == "MPO" else {}
    picture, whole = pictures.decode(encoded(Image.new("RGB", (4000, 3300), "white"), kind, **options))
    assert (picture.size, whole) == (size, (4000, 3300))


NOISE = encoded(Image.effect_noise((64, 64), 50))
REFUSED = {
    "empty": (b"", "^an empty file, of 0 bytes; copy or download it again$"),
    "a text": (b"a text\n", "not a PNG or JPEG picture"),
    "a GIF": (b"GIF89a" + bytes(50), "not a PNG or JPEG picture"),
    "truncated": (NOISE[:2000], "not a whole picture"),
    "damaged": (NOISE[:60] + b"noise" + NOISE[65:], "not a whole picture"),
    "too large": (encoded(Image.new("1", (9500, 9500))), "90250000 pixels.* exceeds limit"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_whole_picture_is_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        pictures.decode(content)


@pytest.mark.parametrize(("name", "reason"), [("7" * 5000, "File name too long"), ("", "no picture in this folder")])
def test_what_cannot_be_read_and_a_folder_without_pictures_are_refused(tmp_path, name, reason):
    (listed,) = pictures.find([str(tmp_path / name)])
    with pytest.raises(OSError, match=reason):
        pictures.read_file(listed)


def test_a_folder_stands_for_its_pictures_and_a_pattern_for_the_files_that_match(tmp_path):
    for name in ("b.PNG", "a.jfif", "more/c.jpg", "scan[1].png", "a.jpg:Zone.Identifier", "._b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [str(tmp_path), *(str(tmp_path / name) for name in ("**/*.jp*g", "[z]", "scan[1].png")), "-", ""]
    listed = [name.removeprefix(f"{tmp_path}/") for name in pictures.find(names)]
    assert listed == ["a.jfif", "b.PNG", "scan[1].png", "more/c.jpg", "[z]", "scan[1].png", "-", ""]
