"""Files, folders, patterns and stdin as pictures; what is no whole PNG or JPEG picture is refused."""

import glob
import io
import os
import stat
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.Image import Resampling

STDIN = "-"
FORMATS = ("PNG", "JPEG")
ENDINGS = (".png", ".jpg", ".jpeg")
MOST_BYTES = 2**26  # of a file
DRAFT = 1600  # pixels; a JPEG whose sides are both longer is decoded in a smaller size, which takes less memory


def find(names: list[str]) -> Iterator[str]:
    """Yield the picture files that each name stands for: a file, the pictures of a folder, a pattern, or stdin."""
    for name in names:
        if name != STDIN and os.path.isdir(name):  # noqa: PTH112  # Path("") would be the current folder
            listed = sorted(Path(name).iterdir()) if os.access(name, os.R_OK) else []
            yield from [str(path) for path in listed if path.suffix.lower() in ENDINGS] or [name]
        elif name != STDIN and not os.path.lexists(name) and glob.has_magic(name):
            yield from sorted(glob.glob(name, recursive=True)) or [name]  # noqa: PTH207  # a path may be absolute
        else:
            yield name


def load(name: str) -> bytes:
    """Return the bytes of a file or of stdin.

    Raises:
        ValueError: it is a folder, no regular file, empty or too large. OSError: it cannot be read.
    """
    if name == STDIN:
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
    elif os.path.isdir(name) and os.access(name, os.R_OK):  # noqa: PTH112
        raise ValueError(f"no picture in this folder: expected a name that ends in {', '.join(ENDINGS)}")
    else:
        try:
            # Without O_NONBLOCK, a named pipe that nobody writes would be waited for.
            with os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ValueError("not a regular file")
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise OSError(f"cannot be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise ValueError(f"expected a file of at most {MOST_BYTES:,} bytes, found more")
    return content


def decode(content: bytes) -> tuple[Image.Image, tuple[int, int]]:
    """Return a picture in the mode L or RGB, upright, on white where it is transparent; and its size in the file.

    A large JPEG has a smaller size than in the file.

    Raises:
        ValueError: it is no whole PNG or JPEG picture, too large, or transparent everywhere.
    """
    with warnings.catch_warnings(action="ignore"):  # about what is odd in a file and needs no repair
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            size = image.size
            if image.format == "JPEG" and min(image.size) > DRAFT:
                image.draft(image.mode, (DRAFT // 2, DRAFT // 2))
            image.load()
            upright = ImageOps.exif_transpose(image)
            opaque = _opaque(upright)
        except UnidentifiedImageError as error:
            raise ValueError("not a PNG or JPEG picture" if content else "empty") from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ValueError(f"too large: {error}") from error
        except Exception as error:  # Pillow promises no set of exceptions for damaged files
            raise ValueError(f"not a whole picture: {error or type(error).__name__}") from error
    if opaque is None:
        raise ValueError("transparent everywhere: there is nothing to see")
    return opaque, size if upright.size == image.size else size[::-1]


def grey(image: Image.Image) -> np.ndarray:
    """Return the luminance of a picture: uint8 (height, width). Pillow computes it as docs/predict.md specifies."""
    return np.asarray(image.convert("L"))


def resize(image: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """Return a picture in another shape, uint8 (height, width, channels): squashed, as download resizes own images."""
    height, width, channels = shape
    resized = image.convert("L" if channels == 1 else "RGB").resize((width, height), Resampling.BILINEAR)
    return np.asarray(resized).reshape(shape)


def _opaque(image: Image.Image) -> Image.Image | None:
    """Return the picture in the mode L or RGB; None if all of it is transparent."""
    if image.mode.startswith("I"):  # 16 bits; Pillow would cut its values at 255
        return Image.fromarray((np.asarray(image).clip(0, 65535).astype(np.uint32) // 257).astype(np.uint8))
    if image.mode not in ("LA", "PA", "RGBA") and "transparency" not in image.info:
        return image if image.mode == "L" else image.convert("L" if image.mode == "1" else "RGB")
    pixels = np.asarray(image.convert("RGBA")).astype(np.uint16)
    colours, opacity = pixels[..., :3], pixels[..., 3:]
    if not opacity.any():
        return None
    return Image.fromarray(((colours * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8))
