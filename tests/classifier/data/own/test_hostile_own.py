"""Anything at all as a user's own data is a data set of the promised form or refused by name, in bounds of memory."""

import contextlib
import gzip
import itertools
import tempfile
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from classifier.data.formats import MEMBERS
from classifier.data.own.checks import SIDES
from tests.classifier.data.own.pictures import chunk, encoded, pixels, png
from tests.classifier.data.own.test_data_set import NAMES, idx, made
from tests.classifier.data.test_formats import npy
from tests.stages.test_hostile_input import EXAMPLES, HUGE, damage, damaged, headers, npy_with
from tests.whole_arrays import load_own

CAP = 100_000  # bytes of all arrays
MEMORY = 4 * CAP + 2_000_000  # the same bound as for the archives of mirrors

Make = Callable[[Path], None]  # Hypothesis keeps what it draws, so it draws how to make a file, not the file

sizes = st.none() | st.tuples(st.sampled_from([8, 12]), st.sampled_from([8, 16]))
shares = st.floats(0.01, 0.99)


def load_or_refuse(source: Path, resize: tuple[int, int] | None, test_share: float = 0.2) -> None:
    """`load_own` returns what it promises, the same twice, or refuses by name, within MEMORY."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings(action="error"):
            own = load_own(source, 0, test_share, resize, CAP)
            again = load_own(source, 0, test_share, resize, CAP)
    except (ValueError, OSError) as refusal:
        assert str(source) in str(refusal)
        assert len(str(refusal)) < 1000
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY
    assert tuple(own.arrays) == MEMBERS
    assert {name: array.tobytes() for name, array in own.arrays.items()} == {
        name: array.tobytes() for name, array in again.arrays.items()
    }
    assert 2 <= len(own.classes) == len(set(own.classes)) <= 1000
    assert set(own.arrays["y_train"].tolist()) == set(range(len(own.classes))) >= set(own.arrays["y_test"].tolist())
    for split in ("train", "test"):
        images, labels = own.arrays[f"x_{split}"], own.arrays[f"y_{split}"]
        assert images.dtype == np.uint8
        assert labels.dtype in (np.uint8, np.uint16)
        assert images.shape[1:] == own.arrays["x_train"].shape[1:]
        assert images.shape[3:] in ((), (3,))
        assert set(images.shape[1:3]) <= set(SIDES)
        assert labels.shape == (len(images),) != (0,)
        assert resize in (None, images.shape[1:3])
    assert all("\n" not in line for line in own.warnings)


ARRAYS = [
    made(),
    made(shape=(9, 8, 3)),
    made(shape=(8, 8, 1), dtype="int64"),
    made(20, (8, 9), ">u2"),
    made(300, (8, 8)),
]
LABELS = [np.array(labels) for labels in ([0, 1, 2], [0, 2, 2], [-1, 0, 1], [0, 1, 2**62], [[0], [1], [2]], 5, [])]
TEXTS = [
    np.array(names) for names in (["a", "b", "c"], ["a", "b"], ["a", "a", "b"], [b"a", b"\xff", b""], "a", [["a"]])
]


@st.composite
def archives(draw: Callable[[Any], Any]) -> Make:
    """An npz archive of the promised form, or with members changed, missing, doubled or more, and damaged."""
    arrays = draw(st.sampled_from(ARRAYS))
    contents = {f"{name}.npy": npy(array) for name, array in arrays.items()}
    names = ["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy", *draw(st.just([]) | st.just(["classes.npy"]))]
    contents["classes.npy"] = npy(np.arange(len(arrays["y_test"])).astype(str))
    others = [*contents.values(), *map(npy, LABELS), *map(npy, TEXTS)]
    for name in draw(st.lists(st.sampled_from(names), max_size=2)):
        contents[name] = draw(
            st.one_of(
                st.sampled_from(others),
                st.binary(max_size=300),
                st.builds(npy_with, headers, st.binary(max_size=200)),
                st.just(HUGE),
                st.builds(damaged, st.just(contents[name]), damage),
            )
        )
    names = draw(st.just(names) | st.lists(st.sampled_from([*contents, "extra.npy"]), max_size=7))
    method, steps = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])), draw(damage)

    def make(path: Path) -> None:
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w", method) as archive:
            for name in names:
                archive.writestr(name, contents.get(name, b""))
        path.write_bytes(damaged(path.read_bytes(), steps))

    return make


@EXAMPLES
@given(make=archives(), resize=sizes)
def test_any_archive_is_a_data_set_or_refused(make: Make, resize: tuple[int, int] | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "a.npz")
        load_or_refuse(Path(folder) / "a.npz", resize)


HEADERS = [
    bytes([0, 0, 8, 4]) + np.array(shape, ">u4").tobytes() for shape in ((0, 2**32 - 1, 2**32 - 1, 3), (1, 8, 8, 3))
]


@st.composite
def idx_folders(draw: Callable[[Any], Any]) -> Make:
    """The IDX files of a data set, by several names, zipped or not, missing, doubled, swapped, huge, damaged."""
    arrays = {name: array.astype("u1") for name, array in draw(st.sampled_from(ARRAYS[:4])).items()}
    contents = {name: idx(array) for name, array in arrays.items()}
    others = [*contents.values(), *HEADERS, idx(np.zeros((3, 7, 8), "u1")), idx(np.full(3, 9, "u1")), b"<html>", HUGE]
    for name in draw(st.lists(st.sampled_from(MEMBERS), max_size=2)):
        contents[name] = draw(st.sampled_from(others) | st.binary(max_size=40))
    files = {}
    for name in draw(st.just(MEMBERS) | st.lists(st.sampled_from(MEMBERS), max_size=6)):
        kind, split = name.split("_")
        pattern = draw(st.sampled_from([NAMES["of the publisher"]] * 5 + [NAMES["of EMNIST"]]))
        plain = pattern.format(split, "images" if kind == "x" else "labels", 3 if kind == "x" else 1)
        zipped = draw(st.booleans())
        files[plain + ".gz" * zipped] = contents[name], zipped, draw(st.just([]) | damage)

    def make(folder: Path) -> None:
        for name, (content, zipped, steps) in files.items():
            (folder / name).write_bytes(damaged(gzip.compress(content) if zipped else content, steps))

    return make


@EXAMPLES
@given(make=idx_folders(), resize=sizes)
def test_any_folder_of_idx_files_is_a_data_set_or_refused(make: Make, resize: tuple[int, int] | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        load_or_refuse(Path(folder), resize)


GREY = [encoded(pixels(seed)) for seed in range(4)]
ODD = [
    *(encoded(Image.fromarray(pixels(0)), kind) for kind in ("JPEG", "GIF", "BMP", "TIFF")),
    *(encoded(pixels(0, colour=True), kind) for kind in ("PNG", "JPEG")),
    *(encoded(Image.fromarray(pixels(0)).convert(mode)) for mode in ("1", "LA", "P", "RGBA", "I;16")),
    *(encoded(pixels(0, *size)) for size in ((8, 8), (7, 8), (128, 128), (300, 200))),
    encoded(pixels(0), save_all=True, append_images=[Image.fromarray(pixels(1))]),
    encoded(Image.fromarray(pixels(0, colour=True)).convert("CMYK"), "JPEG"),
    *(png(side, side, 8, 2, bytes(100)) for side in (0, 1000, 9_400, 20_000, 2**31 - 1, 2**32 - 1)),
    *(png(8, 10, depth, colour, bytes(500)) for depth in (1, 2, 4, 8, 16, 3) for colour in (0, 2, 3, 4, 6, 5)),
    *(GREY[0][:33] + chunk(name, zlib.compress(bytes(10**6))) + GREY[0][33:] for name in (b"zTXt", b"iCCP", b"acTL")),
]
JPEGS = [encoded(pixels(seed, 16, 16), "JPEG") for seed in range(2)]
at_random = (
    st.sampled_from(ODD) | st.builds(damaged, st.sampled_from(GREY + JPEGS + ODD), damage) | st.binary(max_size=60)
)
whole = st.sampled_from(GREY)
places = st.sampled_from(["", "train", "test", "val", "train/cat", "cat", "dog", "cat/more", ".git"])
names = st.sampled_from(
    ["0.png", "z.jpg", "Z.JPEG", "Thumbs.db", ".DS_Store", "notes.txt", "cat", "train", "\udcff.png"]
)
links = st.sampled_from([".", "..", "cat", "0.png", "nowhere", "/dev/zero", "/proc/self/mem", "/proc/self/pagemap"])


@st.composite
def folders(draw: Callable[[Any], Any]) -> Make:
    """Class folders, split or not, with files missing, more, of any contents, or links."""
    splits = draw(st.sampled_from([("",), ("",), ("train", "test")]))
    counts = st.sampled_from([5, 6]) if splits == ("",) else st.sampled_from([1, 2])
    files: dict[str, bytes] = {}
    for split, name in itertools.product(splits, draw(st.sampled_from([("cat", "dog"), ("a", "b", "c")]))):
        files |= {f"{split}/{name}/{row}.png": draw(whole) for row in range(draw(counts))}
    for path in draw(st.lists(st.sampled_from(sorted(files)), max_size=2)):
        files[path] = draw(at_random)
    for path in draw(st.just([]) | st.lists(st.sampled_from(sorted(files)), max_size=5)):
        files.pop(path, None)
    more = draw(st.just({}) | st.dictionaries(st.tuples(places, names), at_random | links, max_size=2))

    def make(folder: Path) -> None:
        for path, content in files.items():
            (folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.lstrip("/")).write_bytes(content)
        for (place, name), content in more.items():
            path = folder / place / name
            with contextlib.suppress(OSError):  # a name can be taken, or its folder a file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(content) if isinstance(content, str) else path.write_bytes(content)

    return make


@EXAMPLES
@given(make=folders(), resize=sizes, test_share=shares)
def test_any_folder_is_a_data_set_or_refused(make: Make, resize: tuple[int, int] | None, test_share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        load_or_refuse(Path(folder), resize, test_share)


@EXAMPLES
@given(content=at_random, resize=sizes)
def test_any_image_is_read_or_refused(content: bytes, resize: tuple[int, int] | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in "ab":
            (Path(folder) / name).mkdir()
            for row in range(5):
                (Path(folder) / name / f"{row}.png").write_bytes(content)
        load_or_refuse(Path(folder), resize)
