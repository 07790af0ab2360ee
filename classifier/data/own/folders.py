"""Which files of a user's folder are the IDX files, or are images, of which class and for which split."""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier.data.formats import MEMBERS, listed
from classifier.data.own.checks import check_count, check_name

SUFFIXES = (".png", ".jpg", ".jpeg")
SKIPPED = ("thumbs.db", "desktop.ini", "__macosx")  # left by file managers, as are names that begin with a dot
SPLITS = ("train", "test")
OTHER_SPLITS = ("val", "valid", "validation")
FEWEST = 5  # images of a class that is split: for test, for train, and for the validation images held out of train

# The publisher's names are train-images-idx3-ubyte.gz and so on; others put test for t10k, a dot for the hyphen, or
# the data set's name first, as EMNIST does; four dimensions are for colour.
IDX_NAME = re.compile(r"(?:.+-)?(train|t10k|test)-(images|labels)[-.]idx[134]-ubyte(\.gz)?", re.DOTALL)


@dataclass(frozen=True)
class Listing:
    """Image files by array name, x_train and x_test; their labels, y_train and y_test; the classes' names by label."""

    files: Mapping[str, list[Path]]
    labels: dict[str, np.ndarray]
    classes: tuple[str, ...]


def kind(path: Path) -> str:
    """Return whether a path, or what it links to, is a "file" or a "folder".

    Raises:
        ValueError: it is something else. OSError: it is not there, links to itself, or may not be read.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path}: expected a regular file or a folder, found neither")
    return "folder" if stat.S_ISDIR(mode) else "file"


def find_idx(source: Path) -> dict[str, Path]:
    """Return a folder's IDX files by array name; none if no name is that of one. Raises ValueError if not just four."""
    found: dict[str, Path] = {}
    for path in _visible(source):
        if match := IDX_NAME.fullmatch(path.name):
            name = f"{'x' if match[2] == 'images' else 'y'}_{'train' if match[1] == 'train' else 'test'}"
            other = found.get(name)
            if other and other.name != path.name.removesuffix(".gz"):
                raise ValueError(f"{source}: expected one file of {name}, found {other.name} and {path.name}")
            found[name] = path  # with .gz rather than without
    for name in MEMBERS if found else ():
        if name not in found:
            others = ", ".join(path.name for path in found.values())
            raise ValueError(f"{source}: expected four IDX files, found none of {name} beside {others}")
    return {name: found[name] for name in MEMBERS if found}


def find_images(source: Path, seed: int, test_share: float) -> Listing:
    """List the images of class folders in the folders train and test, or split those of one set of class folders.

    Classes, and images within a class, are in the order of their names. Hidden files are skipped.

    Raises:
        ValueError: no such folders; other files or folders in them; a class that is empty, has too few images to split,
            or is in test alone. OSError: one cannot be read.
    """
    names = [path.name for path in _visible(source)]
    if set(SPLITS) <= set(names) or ("train" in names and set(names) <= {*SPLITS, *OTHER_SPLITS}):
        if sorted(names) != sorted(SPLITS):
            raise ValueError(f"{source}: expected the folders train and test and nothing else, found {listed(names)}")
        train, test = (_classes(source / split) for split in SPLITS)
        foreign = sorted(test.keys() - train.keys())
        if foreign:
            raise ValueError(
                f"{source / 'test' / foreign[0]}: a class that {source / 'train'} lacks; add it there or remove it here"
            )
    else:
        train, test = _split(_classes(source), source, seed, test_share)
    check_count(len(train), str(source))
    classes = tuple(train)
    files, labels = {}, {}
    for split, by_class in (("train", train), ("test", test)):
        files[f"x_{split}"] = [path for paths in by_class.values() for path in paths]
        each = [classes.index(name) for name in by_class]
        labels[f"y_{split}"] = np.repeat(each, [len(paths) for paths in by_class.values()])
    return Listing(files, labels, classes)


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Return the images of each class folder of a folder."""
    found = _visible(folder)
    for path in found:
        if kind(path) == "file":
            raise ValueError(f"{path}: expected class folders alone in {folder}, found a file; move it elsewhere")
        check_name(path.name, str(path))
    return {path.name: _images(path) for path in found}


def _images(folder: Path) -> list[Path]:
    found = _visible(folder)
    for path in found:
        if kind(path) == "folder":
            raise ValueError(f"{path}: expected images alone in the class folder {folder.name}, found a folder")
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(
                f"{path}: expected images alone, *{', *'.join(SUFFIXES)}, found another file; move it elsewhere"
            )
    if not found:
        raise ValueError(f"{folder}: the class has no images; add some or remove the folder")
    return found


def _split(
    classes: dict[str, list[Path]], source: Path, seed: int, test_share: float
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Draw the test images of each class; another class's images do not change which."""
    train, test = {}, {}
    for label, (name, paths) in enumerate(classes.items()):
        if len(paths) < FEWEST:
            raise ValueError(
                f"{source / name}: expected at least {FEWEST} images of a class to split, found {len(paths)}; "
                "add some, or make the folders train and test yourself"
            )
        count = min(max(round(len(paths) * test_share), 1), len(paths) - 1)
        drawn = set(np.random.default_rng([seed, label]).permutation(len(paths))[:count].tolist())
        train[name] = [path for row, path in enumerate(paths) if row not in drawn]
        test[name] = [path for row, path in enumerate(paths) if row in drawn]
    return train, test


def _visible(folder: Path) -> list[Path]:
    """Return the paths in a folder by name, but for hidden files and what file managers leave."""
    try:
        found = list(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from error
    visible = [path for path in found if not path.name.startswith(".") and path.name.lower() not in SKIPPED]
    return sorted(visible, key=lambda path: path.name)


def _unreadable(path: Path, error: Exception) -> OSError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return OSError(f"{path}: cannot be read: {reason}")
