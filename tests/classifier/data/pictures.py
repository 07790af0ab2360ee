"""Image files for the tests of a user's own data: whole ones by Pillow, odd ones byte by byte."""

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def pixels(seed: int, height: int = 10, width: int = 8, colour: bool = False) -> np.ndarray:
    """Noise, uint8 (height, width) or (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3) if colour else (height, width), np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image as the bytes of a file."""
    content = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(content, kind, **options)
    return content.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file of any header and rows; each row begins with a byte that names its filter."""
    header = struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files by their path in `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def two_classes(count: int = 5, colour: bool = False) -> dict[str, bytes]:
    """The files of two class folders, cat and dog, of as many images each."""
    names = [f"{name}/{row}.png" for name in ("cat", "dog") for row in range(count)]
    return {name: encoded(pixels(seed, colour=colour)) for seed, name in enumerate(names)}
