"""What the pipeline knows about a data set, and data/raw/dataset.json, which has this about the arrays in data/raw."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

import msgspec

from classifier.paths import SOURCE

HOW_TO_RENEW = "run `dvc repro --force download` to create it again"
HOW_TO_GET_ALL = (
    "for the full set, run `dvc repro --force download` once online, or set DATASET_MIRROR to a URL or path that has it"
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
        stands_in_for: the data set that this one may replace if no mirror answers.
        files: a fingerprint of the files of the user's own data.
        requested: the data set of params.yaml, if this one stands in for it.
    """

    name: str
    classes: tuple[str, ...]
    arrays: Mapping[str, Array]
    noun: str = "classes"
    licence: str = ""
    source: str = ""
    mirrors: tuple[str, ...] = ()
    stands_in_for: str | None = None
    files: str | None = None
    requested: str | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, *channels = self.arrays["x_train"].shape[1:]
        return height, width, channels[0] if channels else 1

    @property
    def label_bytes(self) -> int:
        """The bytes of a label: those of uint8 or uint16."""
        return 1 if len(self.classes) <= 256 else 2

    @property
    def size(self) -> int:
        """The bytes of all arrays, and 64 KiB more for the headers in their files."""
        itemsize = {"x": 1, "y": self.label_bytes}
        return sum(prod(array.shape) * itemsize[name[0]] for name, array in self.arrays.items()) + 2**16

    @property
    def named(self) -> bool:
        """Whether the classes have other names than their numbers."""
        return self.classes != tuple(map(str, range(len(self.classes))))

    def warning(self) -> str | None:
        """Return a warning if this data set stands in for another, else None."""
        if self.requested in (None, self.name):
            return None
        return f"warning: {self.name} is used instead of {self.requested}, which no mirror served; {HOW_TO_GET_ALL}"

    def save(self, path: Path) -> None:
        """Write what later stages and reviews need as JSON."""
        document = {
            "dataset": self.name,
            "requested": self.requested or self.name,
            "image_shape": self.image_shape,
            "classes": self.classes,
            "noun": self.noun,
            "arrays": {name: asdict(array) for name, array in self.arrays.items()},
        }
        optional = {"licence": self.licence, "source": self.source, "files": self.files}
        document |= {key: value for key, value in optional.items() if value}
        path.write_text(json.dumps(document, indent=2) + "\n")


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
        if len(data_set.classes) < 2 or not data_set.noun.isidentifier():
            raise ValueError("expected two classes or more, and a noun of one word")
        if set(data_set.arrays) != set(NAMES) or list(data_set.image_shape) != document["image_shape"]:
            raise ValueError(f"expected the arrays {', '.join(NAMES)}, and the image_shape of x_train")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"expected a description of the data set: {error}") from error
    return data_set
