"""The four arrays are read from npz archives and IDX files, and written in one canonical form."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from classifier.data.arrays import IDX_FILES, Arrays, blocks_of, map_npz, read_arrays, save_npz
from classifier.data.data_set import NAMES

MOST = 100_000


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, arrays: Arrays, form: str = "{}-{}-idx{}-ubyte.gz", test: str = "t10k") -> Path:
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        array, split = arrays[name], "train" if name.endswith("train") else test
        content = idx(array)
        path = folder / form.format(split, "images" if name[0] == "x" else "labels", array.ndim)
        path.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    return folder


def assert_same(arrays: Arrays, expected: Arrays) -> None:
    assert set(arrays) == set(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(arrays[name], expected[name])


def in_fortran_order(folder: Path, arrays: Arrays) -> Path:
    np.savez_compressed(folder / "a.npz", **{name: np.asfortranarray(array) for name, array in arrays.items()})
    return folder / "a.npz"


def packed(folder: Path, arrays: Arrays) -> Path:
    np.savez_compressed(folder / "a.npz", **arrays)  # type: ignore[arg-type]
    return folder / "a.npz"


SOURCES: dict[str, Callable[[Path, Arrays], Path]] = {
    "npz": packed,
    "npz in Fortran order": in_fortran_order,
    "IDX of the publisher": write_idx,
    "IDX unpacked": lambda folder, arrays: write_idx(folder, arrays, "{}-{}-idx{}-ubyte"),
    "IDX of Kaggle": lambda folder, arrays: write_idx(folder, arrays, "{}-{}.idx{}-ubyte"),
    "IDX of EMNIST": lambda folder, arrays: write_idx(folder, arrays, "emnist-letters-{}-{}-idx{}-ubyte.gz", "test"),
}


@pytest.mark.parametrize("write", SOURCES.values(), ids=SOURCES)
def test_every_kind_of_source_gives_the_same_arrays_and_bytes(
    tmp_path: Path, arrays: Arrays, write: Callable[[Path, Arrays], Path]
) -> None:
    again = read_arrays(write(tmp_path, arrays), MOST)
    assert_same(again, arrays)
    save_npz(tmp_path / "expected.npz", arrays)
    save_npz(tmp_path / "again.npz", again)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()


def test_of_a_file_and_its_gz_the_gz_is_read_and_other_files_are_skipped(tmp_path: Path, arrays: Arrays) -> None:
    write_idx(tmp_path, arrays)
    for name in IDX_FILES.values():
        (tmp_path / name.removesuffix(".gz")).write_bytes(b"")
    (tmp_path / "LICENSE").write_text("MIT")
    assert_same(read_arrays(tmp_path, MOST), arrays)


def test_the_archive_is_written_uncompressed_in_a_fixed_order_and_mapped_into_memory(
    tmp_path: Path, arrays: Arrays
) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz") as archive:
        assert archive.files == list(NAMES)
    mapped = map_npz(tmp_path / "a.npz")
    assert_same(dict(mapped), arrays)
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in mapped.values())


@pytest.mark.parametrize("size", [1, 1000, 2**20])
def test_blocks_have_all_rows_in_order(tmp_path: Path, arrays: Arrays, size: int) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    for array in (arrays["x_train"], map_npz(tmp_path / "a.npz")["x_train"]):
        blocks = list(blocks_of(array, size))
        np.testing.assert_array_equal(np.concatenate(blocks), arrays["x_train"])
        assert max(block.nbytes for block in blocks) <= max(size, 784)


def damaged(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "not an npz archive"),
    "a page": (lambda _: b"<html>Sign in</html>", "not an npz archive"),
    "cut": (lambda content: content[: len(content) // 2], "not an npz archive"),
    "a flipped bit": (lambda content: damaged(content, 5000), "not an npz archive that can be read: .*CRC-32"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_archive_is_refused_by_its_name(
    tmp_path: Path, arrays: Arrays, change: Callable[[bytes], bytes], message: str
) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    (tmp_path / "a.npz").write_bytes(change((tmp_path / "a.npz").read_bytes()))
    with pytest.raises(ValueError, match=f"^{tmp_path}/a.npz: .*{message}"):
        read_arrays(tmp_path / "a.npz", MOST)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_validation": np.zeros(3)}, "expected the arrays x_train, .*, found x_test, x_train, x_validation"),
        ({"y_test": None}, "expected the arrays x_train, .*, found x_test, x_train, y_train"),
        ({"y_test": np.array([{}], dtype=object)}, "allow_pickle=False"),
    ],
)
def test_an_archive_of_other_arrays_is_refused(
    tmp_path: Path, arrays: Arrays, changed: dict[str, np.ndarray | None], message: str
) -> None:
    np.savez(tmp_path / "a.npz", **{name: array for name, array in (arrays | changed).items() if array is not None})
    with pytest.raises(ValueError, match=f"^{tmp_path}/a.npz: .*{message}"):
        read_arrays(tmp_path / "a.npz", MOST)


@pytest.mark.parametrize("write", [packed, write_idx])
def test_arrays_larger_than_the_limit_are_refused_before_they_are_unpacked(
    tmp_path: Path, arrays: Arrays, write: Callable[[Path, Arrays], Path]
) -> None:
    source = write(tmp_path, arrays | {"x_test": np.zeros((8, 300, 300), np.uint8)})
    with pytest.raises(ValueError, match=f"^{tmp_path}.* more bytes, unpacked, than are allowed"):
        read_arrays(source, MOST)


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"",
        b"\0\0\x0d\x03" + bytes(12),
        struct.pack(">4I", 0x803, 10**4, 10**4, 10**4),
        gzip.compress(bytes(1000))[:-9],
    ],
)
def test_a_broken_idx_file_is_refused_by_its_name(tmp_path: Path, arrays: Arrays, content: bytes) -> None:
    path = write_idx(tmp_path, arrays) / IDX_FILES["x_train"]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: (expected an IDX file|not a whole gzip file)"):
        read_arrays(tmp_path, MOST)


def test_a_missing_and_a_doubtful_idx_file_are_named(tmp_path: Path, arrays: Arrays) -> None:
    (write_idx(tmp_path, arrays) / IDX_FILES["y_test"]).rename(tmp_path / "kept")
    with pytest.raises(ValueError, match=f"^{tmp_path}: expected four IDX files, found none of y_test"):
        read_arrays(tmp_path, MOST)
    write_idx(tmp_path, arrays, "emnist-{}-{}-idx{}-ubyte")
    with pytest.raises(ValueError, match=r"expected one file of .*, found emnist-"):
        read_arrays(tmp_path, MOST)
    with pytest.raises(ValueError, match="expected the IDX files train-images-idx3-ubyte"):
        read_arrays(tmp_path.parent, MOST)
