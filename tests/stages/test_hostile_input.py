"""Random archives: each is read or refused with a message, within a limit of memory.

HOSTILE_EXAMPLES sets the number of examples of each test.
"""

import gzip
import io
import os
import struct
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier.data.formats import MEMBERS, Arrays
from classifier.data.idx import IDX_FILES
from tests.classifier.data.test_formats import npy
from tests.whole_arrays import read_idx, read_npz

CAP = 100_000  # bytes of arrays, which the stage has from the catalogue
# For the zip, its members, the arrays, inflating and parsing.
MEMORY = 4 * CAP + 2_000_000

EXAMPLES = settings(
    max_examples=int(os.environ.get("HOSTILE_EXAMPLES", "150")),
    deadline=None,
    derandomize="HOSTILE_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

ARRAYS: Arrays = {
    "x_train": np.arange(16 * 784, dtype=np.uint32).astype(np.uint8).reshape(16, 28, 28),
    "y_train": np.arange(16, dtype=np.uint8) % 10,
    "x_test": np.arange(8 * 784, dtype=np.uint32).astype(np.uint8).reshape(8, 28, 28),
    "y_test": np.arange(8, dtype=np.uint8),
}

damage = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat"]), st.floats(0, 1), st.binary(min_size=1, max_size=40)
    ),
    max_size=4,
)
descriptions = st.one_of(
    st.sampled_from(["|u1", "<f4", "|O", ">i8", "|V1000000", "<U10", "|u0", "nonsense"]), st.text(max_size=6)
)
dimensions = st.integers(-3, 10**13) | st.integers(0, 30)
headers = st.one_of(
    st.fixed_dictionaries(
        {"descr": descriptions, "fortran_order": st.booleans(), "shape": st.lists(dimensions, max_size=4).map(tuple)}
    ).map(repr),
    st.text(max_size=60),
    st.integers(1, 3000).map(lambda depth: "(" * depth),
)


def damaged(content: bytes, steps: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, noise in steps:
        at = int(where * len(content))
        if kind == "flip" and at < len(content):
            content = content[:at] + bytes([content[at] ^ (noise[0] | 1)]) + content[at + 1 :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "insert":
            content = content[:at] + noise + content[at:]
        elif kind == "repeat":
            content = content[:at] + content[max(0, at - 200) :]
    return content


def npy_with(header: str, body: bytes) -> bytes:
    encoded = header.encode("latin1", "replace") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + body


# Hypothesis stores what it draws, so it draws a function that creates the file.
CreateFile = Callable[[], bytes]
HUGE = bytes(3_000_000)


@st.composite
def archives(draw: Callable[[Any], Any]) -> CreateFile:
    """An npz archive with members swapped, missing, doubled, with wrong headers, very large, or damaged."""
    contents = {f"{name}.npy": npy(ARRAYS[name]) for name in MEMBERS}
    for name in draw(st.lists(st.sampled_from(list(contents)), max_size=2)):
        contents[name] = draw(
            st.one_of(
                st.sampled_from(list(contents.values())),
                st.binary(max_size=300),
                st.builds(npy_with, headers, st.binary(max_size=200)),
                st.just(HUGE),
                st.builds(damaged, st.just(contents[name]), damage),
            )
        )
    some = st.lists(st.sampled_from([*contents, "../../evil.npy", "extra.npy"]), max_size=6)
    names = draw(some | st.just(list(contents)))
    method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]))
    steps = draw(damage)

    def create() -> bytes:
        sent = io.BytesIO()
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(sent, "w", method) as archive:
            for name in names:
                archive.writestr(name, contents.get(name, b""))
        return damaged(sent.getvalue(), steps)

    return create


@st.composite
def idx_files(draw: Callable[[Any], Any]) -> CreateFile:
    """An IDX file with any header, any content, also very large, zipped or not, or damaged."""
    magic = draw(st.sampled_from([0x803, 0x801, 0x80D, 0x8FF, 0]) | st.integers(0, 2**32 - 1))
    sizes = draw(st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([16, 28]), max_size=4))
    body = draw(st.binary(max_size=300) | st.sampled_from([ARRAYS["x_train"].tobytes(), HUGE]))
    zipped, steps = draw(st.booleans()), draw(damage)

    def create() -> bytes:
        content = struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + body
        return damaged(gzip.compress(content) if zipped else content, steps)

    return create


def read_or_refuse(read: Callable[[], Arrays]) -> None:
    """Check that `read` returns the four uint8 arrays or raises an error with a message, within MEMORY."""
    tracemalloc.start()
    try:
        arrays = read()
        assert list(arrays) == list(MEMBERS)
        assert all(array.dtype == np.uint8 for array in arrays.values())
        assert sum(array.nbytes for array in arrays.values()) <= CAP
    except (ValueError, OSError) as refusal:
        assert str(refusal)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY


@EXAMPLES
@given(content=archives())
def test_any_archive_is_read_or_refused(content: CreateFile) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(content())
        read_or_refuse(lambda: read_npz(path, CAP))
        assert [each.name for each in Path(folder).iterdir()] == ["a.npz"]


@EXAMPLES
@given(contents=st.fixed_dictionaries({name: idx_files() for name in MEMBERS}))
def test_any_folder_of_idx_files_is_read_or_refused(contents: dict[str, CreateFile]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / IDX_FILES[name]).write_bytes(content())
        read_or_refuse(lambda: read_idx(Path(folder), CAP))
