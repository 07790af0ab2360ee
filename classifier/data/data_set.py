"""What the pipeline knows about a data set, and data/raw/dataset.json, which has this about the arrays in data/raw."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from classifier.paths import SOURCE

HOW_TO_RENEW = "run `dvc repro --force download` to create it again"
HOW_TO_GET_ALL = "for the full set, run `dvc repro --force download` online, or set DATASET_MIRROR to a path or URL"

# What file managers, browsers, archives and editors leave in a folder: hidden files and resource forks; a stream of an
# NTFS file, such as `0.png:Zone.Identifier`; thumbnails, indexes and lists; files that are copies or not yet whole.
LEFT_BY_TOOLS = re.compile(
    r"\..*|.*\.\w+:.*|.*zone\.identifier|__macosx|@eadir|#recycle|\$recycle\.bin|system volume information|lost\+found"
    r"|icon\r|(eh)?thumbs.*\.db|zbthumbnail\.info|desktop\.(ini|db)|picasa\.ini|descript\.ion|pspbrwse\.jbf"
    r"|index\.html?|.*(~|\.(aae|bak|cache|crdownload|downloading|lnk|part|swp|thm|tmp|url|xmp))|__pycache__",
    re.IGNORECASE | re.DOTALL,
)

NAMES = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Array:
    """What identifies an array: its shape, and the SHA-256 of its bytes in C order."""

    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class DataSet:
    """A data set of images with labels.

    Args:
        name: in the catalogue, or the path of the user's own data.
        classes: the names of the classes; the label of a class is its place.
        arrays: the four arrays by name, with images (n, height, width) or (n, height, width, 3).
        noun: what the classes are; it is also the name of the network's last layer.
        licence: as its publisher states it; source: where it comes from.
        mirrors: URLs of npz archives or of folders of IDX files; none: it is embedded, or the user's own.
        files: a fingerprint of the files of the user's own data, also of a copy of a data set of the catalogue.
        requested: the data set of params.yaml, if its name is another: this one stands in for it, or is at this path.
        requested_images: the training images of the data set for which this one stands in.
        inverted: whether the network sees the images in negative, as `own.is_light` decides.
    """

    name: str
    classes: tuple[str, ...]
    arrays: Mapping[str, Array]
    noun: str = "classes"
    licence: str = ""
    source: str = ""
    mirrors: tuple[str, ...] = ()
    files: str | None = None
    requested: str = ""
    requested_images: int | None = None
    inverted: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, *channels = self.arrays["x_train"].shape[1:]
        return height, width, channels[0] if channels else 1

    @property
    def named(self) -> bool:
        """Whether the classes have other names than their numbers."""
        return self.classes != tuple(map(str, range(len(self.classes))))

    @property
    def rounds(self) -> int:
        """Passes over the training images that have as many images as one over those of the requested data set."""
        return max(1, (self.requested_images or 0) // self.arrays["x_train"].shape[0])

    def warning(self) -> str | None:
        """Return a warning if this data set stands in for another, else None."""
        if self.files or self.requested in ("", self.name):
            return None
        return f"warning: {self.name} is used instead of {self.requested}, which no mirror served; {HOW_TO_GET_ALL}"

    def save(self, path: Path) -> None:
        """Write what later stages and reviews need as JSON."""
        document = {"dataset": self.name, "requested": self.requested or self.name, "image_shape": self.image_shape}
        keys = ("requested_images", "classes", "noun", "arrays", "licence", "source", "files", "inverted")
        document |= {key: value for key in keys if (value := getattr(self, key))}
        path.write_text(json.dumps(msgspec.to_builtins(document), indent=2) + "\n")


def read_data_set(path: Path = SOURCE) -> DataSet:
    """Read what the last download wrote. Raises ValueError if it is malformed, OSError if it is missing."""
    try:
        return parse_data_set(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {HOW_TO_RENEW}") from error


def parse_data_set(content: bytes) -> DataSet:
    """Return the data set that a file written by `DataSet.save` describes. Raises ValueError if it is malformed."""
    try:
        document = json.loads(content)
        data_set = msgspec.convert({**document, "name": document["dataset"]}, DataSet)
        if set(data_set.arrays) != set(NAMES) or list(data_set.image_shape) != document["image_shape"]:
            raise ValueError(f"expected the arrays {', '.join(NAMES)}, and the image_shape of x_train")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"expected a description of the data set: {error}") from error
    return data_set


def fingerprint(source: Path) -> str:
    """Return the number of files and an MD5 of names and contents, of a file or of all that a user has in a folder."""
    paths = [] if source.is_dir() else [source]
    for folder, folders, names in os.walk(source, followlinks=True):
        folders[:] = sorted(name for name in folders if not LEFT_BY_TOOLS.fullmatch(name))
        paths += [Path(folder, name) for name in sorted(names) if not LEFT_BY_TOOLS.fullmatch(name)]
    digest = hashlib.md5(usedforsecurity=False)
    for path in paths:
        content = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        name = "" if path == source else path.relative_to(source).as_posix()
        digest.update(f"{name!r} {content}\n".encode())
    return f"{len(paths):,} {'file' if len(paths) == 1 else 'files'}, MD5 {digest.hexdigest()}"


def own_data_changed() -> bool:
    """Return whether data/raw holds a user's data set whose files have changed since it was read."""
    data_set = read_data_set()
    try:
        return data_set.files is not None and fingerprint(Path(data_set.requested).expanduser()) != data_set.files
    except OSError:
        return True
