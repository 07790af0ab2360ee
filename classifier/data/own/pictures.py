"""PNG and JPEG files as arrays of 8-bit grey or colour images; any other image is refused by the name of its file."""

import io
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier.data.formats import Rows, TooLargeError, open_regular
from classifier.data.own.checks import check_sides, kind_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG")
MOST_FILE = 2**26  # bytes of one file
MODES = ("1", "L", "RGB")  # Pillow's names of the pixels' kinds: black and white, grey, colour
ADVICE = "save it as 8-bit grey or RGB"


def open_files(files: Mapping[str, list[Path]], size: tuple[int, int] | None, most_bytes: int) -> dict[str, Rows]:
    """Return the images of each name as Rows: uint8 (n, height, width) or (n, height, width, 3).

    Only the first file is read here. Reading the rows raises the errors of the others.

    Args:
        files: the image files of each array, at least one.
        size: height and width to resize to; None: all images must have one size.
        most_bytes: the most that all arrays may have together.

    Raises:
        ValueError: a file is no whole PNG or JPEG image of 8-bit grey or RGB, cannot be read, differs from the first in
            size or kind, or the arrays would be too large.
    """
    first = next(path for paths in files.values() for path in paths)
    expected = _read(first, size)
    count = sum(map(len, files.values()))
    if count * expected.nbytes > most_bytes:
        raise TooLargeError(
            f"{first.parent.parent}: {count:,} images of {kind_of(expected.shape)} are "
            f"{count * expected.nbytes:,} bytes, expected at most {most_bytes:,}"
        )
    return {name: _rows(paths, size, first, expected) for name, paths in files.items()}


def resize(arrays: Mapping[str, Rows], size: tuple[int, int], most_bytes: int, source: Path) -> dict[str, Rows]:
    """Return images in another size, height and width, as `open_files` does. Raises ValueError if too large."""
    from PIL import Image

    shapes = {name: (len(rows), *size, *rows.shape[3:]) for name, rows in arrays.items()}
    total = sum(map(math.prod, shapes.values()))
    if total > most_bytes:
        raise TooLargeError(
            f"{source}: images resized to {size[0]}x{size[1]} are {total:,} bytes, expected at most {most_bytes:,}"
        )

    def resized(rows: Rows) -> Iterator[np.ndarray]:
        for block in rows.blocks():
            for image in block:
                yield np.asarray(_resize(Image.fromarray(image), size))[None]

    return {name: Rows(shapes[name], rows.dtype, partial(resized, rows)) for name, rows in arrays.items()}


def _rows(paths: list[Path], size: tuple[int, int] | None, first: Path, expected: np.ndarray) -> Rows:
    def blocks() -> Iterator[np.ndarray]:
        for path in paths:
            found = _read(path, size)
            if found.shape != expected.shape:
                raise ValueError(
                    f"{path}: images must have one size and kind, found {kind_of(found.shape)} here and "
                    f"{kind_of(expected.shape)} in {first}"
                )
            yield found[None]

    return Rows((len(paths), *expected.shape), expected.dtype, blocks)


def _resize(image: "Image", size: tuple[int, int]) -> "Image":
    from PIL.Image import Resampling

    return image.resize(size[::-1], Resampling.BILINEAR)  # an average over all pixels covered, as torchvision's


def _read(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Read an image file, in its own size or resized."""
    from PIL import Image

    content = _content(path)
    with warnings.catch_warnings(action="ignore"):  # of Pillow, about what is odd in a file and needs no repair
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return _decode(path, content, size)


def _decode(path: Path, content: bytes, size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: {error}") from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{path}: not a PNG or JPEG image") from error
    except Exception as error:  # Pillow promises no set of exceptions for damaged files
        raise ValueError(f"{path}: not a whole image: {error or type(error).__name__}") from error
    _check(path, image)
    if size is None:
        check_sides(image.height, image.width, str(path))
    try:
        if image.format == "PNG":  # check all checksums; then it must be opened anew
            image.verify()
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        image.load()
    except Exception as error:
        raise ValueError(f"{path}: not a whole image: {error or type(error).__name__}") from error
    pixels = image.convert("L") if image.mode == "1" else image
    return np.asarray(pixels if size is None else _resize(pixels, size))


def _content(path: Path) -> bytes:
    try:
        with io.BufferedReader(open_regular(path, MOST_FILE)) as file:
            return file.read(os.fstat(file.fileno()).st_size + 1)  # 1: files of the kernel claim to be empty
    except TooLargeError as error:  # of one file, which no parameter limits
        raise ValueError(str(error)) from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error


def _check(path: Path, image: "ImageFile") -> None:
    """Raise ValueError unless the pixels are 8-bit grey or RGB; Pillow shortens some of 16 bits in silence."""
    kind = ""
    if "16" in image.mode or image.mode.startswith("I") or any("16" in str(tile[3]) for tile in image.tile):
        kind = "16-bit"
    elif image.mode.startswith("P"):
        kind = "palette"
    elif "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        kind = "alpha"
    elif image.mode not in MODES:
        kind = image.mode
    elif image.format == "PNG" and getattr(image, "is_animated", False):
        kind = "animated"
    if kind:
        raise ValueError(f"{path}: expected an image of 8-bit grey or RGB pixels, found {kind}; {ADVICE}")
