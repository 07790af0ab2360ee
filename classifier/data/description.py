"""The description of a data set: everything that depends on which data set it is reads it here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

MOST_CLASSES = 1000


@dataclass(frozen=True)
class Array:
    """What identifies an array: its shape, and the SHA-256 of its bytes in C order."""

    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class Mirror:
    """The URL or path of an npz archive or of a folder of IDX files.

    `sha256` is that of the archive file, if its publisher names one.
    """

    location: str
    sha256: str | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set of images with labels.

    Args:
        name: in the catalogue, or the path of the user's own data.
        classes: the names of the classes; the label of a class is its place.
        arrays: the four arrays by name, with images (n, height, width) or (n, height, width, 3).
        noun: what the classes are; it is also the name of the network's last layer.
        licence: as its publisher states it; source: where it comes from.
        mirrors: in the order to try; a data set without mirrors is embedded, or the user's own.
        stands_in_for: the data set that this one may replace if no mirror answers.
        files: a fingerprint of the files of the user's own data.
    """

    name: str
    classes: tuple[str, ...]
    arrays: Mapping[str, Array]
    noun: str = "classes"
    licence: str = ""
    source: str = ""
    mirrors: tuple[Mirror, ...] = ()
    stands_in_for: str | None = None
    files: str | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, *channels = self.arrays["x_train"].shape[1:]
        return height, width, channels[0] if channels else 1

    @property
    def size(self) -> int:
        """The bytes of all arrays, and 64 KiB more for the headers in their files."""
        itemsize = {"x": 1, "y": label_bytes(len(self.classes))}
        return sum(prod(array.shape) * itemsize[name[0]] for name, array in self.arrays.items()) + 2**16

    @property
    def named(self) -> bool:
        """Whether the classes have other names than their numbers."""
        return self.classes != tuple(map(str, range(len(self.classes))))

    def check(self, arrays: Mapping[str, Array], where: str) -> None:
        """Raise ValueError, naming `where` they come from, unless `arrays` are those of this data set."""
        for name, expected in self.arrays.items():
            found = arrays[name]
            if found.shape != expected.shape:
                raise ValueError(
                    f"{where}: {name} of {self.name} must have the shape {expected.shape}, found {found.shape}"
                )
            if found != expected:
                raise ValueError(
                    f"{where}: {name} is not that of {self.name}: expected SHA-256 {expected.sha256}, "
                    f"found {found.sha256}"
                )

    def as_json(self) -> dict[str, Any]:
        """Return what later stages and reviews need; `from_json` reads it."""
        optional = {"licence": self.licence, "source": self.source, "files": self.files}
        return {
            "image_shape": list(self.image_shape),
            "classes": list(self.classes),
            "noun": self.noun,
            "arrays": {
                name: {"shape": list(array.shape), "sha256": array.sha256} for name, array in self.arrays.items()
            },
            **{key: value for key, value in optional.items() if value},
        }


def label_bytes(classes: int) -> int:
    """Return the bytes of a label of so many classes: those of uint8 or uint16."""
    return 1 if classes <= 256 else 2


def from_json(name: str, document: Any) -> DataSet:
    """Read what `as_json` wrote.

    Raises:
        ValueError: it has another form.
    """
    match document:
        case {"image_shape": list(shape), "classes": list(classes), "noun": str(noun), "arrays": dict(arrays), **more}:
            pass
        case _:
            raise ValueError("expected the keys image_shape, classes, noun and arrays")
    if not 2 <= len(classes) <= MOST_CLASSES or not all(_is_text(each) for each in classes):
        raise ValueError(f"expected the names of 2 to {MOST_CLASSES:,} classes")
    texts = {key: str(more[key]) for key in ("licence", "source", "files") if key in more}
    if not noun.isidentifier() or not all(_is_text(more[key]) for key in texts):
        raise ValueError("expected noun, a word, and licence, source and files as text")
    members = {key: _array(arrays.get(key)) for key in ("x_train", "y_train", "x_test", "y_test")}
    licence, source = texts.get("licence", ""), texts.get("source", "")
    found = DataSet(name, tuple(classes), members, noun, licence, source, files=texts.get("files"))
    if len(found.arrays["x_train"].shape) not in (3, 4) or list(found.image_shape) != shape:
        raise ValueError("image_shape must be height, width and channels of the images in x_train")
    return found


def _array(entry: Any) -> Array:
    match entry:
        case {"shape": list(shape), "sha256": str(sha256)} if _are_sizes(shape) and _is_text(sha256):
            return Array(tuple(shape), sha256)
    raise ValueError("expected shape and sha256 of x_train, y_train, x_test and y_test")


def _are_sizes(shape: Sequence[Any]) -> bool:
    return 1 <= len(shape) <= 4 and all(type(each) is int and 0 < each < 2**32 for each in shape)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 300
