"""A user's own data set, read from an npz archive, a folder of IDX files or folders of images, and checked."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from classifier.data.formats import LABELLED, MEMBERS, Rows, open_npz, rows_of
from classifier.data.idx import open_idx_files
from classifier.data.own import checks, folders, pictures

ARCHIVE = {**LABELLED, "classes": "text"}


@dataclass(frozen=True)
class Own:
    """A user's data set.

    `arrays` has x_train and x_test, uint8 (n, height, width) or (n, height, width, 3), and y_train and y_test, uint8 or
    uint16 (n,). `classes` has the names by label; each class has a train image.
    """

    arrays: Mapping[str, Rows]
    classes: tuple[str, ...]


@contextmanager
def open_own(
    source: Path, seed: int, test_share: float, resize: tuple[int, int] | None, most_bytes: int
) -> Iterator[Own]:
    """Open the data set at `source` and check all but its pixels, which the block reads.

    The same files give the same arrays, in whatever order the system lists them.

    Args:
        source: an npz archive of x_train, y_train, x_test, y_test and, if wanted, classes: their names; or a folder of
            the four IDX files; or one of the folders train and test, each with a folder of PNG or JPEG images a class;
            or one of class folders alone, which are split.
        seed: of the split of class folders.
        test_share: of this split: each class gives this share of its images to test; above 0 and below 1.
        resize: height and width of all images afterwards, whatever their proportions; None: the size that they have.
        most_bytes: the most that all arrays may have, before `resize` and after.

    Raises:
        ValueError: the data set breaks a rule; the line names the file, what was expected and what was found. Reading
            the rows raises it too, for a file that is damaged.
        OSError: a file or folder cannot be read.
    """
    if resize and not set(resize) <= set(checks.SIDES):
        raise ValueError(f"images can be resized to {checks.SIZES}, not to {resize[0]}x{resize[1]}")
    places = {name: f"{source}: {name}" for name in MEMBERS}
    classes = None
    with ExitStack() as opened:
        if folders.kind(source) == "file":
            arrays = opened.enter_context(open_npz(source, most_bytes, ARCHIVE, optional={"classes"}))
            if "classes" in arrays:
                classes = checks.names(arrays.pop("classes"), f"{source}: classes")
        elif paths := folders.find_idx(source):
            arrays = open_idx_files(paths, most_bytes)
            places = {name: str(path) for name, path in paths.items()}
        else:
            listing = folders.find_images(source, seed, test_share)
            classes = listing.classes
            arrays = pictures.open_files(listing.files, resize, most_bytes)
            arrays |= {name: rows_of(labels) for name, labels in listing.labels.items()}
        arrays, classes = checks.check(arrays, classes, places, bool(resize))
        if resize:
            pixels = {name: arrays[name] for name in ("x_train", "x_test")}
            arrays |= pictures.resize(pixels, resize, most_bytes, source)
        yield Own(arrays, classes)
