"""Read and write the four arrays of a data set as an npz archive, in blocks of rows."""

import hashlib
import io
import math
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from classifier import files as stored_zip
from classifier.data.description import Array

Arrays = dict[str, np.ndarray]

BLOCK = 2**20  # bytes of rows to read at once; a block of larger rows has one row

# Limit of a zip's list of members, in bytes. zipfile finds the list with one read of 64 KB, the longest comment, and 22
# bytes more. Our list has 4 entries; in memory, an entry needs 8 times its bytes.
MOST_LISTED = 70_000

MEMBERS = ("x_train", "y_train", "x_test", "y_test")

# What a member of an archive may hold, by the words that a refusal uses for it.
CONTENTS: dict[str, Callable[[np.dtype], bool]] = {
    "uint8": lambda dtype: dtype == np.uint8,
    "integers": lambda dtype: dtype.kind in "iu",
    "text": lambda dtype: dtype.kind in "US" and dtype.itemsize > 0,
}
ALL_UINT8 = dict.fromkeys(MEMBERS, "uint8")
LABELLED = {**ALL_UINT8, "y_train": "integers", "y_test": "integers"}  # more than 256 classes need uint16


class TooLargeError(ValueError):
    """A file or its arrays have more bytes than the caller allows."""


@dataclass(frozen=True)
class Rows:
    """An array in a file, which is read in blocks of rows, so that it need not fit into memory.

    `blocks` reads the file from its first row, each time that it is called; it yields arrays in C order. It raises
    ValueError if the file is damaged or cannot be read.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Callable[[], Iterator[np.ndarray]]

    def __len__(self) -> int:
        return self.shape[0]

    def whole(self) -> np.ndarray:
        """Return the array in memory."""
        array = np.empty(self.shape, self.dtype)
        values, first = array.reshape(-1), 0
        for block in self.blocks():
            values[first : first + block.size] = block.reshape(-1)
            first += block.size
        return array


def rows_of(array: np.ndarray) -> Rows:
    """Return an array that is in memory as Rows of one block."""
    return Rows(array.shape, array.dtype, lambda: iter([np.ascontiguousarray(array)]))


def row_counts(shape: tuple[int, ...], itemsize: int) -> Iterator[int]:
    """Yield the number of rows of each block of an array with bytes; one without bytes has no blocks."""
    if not math.prod(shape):
        return
    left, most = shape[0] if shape else 1, max(1, BLOCK // (math.prod(shape[1:]) * itemsize))
    while left:
        yield min(most, left)
        left -= min(most, left)


@contextmanager
def open_npz(
    path: Path, cap: int, contents: Mapping[str, str] = ALL_UINT8, optional: Collection[str] = ()
) -> Iterator[dict[str, Rows]]:
    """Open exactly the named members of an npz archive; the block reads them as Rows.

    The bytes of a member are compared with their CRC-32 when its last block is read. An array in Fortran order is read
    as a whole.

    Args:
        path: the archive, with stored or deflated members.
        cap: the limit in bytes for the file, and for all members together after unpacking.
        contents: the names of the members, in order, and what each must hold: a key of CONTENTS.
        optional: those of the names that may be missing.

    Raises:
        ValueError: not a regular file or zip archive, damaged, a member missing or unexpected, of other contents
            (pickled objects included), a header that does not match its member, or more than `cap` bytes.
        OSError: the file cannot be opened.
    """
    with ExitStack() as opened:
        with _refuse_damage(path):
            file = opened.enter_context(_LimitedReader(open_regular(path, cap)))
            archive = opened.enter_context(zipfile.ZipFile(file))
            file.most = cap
            found = sorted(info.filename for info in archive.infolist())
            expected = sorted(f"{name}.npy" for name in contents if name not in optional or f"{name}.npy" in found)
            if found != expected:
                raise ValueError(f"{path}: expected the members {listed(expected)}, found {listed(found)}")
            methods = {info.compress_type for info in archive.infolist()} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
            if methods:  # other methods may allocate more memory
                raise ValueError(
                    f"{path}: expected members stored or deflated, found compression method {min(methods)}"
                )
            claimed = sum(info.file_size for info in archive.infolist())
            if claimed > cap:
                raise TooLargeError(f"{path}: claims {claimed:,} bytes unpacked, expected at most {cap:,}")
            members = {
                name: _open_member(archive, f"{name}.npy", path, content)
                for name, content in contents.items()
                if f"{name}.npy" in found
            }
        yield members


def save_npz(path: Path, arrays: Mapping[str, np.ndarray | Rows]) -> dict[str, Array]:
    """Write the four arrays uncompressed, in the order of MEMBERS; equal arrays give equal bytes on every platform.

    Returns:
        What identifies each array.
    """
    identities: dict[str, Array] = {}
    with stored_zip.open_new(path) as archive:
        for name in MEMBERS:
            array = arrays[name]
            rows = array if isinstance(array, Rows) else rows_of(array)
            hashed, header = hashlib.sha256(), io.BytesIO()
            write_npy_header(header, rows.shape, rows.dtype)
            size = header.tell() + math.prod(rows.shape) * rows.dtype.itemsize
            with stored_zip.open_member(archive, f"{name}.npy", size) as file:
                file.write(header.getvalue())
                for block in rows.blocks():
                    hashed.update(block.data)
                    file.write(block.data)
            identities[name] = Array(rows.shape, hashed.hexdigest())
    return identities


def write_npy_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Write the header of a npy file as `np.save` does; the array must follow in C order."""
    claim = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, claim)


def open_regular(path: Path, cap: int) -> io.FileIO:
    """Open a regular file of at most `cap` bytes. Raises ValueError if it is not, OSError if it cannot be opened."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # to open a FIFO may block for ever, and some devices never end
        raise ValueError(f"{path}: expected a regular file")
    if status.st_size > cap:
        raise TooLargeError(f"{path}: has {status.st_size:,} bytes, expected at most {cap:,}")
    return path.open("rb", buffering=0)


class _LimitedReader(io.BufferedReader):
    """A file that refuses a read of more than `most` bytes: zipfile reads as many as the archive claims."""

    most = MOST_LISTED

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.most:
            raise zipfile.BadZipFile(f"its list of members has {size:,} bytes, expected at most {self.most:,}")
        return super().read(size)


@contextmanager
def _refuse_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{path}: not a whole npz archive: {error or type(error).__name__}") from error


def _open_member(archive: zipfile.ZipFile, name: str, path: Path, content: str) -> Rows:
    info = archive.getinfo(name)
    with archive.open(info) as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran_order, dtype = read_header[version](file)
        except (ValueError, KeyError, SyntaxError, TokenError, TypeError, RecursionError, MemoryError) as error:
            raise ValueError(f"{path}: {name} has no readable npy header: {error}") from error
        begin = file.tell()
    if not CONTENTS[content](dtype):
        raise ValueError(f"{path}: {name} must be {content}, found {dtype}")
    follow = info.file_size - begin
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != follow:
        raise ValueError(f"{path}: the header of {name} claims the shape {shape}, but {follow:,} bytes follow")
    if not follow:
        check_empty(shape, f"{path}: the header of {name} claims")

    def blocks() -> Iterator[np.ndarray]:
        with archive.open(info) as file:
            read(file, begin)
            if fortran_order:
                array = np.frombuffer(read(file, follow), dtype).reshape(shape, order="F")
                first = 0
                for count in row_counts(shape, dtype.itemsize):
                    yield np.ascontiguousarray(array[first : first + count] if shape else array)
                    first += count
                return
            for count in row_counts(shape, dtype.itemsize):
                values = read(file, count * math.prod(shape[1:]) * dtype.itemsize)
                yield np.frombuffer(values, dtype).reshape(count, *shape[1:])

    def read(file: IO[bytes], size: int) -> bytes:
        try:
            with _refuse_damage(path):
                values = file.read(size)  # without this limit, zlib may inflate more than claimed
        except OSError as error:
            raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error
        if len(values) < size:
            raise ValueError(f"{path}: not a whole npz archive: {name} ends early")
        return values

    return Rows(shape, dtype, blocks)


def check_empty(shape: tuple[int, ...], claim: str) -> None:
    """Raise ValueError if an array without bytes has dimensions that no array can have."""
    try:
        np.empty(0, np.uint8).reshape(shape)
    except ValueError as error:
        raise ValueError(f"{claim} the shape {shape}: {error}") from error


def listed(names: list[str]) -> str:
    """Join names for a message; of many, the first eight."""
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return shown or "none"
