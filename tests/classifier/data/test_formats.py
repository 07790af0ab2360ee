import gzip
import io
import os
import struct
import tracemalloc
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from classifier.data import formats
from classifier.data.formats import MEMBERS, Arrays, open_npz, save_npz
from classifier.data.idx import IDX_FILES, open_idx
from tests.whole_arrays import identities, read_idx, read_npz

CAP = 100_000


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, array, allow_pickle=allow_pickle)
    return content.getvalue()


def write_npz(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def members(arrays: Arrays) -> dict[str, bytes]:
    return {f"{name}.npy": npy(array) for name, array in arrays.items()}


def write_idx(folder: Path, arrays: Arrays, zipped: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    for name, file_name in IDX_FILES.items():
        shape = arrays[name].shape
        content = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + arrays[name].tobytes()
        path = folder / file_name
        if zipped:
            path.write_bytes(gzip.compress(content))
        else:
            path.with_suffix("").write_bytes(content)
    return folder


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert list(found) == list(MEMBERS)
    for name in MEMBERS:
        np.testing.assert_array_equal(found[name], expected[name])


def test_an_archive_written_by_numpy_is_read_back(tmp_path: Path, arrays: Arrays) -> None:
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    assert_same(read_npz(tmp_path / "a.npz", CAP), arrays)


def test_members_in_fortran_order_have_the_same_images(tmp_path: Path, arrays: Arrays) -> None:
    np.savez(tmp_path / "a.npz", **{name: np.asfortranarray(array) for name, array in arrays.items()})
    assert_same(read_npz(tmp_path / "a.npz", CAP), arrays)


def test_equal_arrays_give_equal_bytes(tmp_path: Path, arrays: Arrays) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    save_npz(tmp_path / "b.npz", {name: np.asfortranarray(arrays[name]) for name in reversed(MEMBERS)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert_same(dict(np.load(tmp_path / "a.npz")), arrays)


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files_are_read_with_and_without_gzip(tmp_path: Path, arrays: Arrays, zipped: bool) -> None:
    assert_same(read_idx(write_idx(tmp_path, arrays, zipped), CAP), arrays)


@pytest.mark.parametrize("block", [1, 784, 5 * 784, 2**20])
def test_an_archive_read_in_blocks_of_any_size_is_saved_as_numpy_saves_it(
    tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(formats, "BLOCK", block)
    in_fortran_order = {name: np.asfortranarray(array) for name, array in arrays.items()}
    np.savez(tmp_path / "stored.npz", **arrays)
    np.savez(tmp_path / "fortran.npz", **in_fortran_order)
    np.savez_compressed(tmp_path / "deflated.npz", **arrays)
    np.savez_compressed(tmp_path / "both.npz", **in_fortran_order)
    sources = [open_npz(path, CAP) for path in tmp_path.iterdir()]
    sources += [nullcontext(open_idx(write_idx(tmp_path / f"idx{zipped}", arrays, zipped), CAP)) for zipped in (0, 1)]
    for source in sources:
        with source as opened:
            assert save_npz(tmp_path / "saved", opened) == identities(arrays)
        with zipfile.ZipFile(tmp_path / "saved") as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == members(arrays)
            assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_an_archive_that_is_damaged_in_its_last_block_is_refused_there(
    tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "BLOCK", 784)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **(arrays | {"y_test": np.arange(9000).astype(np.uint8)}))
        content = bytearray((tmp_path / "a.npz").read_bytes())
        with zipfile.ZipFile(tmp_path / "a.npz") as archive:
            content[archive.start_dir - 20] ^= 255
        (tmp_path / "a.npz").write_bytes(content)
        with open_npz(tmp_path / "a.npz", CAP) as opened:
            assert len(opened["x_train"].whole()) == 16
            with pytest.raises(ValueError, match="not a whole npz archive"):
                opened["y_test"].whole()


def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("<!DOCTYPE html><title>Sign in to the network</title>")
    with pytest.raises(ValueError, match="not a whole npz archive: File is not a zip file"):
        read_npz(tmp_path / "a.npz", CAP)


def test_a_truncated_archive_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    path = write_npz(tmp_path / "a.npz", members(arrays))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a whole npz archive"):
        read_npz(path, CAP)


def test_a_flipped_byte_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    save_npz(tmp_path / "a.npz", arrays)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[1000] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"not a whole npz archive: Bad CRC-32 for file 'x_train\.npy'"):
        read_npz(tmp_path / "a.npz", CAP)


def test_a_missing_member_is_named(tmp_path: Path, arrays: Arrays) -> None:
    del arrays["y_test"]
    with pytest.raises(ValueError, match=r"expected the members .*y_test\.npy.*, found x_test\.npy, x_train\.npy"):
        read_npz(write_npz(tmp_path / "a.npz", members(arrays)), CAP)


def test_an_unexpected_member_is_named(tmp_path: Path, arrays: Arrays) -> None:
    with pytest.raises(ValueError, match=r"found extra\.npy, x_test\.npy"):
        read_npz(write_npz(tmp_path / "a.npz", members(arrays) | {"extra.npy": b""}), CAP)


def test_pickled_objects_are_refused_and_not_loaded(tmp_path: Path, arrays: Arrays) -> None:
    hostile = members(arrays) | {"y_test.npy": npy(np.array([{}], dtype=object), allow_pickle=True)}
    with pytest.raises(ValueError, match=r"y_test\.npy must be uint8, found object"):
        read_npz(write_npz(tmp_path / "a.npz", hostile), CAP)


def test_another_dtype_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    wrong = members(arrays) | {"x_train.npy": npy(arrays["x_train"].astype(np.float32))}
    with pytest.raises(ValueError, match=r"x_train\.npy must be uint8, found float32"):
        read_npz(write_npz(tmp_path / "a.npz", wrong), CAP)


def test_a_member_that_is_not_an_npy_file_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    with pytest.raises(ValueError, match=r"y_train\.npy has no readable npy header"):
        read_npz(write_npz(tmp_path / "a.npz", members(arrays) | {"y_train.npy": b"hello"}), CAP)


def test_a_header_that_claims_a_trillion_elements_is_refused_before_memory_is_allocated(
    tmp_path: Path, arrays: Arrays
) -> None:
    header = io.BytesIO()
    claim = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, claim)
    hostile = members(arrays) | {"x_train.npy": header.getvalue()}
    with pytest.raises(ValueError, match=r"claims the shape \(1000000, 1000000\), but 0 bytes follow"):
        read_npz(write_npz(tmp_path / "a.npz", hostile), CAP)


def test_members_larger_than_the_cap_are_refused_before_they_are_unpacked(tmp_path: Path, arrays: Arrays) -> None:
    bomb = members(arrays) | {"x_train.npy": npy(np.zeros((10_000, 28, 28), np.uint8))}
    with pytest.raises(ValueError, match="bytes unpacked, expected at most 100,000"):
        read_npz(write_npz(tmp_path / "a.npz", bomb), CAP)


def test_the_cap_applies_to_all_idx_files_together(tmp_path: Path, arrays: Arrays) -> None:
    folder = write_idx(tmp_path / "idx", arrays)
    size = sum(array.nbytes for array in arrays.values())
    assert read_idx(folder, size + 200).keys() == arrays.keys()  # 200 for the headers
    with pytest.raises(ValueError, match=r"t10k-.*\.gz: .* expected at most"):
        read_idx(folder, size)


def test_a_member_that_inflates_to_more_than_it_claims_is_refused_with_little_memory(
    tmp_path: Path, arrays: Arrays
) -> None:
    bomb = members(arrays) | {"y_test.npy": npy(np.zeros(8, np.uint8)) + bytes(50_000_000)}
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in bomb.items():
            archive.writestr(name, content)
        archive.getinfo("y_test.npy").file_size = len(npy(arrays["y_test"]))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"Bad CRC-32 for file 'y_test\.npy'"):
            read_npz(tmp_path / "a.npz", CAP)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_long_list_of_members_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", {})
    entry = b"PK\x01\x02" + bytes(42)
    entries = 1_000_000 // len(entry)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, entries * len(entry), 0, 0)
    path.write_bytes(entries * entry + end)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"its list of members has 999,994 bytes, expected at most 70,000"):
            read_npz(path, 10**6 + 22)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_larger_than_the_cap_is_refused_before_it_is_read(tmp_path: Path, arrays: Arrays) -> None:
    path = write_npz(tmp_path / "a.npz", members(arrays))
    idx = write_idx(tmp_path / "idx", arrays) / IDX_FILES["y_test"]
    for large in (path, idx):
        with large.open("ab") as file:
            file.truncate(2**40)  # a sparse file, which needs no disk space
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.npz: has 1,099,511,627,776 bytes, expected at most 100,000"):
            read_npz(path, CAP)
        with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz: has 1,099,511,627,776 bytes"):
            read_idx(idx.parent, CAP)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_fifo_or_device_is_refused_before_it_is_opened(tmp_path: Path, arrays: Arrays) -> None:
    os.mkfifo(tmp_path / "fifo.npz")
    for path in (tmp_path / "fifo.npz", Path("/dev/zero")):
        with pytest.raises(ValueError, match=f"{path}: expected a regular file"):
            read_npz(path, CAP)
    images = write_idx(tmp_path / "idx", arrays) / IDX_FILES["x_train"]
    images.unlink()
    os.mkfifo(images)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz: expected a regular file"):
        read_idx(images.parent, CAP)


def test_another_compression_than_deflate_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        for name, content in members(arrays).items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="expected members stored or deflated, found compression method 14"):
        read_npz(tmp_path / "a.npz", CAP)


def test_a_missing_idx_file_is_named(tmp_path: Path, arrays: Arrays) -> None:
    (write_idx(tmp_path, arrays) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected the IDX file t10k-labels-idx1-ubyte\.gz"):
        read_idx(tmp_path, CAP)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "not an IDX file of unsigned bytes"),
        (b"", "not an IDX file of unsigned bytes"),
        (b"\x00\x00\x0d\x03" + bytes(12), "not an IDX file of unsigned bytes"),
        (
            struct.pack(">I3I", 0x803, 10**4, 10**4, 10**4),
            r"claims the shape \(10000, 10000, 10000\), but 0 bytes follow",
        ),
        (gzip.compress(bytes(10**6), mtime=0), "expected at most 100,000 bytes unpacked, found more"),
        (gzip.compress(bytes(1000), mtime=0)[:-9], "not a whole gzip file"),
    ],
)
def test_a_broken_idx_file_is_refused(tmp_path: Path, arrays: Arrays, content: bytes, message: str) -> None:
    (write_idx(tmp_path, arrays) / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path, CAP)
