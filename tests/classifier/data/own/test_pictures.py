import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.data.formats import TooLargeError
from tests.classifier.data.own.pictures import chunk, encoded, pixels, png, two_classes, write
from tests.whole_arrays import load_own

GREY, COLOUR = pixels(100), pixels(101, colour=True)
WHOLE = encoded(GREY)


def load_with(folder: Path, content: bytes, name: str = "cat/odd.png", resize: tuple[int, int] | None = None) -> None:
    load_own(write(folder, two_classes() | {name: content}), 0, 0.2, resize)


@pytest.mark.parametrize("colour", [False, True])
def test_png_pixels_are_read_as_they_are(tmp_path: Path, colour: bool) -> None:
    own = load_own(write(tmp_path, two_classes(colour=colour)), 0, 0.2, None)
    found = np.concatenate([own.arrays["x_train"], own.arrays["x_test"]])
    assert found.shape == ((10, 10, 8, 3) if colour else (10, 10, 8))
    expected = [pixels(seed, colour=colour).tobytes() for seed in range(10)]
    assert sorted(image.tobytes() for image in found) == sorted(expected)


def test_jpeg_files_are_read_whatever_the_case_of_their_names(tmp_path: Path) -> None:
    files = [
        f"{name}/{row}.{suffix}" for name in "ab" for row, suffix in enumerate(["jpg", "JPG", "jpeg", "Jpeg", "png"])
    ]
    image = np.full((8, 8, 3), 77, np.uint8)
    write(tmp_path, {name: encoded(image, "PNG" if name.endswith("png") else "JPEG") for name in files})
    own = load_own(tmp_path, 0, 0.2, None)
    assert own.arrays["x_train"].shape == (8, 8, 8, 3)
    assert np.ptp(own.arrays["x_train"].astype(int)) <= 2  # JPEG is not exact


def test_black_and_white_images_are_grey(tmp_path: Path) -> None:
    bits = pixels(3) > 127
    own = load_own(
        write(tmp_path, {f"{n}/{row}.png": encoded(Image.fromarray(bits)) for n in "ab" for row in range(5)}),
        0,
        0.2,
        None,
    )
    np.testing.assert_array_equal(own.arrays["x_train"][0], bits * np.uint8(255))


def test_of_a_phone_s_jpeg_with_a_second_picture_the_first_is_read(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (10, 200))
    content = encoded(first, "MPO", save_all=True, append_images=[second])
    own = load_own(write(tmp_path, {f"{n}/{row}.jpg": content for n in "ab" for row in range(5)}), 0, 0.2, None)
    assert np.unique(own.arrays["x_train"]).tolist() == [10]


def test_images_are_resized_on_request(tmp_path: Path) -> None:
    sizes = [(200, 300), (8, 8), (1, 1), (12, 16), (500, 10)]
    files = {f"{n}/{row}.png": encoded(np.full(size, 90, np.uint8)) for n in "ab" for row, size in enumerate(sizes)}
    own = load_own(write(tmp_path, files), 0, 0.2, (12, 16))
    assert own.arrays["x_train"].shape == (8, 12, 16)
    assert np.unique(own.arrays["x_train"]).tolist() == [90]


def test_a_resized_file_has_the_pixels_of_a_resized_array(tmp_path: Path) -> None:
    files = write(tmp_path / "files", two_classes(colour=True))
    whole = load_own(files, 0, 0.2, None)
    np.savez(tmp_path / "a.npz", **whole.arrays)
    for name, array in load_own(files, 0, 0.2, (9, 20)).arrays.items():
        np.testing.assert_array_equal(load_own(tmp_path / "a.npz", 0, 0.2, (9, 20)).arrays[name], array)


ODD = {
    "empty": (b"", "not a PNG or JPEG image"),
    "text": (b"<!DOCTYPE html>", "not a PNG or JPEG image"),
    "gif": (encoded(GREY, "GIF"), "not a PNG or JPEG image"),
    "bmp": (encoded(GREY, "BMP"), "not a PNG or JPEG image"),
    "tiff": (encoded(GREY, "TIFF"), "not a PNG or JPEG image"),
    "cut in its header": (WHOLE[:20], "not a whole image: Truncated File Read"),
    "cut": (WHOLE[: len(WHOLE) // 2], "not a whole image"),
    "without its end": (WHOLE[:-12], "not a whole image"),
    "flipped": (WHOLE[:60] + bytes([WHOLE[60] ^ 1]) + WHOLE[61:], "not a whole image: broken PNG file"),
    "cut JPEG": (encoded(pixels(1, 64, 64), "JPEG")[:-800], "not a whole image: image file is truncated"),
    "16-bit grey": (encoded(GREY.astype(np.uint16) * 257), "8-bit grey or RGB pixels, found 16-bit; save it as"),
    "16-bit colour": (png(8, 10, 16, 2, bytes(49) * 10), "found 16-bit"),
    "16-bit grey and alpha": (png(8, 10, 16, 4, bytes(33) * 10), "found 16-bit"),
    "colour and alpha": (encoded(Image.fromarray(COLOUR).convert("RGBA")), "found alpha"),
    "grey and alpha": (encoded(Image.fromarray(GREY).convert("LA")), "found alpha"),
    "a transparent grey": (encoded(GREY, transparency=0), "found alpha"),
    "a transparent colour": (encoded(COLOUR, transparency=(0, 0, 0)), "found alpha"),
    "palette": (encoded(Image.fromarray(COLOUR).quantize(16)), "found palette"),
    "CMYK": (encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"), "found CMYK"),
    "animated": (
        encoded(GREY, save_all=True, append_images=[Image.fromarray(pixels(5))], default_image=False),
        "found animated",
    ),
    "a bomb": (png(20_000, 20_000, 8, 0, b""), "exceeds limit .* could be decompression bomb"),
    "half a bomb": (png(10_000, 10_000, 8, 0, b""), "exceeds limit .* could be decompression bomb"),
    "a bomb of text": (
        WHOLE[:33] + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8))) + WHOLE[33:],
        "not a whole image: Decompressed data too large",
    ),
}


@pytest.mark.parametrize("resize", [None, (8, 8)])
@pytest.mark.parametrize(("content", "message"), ODD.values(), ids=ODD)
def test_an_image_that_is_not_whole_8_bit_grey_or_colour_is_refused(
    tmp_path: Path, content: bytes, message: str, resize: tuple[int, int] | None
) -> None:
    with pytest.raises(ValueError, match=rf"^{tmp_path}/cat/odd\.png: .*{message}"):
        load_with(tmp_path, content, resize=resize)


@pytest.mark.parametrize("size", [(7, 8), (8, 7), (129, 128), (128, 129), (1000, 1000)])
def test_an_image_smaller_or_larger_than_can_be_classified_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    message = rf"odd\.png: expected images of 8x8 to 128x128 \(height x width\), found {size[0]}x{size[1]}; resize them"
    with pytest.raises(ValueError, match=message):
        load_with(tmp_path, encoded(np.zeros(size, np.uint8)))


@pytest.mark.parametrize("size", [(8, 8), (128, 128), (8, 128)])
def test_the_smallest_and_the_largest_image_are_taken(tmp_path: Path, size: tuple[int, int]) -> None:
    content = encoded(np.zeros(size, np.uint8))
    own = load_own(write(tmp_path, {f"{n}/{row}.png": content for n in "ab" for row in range(5)}), 0, 0.2, None)
    assert own.arrays["x_test"].shape == (2, *size)


def test_images_of_two_sizes_are_refused_and_one_of_each_is_named(tmp_path: Path) -> None:
    message = (
        rf"dog/odd\.png: images must have one size and kind, found 8x10 grey here and 10x8 grey in {tmp_path}/cat/0"
    )
    with pytest.raises(ValueError, match=message):
        load_with(tmp_path, encoded(pixels(9, 8, 10)), "dog/odd.png")


def test_grey_and_colour_images_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dog/odd\.png: .* found 10x8 colour here and 10x8 grey in .*cat/0\.png"):
        load_with(tmp_path, encoded(COLOUR), "dog/odd.png")


def test_images_too_many_for_memory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{tmp_path}: 10 images of 10x8 grey are 800 bytes, expected at most 799"):
        load_own(write(tmp_path, two_classes()), 0, 0.2, None, most_bytes=799)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    write(tmp_path, two_classes())
    with (tmp_path / "cat/0.png").open("ab") as file:
        file.truncate(2**40)  # a hole, of which the disk keeps nothing
    with pytest.raises(
        ValueError, match=r"cat/0\.png: has 1,099,511,627,776 bytes, expected at most 67,108,864"
    ) as refused:
        load_own(tmp_path, 0, 0.2, None)
    assert not isinstance(refused.value, TooLargeError)  # whose message names the parameter for all arrays


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (write(tmp_path, two_classes()) / "cat/odd.png").symlink_to("/proc/self/mem")  # fails for root too
    with pytest.raises(ValueError, match=rf"^{tmp_path}/cat/odd\.png: cannot be read: Input/output error$"):
        load_own(tmp_path, 0, 0.2, None)


@pytest.mark.parametrize("resize", [(7, 8), (8, 129)])
def test_a_size_that_cannot_be_classified_is_refused(tmp_path: Path, resize: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"resized to 8x8 to 128x128, not to {resize[0]}x{resize[1]}"):
        load_own(tmp_path, 0, 0.2, resize)
