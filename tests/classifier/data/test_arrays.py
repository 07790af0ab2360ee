"""The four arrays are read from npz archives and IDX files, and written in one canonical form."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from classifier.data.arrays import IDX_FILES, Arrays, read_arrays, save_npz
from classifier.data.data_set import NAMES

MOST = 100_000


def idx(array: np.ndarray) -> bytes:
    kind = 12 if array.dtype == ">i4" else 8
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(
    folder: Path, arrays: Arrays, forms: Sequence[str] = ("{}-{}-idx{}-ubyte.gz",), test: str = "t10k"
) -> Path:
    """Write the four files, once for each form of their names."""
    for form, name in product(forms, NAMES):
        array, split = arrays[name], "train" if name.endswith("train") else test
        content = idx(array)
        path = folder / form.format(split, "images" if name[0] == "x" else "labels", array.ndim)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    return folder


def packed(folder: Path, arrays: Arrays) -> Path:
    np.savez_compressed(folder / "a.npz", **arrays)  # type: ignore[arg-type]
    return folder / "a.npz"


SOURCES: dict[str, Callable[[Path, Arrays], Path]] = {
    "npz": packed,
    "npz in Fortran order": lambda folder, arrays: packed(
        folder, {name: np.asfortranarray(array) for name, array in arrays.items()}
    ),
    "IDX of the publisher": write_idx,
    "IDX that a browser saved twice": partial(write_idx, forms=["{}-{}-idx{}-ubyte (1).gz"]),
    "IDX of Kaggle": partial(write_idx, forms=["{}-{}.idx{}-ubyte", "{0}-{1}-idx{2}-ubyte/{0}-{1}-idx{2}-ubyte"]),
    "IDX of torchvision": partial(write_idx, forms=["MNIST/raw/{}-{}-idx{}-ubyte", "MNIST/raw/{}-{}-idx{}-ubyte.gz"]),
}


@pytest.mark.parametrize("write", SOURCES.values(), ids=SOURCES)
def test_every_kind_of_source_gives_the_same_bytes(tmp_path, arrays, write):
    again = read_arrays(write(tmp_path, arrays), MOST)
    save_npz(tmp_path / "expected.npz", arrays)
    save_npz(tmp_path / "again.npz", again)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()


def test_the_archive_is_written_uncompressed_in_a_fixed_order(tmp_path, arrays):
    save_npz(tmp_path / "a.npz", arrays)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.namelist() == [f"{name}.npy" for name in NAMES]
        assert {(info.compress_type, info.date_time[0]) for info in archive.infolist()} == {(zipfile.ZIP_STORED, 1980)}


def flipped(content: bytes) -> bytes:
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


def stored(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


FOUR = dict.fromkeys(NAMES, np.zeros(3))
REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a page": (lambda _: b"<html>Sign in</html>", ""),
    "cut": (lambda content: content[: len(content) // 2], ""),
    "a flipped bit": (flipped, ".*CRC-32"),
    "one more array": (lambda _: stored(**FOUR, x=np.zeros(3)), "expected the arrays x_train, .*, found x, x_test,"),
    "one array": (lambda _: stored(x_train=np.zeros(3)), "expected the arrays x_train, .*, found x_train"),
    "objects": (lambda _: stored(**FOUR | {"y_test": np.array([{}], object)}), ".*allow_pickle=False"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_archive_or_one_of_other_arrays_is_refused_by_its_name(tmp_path, arrays, change, message):
    path = tmp_path / "a.npz"
    save_npz(path, arrays)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=f"^{path}: not an npz archive that can be read: {message}"):
        read_arrays(path, MOST)


@pytest.mark.parametrize("write", [packed, write_idx])
def test_arrays_larger_than_the_limit_are_refused_before_they_are_unpacked(tmp_path, arrays, write):
    source = write(tmp_path, arrays | {"x_test": np.zeros((8, 300, 300), np.uint8)})
    with pytest.raises(ValueError, match=f"^{tmp_path}.* more bytes, unpacked, than are allowed"):
        read_arrays(source, MOST)


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"",
        b"\0\0\x0b\x03" + bytes(12),
        struct.pack(">4I", 0x803, 10**4, 10**4, 10**4),
        gzip.compress(bytes(1000), mtime=0)[:-9],
    ],
)
def test_a_broken_idx_file_is_refused_by_its_name(tmp_path, arrays, content):
    path = write_idx(tmp_path, arrays) / IDX_FILES["x_train"]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: not an IDX file that can be read: "):
        read_arrays(tmp_path, MOST)


def test_a_folder_has_one_idx_file_of_each_array_and_may_have_others(tmp_path, arrays):
    (tmp_path / "LICENSE").write_text("MIT")
    with pytest.raises(ValueError, match=f"^{tmp_path}: expected the IDX files train-images-idx3-ubyte"):
        read_arrays(tmp_path, MOST)
    assert set(read_arrays(write_idx(tmp_path, arrays), MOST)) == set(NAMES)
    other, labels = tmp_path / "other", "t10k-labels-idx1-ubyte.gz"
    write_idx(other, arrays | {"y_test": arrays["y_test"] + np.uint8(1)})
    with pytest.raises(ValueError, match=f"^{tmp_path}/{labels} is no copy of {other}/{labels}: name, or make"):
        read_arrays(tmp_path, MOST)
    with pytest.raises(ValueError, match=f"^{other}/{labels}: not a format that is read; name the folder of the four"):
        read_arrays(other / labels, MOST)
    for path in tmp_path.rglob(labels):
        path.unlink()
    expected = f"^{tmp_path}: expected one IDX file of each of x_train, .*, found t10k-images-idx3-ubyte.gz, .*train-im"
    with pytest.raises(ValueError, match=expected):
        read_arrays(tmp_path, MOST)
