"""Random archives and params.yaml: each is read or refused with a message, within a limit of memory.

HOSTILE_EXAMPLES sets the number of examples of each test; `make hostile` sets more than `make test`.
"""

import gzip
import io
import os
import re
import struct
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from classifier import parameters
from classifier.data.formats import MEMBERS, Arrays
from classifier.data.idx import IDX_FILES
from stages import download, train
from tests.classifier.data.test_formats import npy
from tests.conftest import PARAMS
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


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.binary(max_size=8)
)
keys = st.sampled_from([*train.Parameters.__dataclass_fields__, "train", "download", "dataset"]) | st.text(max_size=8)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))
sections = st.fixed_dictionaries(
    {}, optional=dict.fromkeys([*train.Parameters.__dataclass_fields__, "momentum"], values)
)
trees = st.fixed_dictionaries({}, optional={"train": sections | values, "download": values}) | values


def dumped(tree: Any) -> str:
    stream = io.StringIO()
    YAML().dump(tree, stream)
    return stream.getvalue()


@EXAMPLES
@given(
    document=st.builds(dumped, trees)
    | st.text(max_size=200)
    | st.text(st.sampled_from("train:{}[]&*!|>-?# \n\t'\"01e.%@`"), max_size=80)
)
def test_any_params_yaml_is_read_or_refused(document: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_bytes(document.encode("utf-8", "surrogatepass"))
        for section, kind in (("train", train.Parameters), ("download", download.Parameters)):
            try:
                assert isinstance(parameters.load(section, kind, path), kind)
            except ValueError as refusal:
                assert str(path) in str(refusal)


@pytest.mark.parametrize(
    "document",
    [
        "[" * 5000,
        "{a: " * 5000,
        "train: &a [*a]",
        "? [1]\n: 2",
        "train: 2001-99-99",
        "train: !!python/object:os.system {}",
        "train: !!int x",
        "train: !!binary '*'",
        "%YAML 9.9\n---\ntrain: 1",
        "<<: 5",
        "train: 1\n---\ntrain: 2",
        "train: 0x",
    ],
)
def test_a_document_that_is_hard_to_parse_is_refused(tmp_path: Path, document: str) -> None:
    (tmp_path / "params.yaml").write_text(document)
    with pytest.raises(ValueError, match=r"params\.yaml"):
        parameters.load("train", train.Parameters, tmp_path / "params.yaml")


TENS = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
TWOS = "".join(f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 40))


@pytest.mark.parametrize(
    "document",
    [
        f"a0: &a0 [0, 0, 0]\n{TENS}train: {{filters: *a11}}",
        f"a0: &a0 {{}}\n{TWOS}train: *a39",
        f"a: &a {'x' * 100_000}\ntrain: {{filters: [{', '.join(['*a'] * 5_000)}]}}",
        "train: &again {filters: [*again]}",
    ],
)
def test_aliases_that_expand_beyond_the_limit_are_refused(tmp_path: Path, document: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(document)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"params\.yaml .*expected at most 10,000 values"):
            parameters.load("train", train.Parameters, path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_small_aliases_are_read(tmp_path: Path) -> None:
    text = PARAMS.read_text()
    (tmp_path / "params.yaml").write_text(
        re.sub("dense_units: .*", "dense_units: *filters", text).replace("[32", "&filters [32")
    )
    recipe = parameters.load("train", train.Parameters, tmp_path / "params.yaml")
    assert recipe.dense_units == recipe.filters == (32, 64, 64)


@pytest.mark.parametrize("path", ["params.yaml", "/dev/zero"])
def test_a_params_yaml_beyond_the_limit_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "params.yaml").write_text("#" * 300_000)
    with pytest.raises(ValueError, match="expected a file of at most 262,144 bytes, found more"):
        parameters.load("train", train.Parameters, tmp_path / path)
