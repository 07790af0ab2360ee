"""Files, folders, patterns and stdin as pictures; what is no whole PNG or JPEG picture is refused."""

import glob
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

STDIN = "-"
ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
LEAST_CONTRAST = 16  # grey levels between ink and paper
DRAFT = 1600  # pixels; a JPEG whose sides are both longer is decoded in a smaller size, which takes less memory


def find(names: list[str]) -> Iterator[str]:
    """Yield the picture files that each name stands for: a file, the pictures of a folder, a pattern, or stdin."""
    for name in names:
        if os.path.isdir(name):  # noqa: PTH112  # Path("") would be the current folder
            listed = glob.iglob(os.path.join(glob.escape(name), "*"))  # noqa: PTH118, PTH207
            yield from sorted(path for path in listed if path.lower().endswith(ENDINGS)) or [name]
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from sorted(glob.iglob(name, recursive=True)) or [name]  # noqa: PTH207  # a path may be absolute
        else:
            yield name


def read_file(name: str) -> bytes:
    """Return the bytes of a file or of stdin. Raises OSError if it is a folder or cannot be read."""
    try:
        return sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except IsADirectoryError as error:
        raise OSError(f"no picture in this folder: expected a name that ends in {', '.join(ENDINGS)}") from error
    except OSError as error:
        raise OSError(f"cannot be read: {error.strerror or error}") from error


def decode(content: bytes) -> tuple[Image.Image, tuple[int, int]]:
    """Return a picture in the mode L or RGB, upright, a large JPEG in a smaller size; and its size in the file.

    Raises:
        ValueError: it is no whole PNG or JPEG picture, or too large.
    """
    with warnings.catch_warnings(action="ignore"):  # about what is odd in a file and needs no repair
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
            size = image.size
            if image.format != "PNG" and min(size) > DRAFT:
                image.draft(image.mode, (DRAFT // 2, DRAFT // 2))
            upright = ImageOps.exif_transpose(image)
            opaque = lay_on_paper(upright)
        except UnidentifiedImageError as error:
            reason = "not a PNG or JPEG picture" if content else "an empty file, of 0 bytes; copy or download it again"
            raise ValueError(reason) from error
        except Exception as error:  # Pillow promises no set of exceptions for damaged files
            raise ValueError(f"not a whole picture of a usual size: {error or type(error).__name__}") from error
    return opaque, size if upright.size == image.size else size[::-1]


def lay_on_paper(image: Image.Image) -> Image.Image:
    """Return the picture in the mode L or RGB, laid on white; on black if it would be blank on white.

    Values of 16 bits are taken for as many bits as the largest needs, for some cameras and scanners fill 10 or 12.
    """
    if image.mode.startswith("I"):  # Pillow would cut its values at 255
        values = np.asarray(image).clip(0, 65535).astype(np.uint32)
        largest = 2 ** max(8, int(values.max()).bit_length()) - 1
        return Image.fromarray((values * 255 // largest).astype(np.uint8))
    if not image.has_transparency_data:
        return image if image.mode == "L" else image.convert("L" if image.mode == "1" else "RGB")
    pixels = np.asarray(image.convert("RGBA")).astype(np.uint16)
    colours, opacity = pixels[..., :3], pixels[..., 3:]
    seen, clear = colours * opacity + 127, 255 - opacity
    on_white = (seen + 255 * clear) // 255
    return Image.fromarray((on_white if on_white.min() <= 255 - LEAST_CONTRAST else seen // 255).astype(np.uint8))
