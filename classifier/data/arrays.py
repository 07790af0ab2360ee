"""The four arrays of a data set: read from an npz archive or IDX files, compared, and written as data/raw/mnist.npz."""

import gzip
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from classifier.data.data_set import NAMES, Array, DataSet
from classifier.files import write_stored_zip

Arrays = dict[str, np.ndarray]

# http://yann.lecun.com/exdb/mnist/ has the format and the publisher's names. Others put test for t10k, a dot for the
# hyphen, or the data set's name first, as EMNIST does; systems number copies. The labels of QMNIST are idx2-int.
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
PREFIX = {"images": "x", "labels": "y"}
IDX_NAME = re.compile(
    r"(?:\w.*[-_.])?(train|t10k|test)[-_.](images|labels)[-_.]idx[1-4][-_.](?:ubyte|int)"
    r"(?:[ ._-]*(?:[cC]opy|\(?\d+\)?))?(?:\.gz)?(?:\.\d+)?"
)
IDX_TYPES = {b"\0\0\x08": "u1", b"\0\0\x0c": ">i4"}  # by the first three bytes

SAVE = "and save x_train, y_train, x_test and y_test with np.savez: images uint8 (n, height, width), labels integers"
OTHER_FORMATS = {
    (".csv", ".tsv"): f"read it with pandas.read_csv, {SAVE}",
    (".parquet", ".arrow"): f"read it with pandas.read_parquet, {SAVE}",
    (".pkl.gz", ".pkl", ".pickle"): f"read it with pickle, if you trust it (pixels of 0 to 1: `x * 255`), {SAVE}",
    (".npy", ".mat", ".h5", ".hdf5", ".pt"): f"read it with the library that wrote it, {SAVE}",
    ("ubyte", "ubyte.gz"): "name the folder of the four IDX files",
    (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar"): "unpack it and name the folder",
}

TOO_LARGE = "more bytes, unpacked, than are allowed; download.most_gib in params.yaml is the limit of own data"


def read_arrays(source: Path, most: int) -> Arrays:
    """Read an npz archive or a folder of IDX files, of at most `most` bytes unpacked.

    Raises:
        ValueError: it has other arrays or is damaged; the message names the file. OSError: it cannot be opened.
    """
    if not source.is_dir():
        refuse_other_formats(source)
        return read_npz(source, most)
    if paths := find_idx(source):
        return read_idx(paths, most)
    raise ValueError(f"{source}: expected the IDX files {', '.join(IDX_FILES.values())}")


def refuse_other_formats(path: Path) -> None:
    """Raise ValueError if the name is that of a format that others publish data sets in, with the way to convert it."""
    for endings, way in OTHER_FORMATS.items():
        if path.name.lower().endswith(endings) and path.is_file():
            raise ValueError(f"{path}: not a format that is read; {way}")


def fault_of(path: Path, error: Exception) -> str:
    """Return what is wrong with a file that could not be read."""
    return (str(error) or type(error).__name__) if path.stat().st_size else "the file is empty"


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
    except Exception as error:  # zipfile and NumPy promise no set of exceptions for damaged files
        raise ValueError(f"{path}: not an npz archive that can be read: {fault_of(path, error)}") from error


def find_idx(folder: Path) -> dict[str, list[Path]]:
    """Return the IDX files in a folder, at any depth, by array name, with copies; {} if no name is that of one.

    Raises ValueError if not all four arrays are there.
    """
    by_name: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*idx[1-4]*") if path.is_file()):
        if match := IDX_NAME.fullmatch(path.name):
            by_name.setdefault(f"{PREFIX[match[2]]}_{match[1].replace('t10k', 'test')}", []).append(path)
    if by_name and len(by_name) < len(NAMES):
        files = ", ".join(path.name for paths in by_name.values() for path in paths)
        raise ValueError(f"{folder}: expected one IDX file of each of {', '.join(NAMES)}, found {files}")
    return by_name


def read_idx(paths: Mapping[str, Sequence[Path]], most: int) -> Arrays:
    """Read an array from the IDX files of each name, which must be copies of one; limit and errors as in `read_arrays`.

    Of integers (n, columns), the labels of QMNIST, the first column is the class.
    """
    arrays: Arrays = {}
    for name, copies in paths.items():
        for path in copies:
            array = read_idx_file(path, most)
            if array.ndim == 2 and array.dtype != np.uint8:
                array = array[:, 0].copy()
            if not np.array_equal(arrays.setdefault(name, array), array):
                raise ValueError(f"{path} is no copy of {copies[0]}: name, or make, a folder with one data set")
        most -= arrays[name].nbytes
    return arrays


def read_idx_file(path: Path, most: int) -> np.ndarray:
    """Read an IDX file of uint8 or big-endian int32, gzipped or not; limit and errors as in `read_arrays`."""
    try:
        with path.open("rb") as raw, gzip.open(raw) if raw.peek()[:2] == b"\x1f\x8b" else raw as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise ValueError(TOO_LARGE)
        start = 4 + 4 * content[3]  # the fourth byte is the number of dimensions
        shape = np.frombuffer(content[4:start], ">u4").tolist()
        if content[:3] not in IDX_TYPES:
            raise ValueError("expected unsigned bytes or integers of 32 bits")
        return np.frombuffer(content, IDX_TYPES[content[:3]], offset=start).reshape(shape)
    except (EOFError, OSError, ValueError, IndexError) as error:
        raise ValueError(f"{path}: not an IDX file that can be read: {fault_of(path, error)}") from error


def identify(arrays: Mapping[str, np.ndarray]) -> dict[str, Array]:
    """Return what identifies each of the four arrays."""
    return {name: Array(arrays[name].shape, hashlib.sha256(arrays[name].data).hexdigest()) for name in NAMES}


def check_arrays(arrays: Mapping[str, np.ndarray], data_set: DataSet, where: str) -> None:
    """Raise ValueError, naming `where` they come from, unless the arrays are those of the data set."""
    for name, identity in identify(arrays).items():
        dtype, expected = arrays[name].dtype, data_set.arrays[name]
        if identity != expected or dtype.kind != "u":  # signed bytes have the same SHA-256
            raise ValueError(f"{where}: {name} is not that of {data_set.name}, {expected}: found {dtype}, {identity}")


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the four arrays uncompressed, in the order of NAMES; equal arrays give equal bytes on every platform."""
    write_stored_zip(path, ((f"{name}.npy", as_npy(arrays[name])) for name in NAMES))


def as_npy(array: np.ndarray) -> bytes:
    """Return the contents of a file of NumPy."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()
