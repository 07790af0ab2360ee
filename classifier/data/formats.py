"""Read and write the four arrays of a data set: npz archives and folders of IDX files."""

import gzip
import io
import math
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tokenize import TokenError

import numpy as np

from classifier.files import stored_zip

Arrays = dict[str, np.ndarray]

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

# File names and format: http://yann.lecun.com/exdb/mnist/. In the magic number, a third byte of 8 means unsigned bytes,
# and the fourth is the number of dimensions.
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}


def read_npz(path: Path, cap: int, contents: Mapping[str, str] = ALL_UINT8, optional: Collection[str] = ()) -> Arrays:
    """Read exactly the named members of an npz archive; a wrong size is refused before memory is allocated for it.

    Args:
        path: the archive, with stored or deflated members.
        cap: the limit in bytes for the file, and for all members together after unpacking.
        contents: the names of the members, in order, and what each must hold: a key of CONTENTS.
        optional: those of the names that may be missing.

    Raises:
        ValueError: not a regular file or zip archive, damaged, a member missing or unexpected, of other contents
            (pickled objects included), a header that does not match its member, or more than `cap` bytes.
        OSError: the file cannot be read.
    """
    try:
        with _LimitedReader(open_regular(path, cap)) as file, zipfile.ZipFile(file) as archive:
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
                raise ValueError(f"{path}: claims {claimed:,} bytes unpacked, expected at most {cap:,}")
            return {
                name: _read_member(archive, f"{name}.npy", path, content)
                for name, content in contents.items()
                if f"{name}.npy" in found
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{path}: not a whole npz archive: {error or type(error).__name__}") from error


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the four arrays uncompressed, in the order of MEMBERS; equal arrays give equal bytes on every platform."""
    stored_zip.write(path, ((f"{name}.npy", _npy(arrays[name])) for name in MEMBERS))


def read_idx(folder: Path, cap: int) -> Arrays:
    """Read the four IDX files in a folder, gzipped or not; `cap` and the errors are those of `read_npz`."""
    paths = {}
    for name, file_name in IDX_FILES.items():
        path = folder / file_name
        if not path.exists():
            path = path.with_suffix("")
        if not path.exists():
            raise FileNotFoundError(f"{folder}: expected the IDX file {file_name} (or without .gz), found neither")
        paths[name] = path
    return read_idx_files(paths, cap)


def read_idx_files(paths: Mapping[str, Path], cap: int) -> Arrays:
    """Read an IDX file, gzipped or not, for each name; `cap` and the errors are those of `read_npz`."""
    arrays: Arrays = {}
    for name, path in paths.items():
        arrays[name] = _parse_idx(_read_capped(path, cap), path)
        cap -= arrays[name].nbytes
    return arrays


def open_regular(path: Path, cap: int) -> io.FileIO:
    """Open a regular file of at most `cap` bytes. Raises ValueError if it is not, OSError if it cannot be opened."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # to open a FIFO may block for ever, and some devices never end
        raise ValueError(f"{path}: expected a regular file")
    if status.st_size > cap:
        raise ValueError(f"{path}: has {status.st_size:,} bytes, expected at most {cap:,}")
    return path.open("rb", buffering=0)


class _LimitedReader(io.BufferedReader):
    """A file that refuses a read of more than `most` bytes: zipfile reads as many as the archive claims."""

    most = MOST_LISTED

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.most:
            raise zipfile.BadZipFile(f"its list of members has {size:,} bytes, expected at most {self.most:,}")
        return super().read(size)


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(array), version=(1, 0))
    return content.getvalue()


def _read_member(archive: zipfile.ZipFile, name: str, path: Path, content: str) -> np.ndarray:
    info = archive.getinfo(name)
    with archive.open(info) as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran_order, dtype = read_header[version](file)
        except (ValueError, KeyError, SyntaxError, TokenError, TypeError, RecursionError, MemoryError) as error:
            raise ValueError(f"{path}: {name} has no readable npy header: {error}") from error
        if not CONTENTS[content](dtype):
            raise ValueError(f"{path}: {name} must be {content}, found {dtype}")
        follow = info.file_size - file.tell()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != follow:
            raise ValueError(f"{path}: the header of {name} claims the shape {shape}, but {follow:,} bytes follow")
        values = file.read(follow)  # without this limit, zlib may inflate more than claimed
    try:
        return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran_order else "C")
    except ValueError as error:  # no bytes, and dimensions that no array has
        raise ValueError(f"{path}: the header of {name} claims the shape {shape}: {error}") from error


def _read_capped(path: Path, cap: int) -> bytes:
    try:
        with io.BufferedReader(open_regular(path, cap)) as file:
            zipped = file.peek(2)[:2] == b"\x1f\x8b"
            content = gzip.GzipFile(fileobj=file).read(cap + 1) if zipped else file.read(cap + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: not a whole gzip file: {error}") from error
    if len(content) > cap:
        raise ValueError(f"{path}: expected at most {cap:,} bytes unpacked, found more")
    return content


def _parse_idx(content: bytes, path: Path) -> np.ndarray:
    dimensions = content[3] if len(content) >= 4 else 0
    start = 4 + 4 * dimensions
    if content[:3] != b"\x00\x00\x08" or not 1 <= dimensions <= 4 or len(content) < start:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes; it begins with {content[:4]!r}")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    if math.prod(shape) != len(content) - start:
        raise ValueError(f"{path}: its header claims the shape {shape}, but {len(content) - start:,} bytes follow")
    try:
        return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # no bytes, and dimensions that no array has
        raise ValueError(f"{path}: its header claims the shape {shape}: {error}") from error


def listed(names: list[str]) -> str:
    """Join names for a message; of many, the first eight."""
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return shown or "none"
