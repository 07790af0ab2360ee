"""The four arrays of a data set: read from an npz archive or IDX files, compared, and written as data/raw/mnist.npz."""

import gzip
import hashlib
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from classifier.data.data_set import NAMES, Array, DataSet
from classifier.files import open_member

Arrays = dict[str, np.ndarray]

BLOCK = 2**20  # bytes of rows to read at once

# http://yann.lecun.com/exdb/mnist/ has the format and the publisher's names. Others put test for t10k, a dot for the
# hyphen, or the data set's name first, as EMNIST does; four dimensions are for colour.
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
IDX_NAME = re.compile(r"(?:.+-)?(train|t10k|test)-(images|labels)[-.]idx[134]-ubyte(\.gz)?")


TOO_LARGE = "more bytes, unpacked, than are allowed; download.most_gib in params.yaml is the limit of own data"


def read_arrays(source: Path, most: int) -> Arrays:
    """Read an npz archive or a folder of IDX files, of at most `most` bytes unpacked.

    Raises:
        ValueError: it has other arrays or is damaged; the message names the file. OSError: it cannot be opened.
    """
    if not source.is_dir():
        return read_npz(source, most)
    if paths := find_idx(source):
        return read_idx(paths, most)
    raise ValueError(f"{source}: expected the IDX files {', '.join(IDX_FILES.values())}")


def read_npz(path: Path, most: int) -> Arrays:
    """Read the four arrays and, if they are there, the names of the classes; limit and errors as in `read_arrays`."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > most:
            raise ValueError(f"{size:,} bytes are {TOO_LARGE}")
        with np.load(path, allow_pickle=False) as archive:
            names = set(archive.files)
            if not set(NAMES) <= names <= {*NAMES, "classes"}:
                raise ValueError(f"expected the arrays {', '.join(NAMES)}, found {', '.join(sorted(names))}")
            return {name: np.ascontiguousarray(archive[name]) for name in names}
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile and NumPy promise no set of exceptions for damaged files
        raise ValueError(f"{path}: not an npz archive that can be read: {error}") from error


def find_idx(folder: Path) -> dict[str, Path]:
    """Return a folder's IDX files by array name, none if no name is that of one. Raises ValueError if not all four."""
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):  # NAME.gz follows NAME and replaces it
        if match := IDX_NAME.fullmatch(path.name):
            name = f"{'x' if match[2] == 'images' else 'y'}_{'train' if match[1] == 'train' else 'test'}"
            other = paths.get(name)
            if other and other.name != path.name.removesuffix(".gz"):
                raise ValueError(f"{folder}: expected one file of {name}, found {other.name} and {path.name}")
            paths[name] = path
    if paths and len(paths) < len(NAMES):
        missing = ", ".join(name for name in NAMES if name not in paths)
        raise ValueError(f"{folder}: expected four IDX files, found none of {missing}")
    return paths


def read_idx(paths: Mapping[str, Path], most: int) -> Arrays:
    """Read an array of uint8 from each IDX file, gzipped or not; limit and errors as in `read_arrays`."""
    arrays: Arrays = {}
    for name, path in paths.items():
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        try:
            with gzip.open(path) if packed else path.open("rb") as file:
                content = file.read(most + 1)
        except (EOFError, OSError, ValueError) as error:
            raise ValueError(f"{path}: not a whole gzip file: {error}") from error
        most -= len(content)
        if most < 0:
            raise ValueError(f"{path}: with it the IDX files have {TOO_LARGE}")
        # The third byte, 8, means unsigned bytes; the fourth is the number of dimensions.
        start = 4 + 4 * content[3] if content[:3] == b"\0\0\x08" else 0
        shape = np.frombuffer(content[4:start], ">u4").tolist()
        if not shape or len(content) - start != np.prod(shape, dtype=float):
            raise ValueError(f"{path}: expected an IDX file of unsigned bytes, found another header or size")
        arrays[name] = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return arrays


def identify(arrays: Mapping[str, np.ndarray]) -> dict[str, Array]:
    """Return what identifies each of the four arrays."""
    identities = {}
    for name in NAMES:
        digest = hashlib.sha256()
        for block in blocks_of(arrays[name], BLOCK):
            digest.update(block.data)
        identities[name] = Array(arrays[name].shape, digest.hexdigest())
    return identities


def check_arrays(arrays: Mapping[str, np.ndarray], data_set: DataSet, where: str) -> None:
    """Raise ValueError, naming `where` they come from, unless the arrays are those of the data set."""
    for name, identity in identify(arrays).items():
        dtype, expected = arrays[name].dtype, data_set.arrays[name]
        if identity != expected or dtype.kind != "u":  # signed bytes have the same SHA-256
            raise ValueError(
                f"{where}: {name} is not that of {data_set.name}: expected {expected.shape} with the SHA-256 "
                f"{expected.sha256}, found {dtype} {identity.shape} with {identity.sha256}"
            )


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the four arrays uncompressed, in the order of NAMES; equal arrays give equal bytes on every platform."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in NAMES:
            with open_member(archive, f"{name}.npy", arrays[name].nbytes + 2**10) as file:
                np.lib.format.write_array(file, arrays[name], allow_pickle=False)


def map_npz(path: Path) -> dict[str, np.memmap]:
    """Map the four arrays of an archive that `save_npz` wrote into memory, read-only.

    Raises:
        ValueError: it is another archive, or damaged. OSError: it cannot be opened.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            for name in NAMES:
                # A member begins with 30 bytes, which end with the lengths of the name and of more that follows.
                start = archive.getinfo(f"{name}.npy").header_offset
                file.seek(start + 26)
                file.seek(start + 30 + sum(struct.unpack("<HH", file.read(4))))
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                arrays[name] = np.memmap(path, dtype, "r", file.tell(), shape)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not an archive that download wrote: {error}") from error
    return arrays


def blocks_of(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the rows of an array in blocks of about `size` bytes."""
    rows = max(1, size // max(1, array[:1].nbytes))
    for first in range(0, len(array), rows):
        if isinstance(array, np.memmap):  # pages stay in memory as long as the mapping that read them
            array = np.memmap(str(array.filename), array.dtype, "r", array.offset, array.shape)
        yield array[first : first + rows]
