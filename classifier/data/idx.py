"""Read the four arrays of a data set from IDX files, in blocks of rows."""

import gzip
import io
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from classifier.data.formats import BLOCK, Rows, TooLargeError, check_empty, open_regular, row_counts

# File names and format: http://yann.lecun.com/exdb/mnist/. In the magic number, a third byte of 8 means unsigned bytes,
# and the fourth is the number of dimensions.
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}


def open_idx(folder: Path, cap: int) -> dict[str, Rows]:
    """Open the four IDX files in a folder, gzipped or not; `cap` and the errors are those of `open_npz`."""
    paths = {}
    for name, file_name in IDX_FILES.items():
        path = folder / file_name
        if not path.exists():
            path = path.with_suffix("")
        if not path.exists():
            raise FileNotFoundError(f"{folder}: expected the IDX file {file_name} (or without .gz), found neither")
        paths[name] = path
    return open_idx_files(paths, cap)


def open_idx_files(paths: Mapping[str, Path], cap: int) -> dict[str, Rows]:
    """Open an IDX file, gzipped or not, for each name; `cap` and the errors are those of `open_npz`.

    A file is read once here, to count its bytes and to check them, and again for its rows.
    """
    arrays: dict[str, Rows] = {}
    for name, path in paths.items():
        arrays[name] = _open(path, cap)
        cap -= math.prod(arrays[name].shape)
    return arrays


def _open(path: Path, cap: int) -> Rows:
    with _unpacked(path, cap) as file:
        header = _read(file, path, 4)
        dimensions = header[3] if len(header) == 4 else 0
        header += _read(file, path, 4 * min(dimensions, 4))
        size = len(header)
        while size <= cap and (more := len(_read(file, path, min(BLOCK, cap + 1 - size)))):
            size += more
    if size > cap:
        raise TooLargeError(f"{path}: expected at most {cap:,} bytes unpacked, found more")
    start = 4 + 4 * dimensions
    if header[:3] != b"\x00\x00\x08" or not 1 <= dimensions <= 4 or len(header) < start:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes; it begins with {header[:4]!r}")
    shape = tuple(int(each) for each in np.frombuffer(header, ">u4", dimensions, offset=4))
    if math.prod(shape) != size - start:
        raise ValueError(f"{path}: its header claims the shape {shape}, but {size - start:,} bytes follow")
    if size == start:
        check_empty(shape, f"{path}: its header claims")

    def blocks() -> Iterator[np.ndarray]:
        with _unpacked(path, cap) as file:
            _read(file, path, start)
            for count in row_counts(shape, 1):
                content = _read(file, path, count * math.prod(shape[1:]))
                if len(content) < count * math.prod(shape[1:]):
                    raise ValueError(f"{path}: became shorter while it was read")
                yield np.frombuffer(content, np.uint8).reshape(count, *shape[1:])

    return Rows(shape, np.dtype(np.uint8), blocks)


@contextmanager
def _unpacked(path: Path, cap: int) -> Iterator[io.BufferedIOBase]:
    with ExitStack() as opened:
        file = opened.enter_context(io.BufferedReader(open_regular(path, cap)))
        if file.peek(2)[:2] == b"\x1f\x8b":
            yield opened.enter_context(gzip.GzipFile(fileobj=file))
        else:
            yield file


def _read(file: io.BufferedIOBase, path: Path, size: int) -> bytes:
    try:
        return file.read(size)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: not a whole gzip file: {error}") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error
