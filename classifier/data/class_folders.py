"""Folders of PNG and JPEG images, one for each class, as the arrays of a data set."""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from math import prod
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

from classifier.data.arrays import TOO_LARGE, Arrays, fault_of, refuse_other_formats
from classifier.data.data_set import LEFT_BY_TOOLS

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")  # as predict has them
SPLITS = {  # by the name of a folder in small letters
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}
FEWEST = 5  # images of a class that is split: for test, for train, and for the validation images held out of train
SIDES = range(8, 129)  # pixels of an image's height and of its width
HOW_TO_RESIZE = "download.resize in params.yaml gives all images one size"
LAYOUT = "expected only CLASS/IMAGE.png (or .jpg, .jpeg), or train/CLASS/... and test/CLASS/...; move the rest"


def read_class_folders(
    source: Path, seed: int, share: float, size: tuple[int, int] | None, most: int, notes: list[str]
) -> Arrays:
    """Return the four arrays, and `classes`, the names of the class folders in their order.

    Args:
        source: has the folders train and test, each with class folders; or has class folders alone, which are split.
        seed: of the split. share: of each class's images for test.
        size: height and width to resize all images to; None: all must have one size.
        most: bytes of all arrays. notes: gets a line for what was done to files, as `read_own` has it.

    Raises:
        ValueError: the folders or an image break a rule; the message names it. OSError: one cannot be read.
    """
    splits = list_images(source, seed, share)
    classes = sorted({path.parent.name for paths in splits.values() for path in paths})
    labels = {name: label for label, name in enumerate(classes)}
    kinds = [kind_of_file(path) for path in chain(*splits.values())]
    mode = "RGB" if any(colour for _, colour in kinds) else "L"
    other = Counter(kind for kind, _ in sorted(kinds) if kind not in (mode, "1"))
    if converted := [f"{count:,} {kind}" for kind, count in other.items()]:
        notes.append(f"{source}: read as {'colour' if mode == 'RGB' else 'grey'} without loss: {', '.join(converted)}")
    if joined := splits.pop("validation"):
        again = "of which preprocess.validation_images are held out again"
        notes.append(f"{source}: {len(joined):,} validation images join the training images, {again}")
        splits["train"] = sorted(splits["train"] + joined, key=lambda path: path.parent.name)
    first = splits["train"][0]
    shape = read_image(first, mode, size).shape
    if prod(shape) * sum(map(len, splits.values())) > most:
        raise ValueError(f"{source}: images of {kind_of(shape)} have {TOO_LARGE}")
    arrays: Arrays = {"classes": np.array(classes)}
    for split, paths in splits.items():
        arrays[f"y_{split}"] = np.array([labels[path.parent.name] for path in paths])
        arrays[f"x_{split}"] = images = np.empty((len(paths), *shape), np.uint8)
        for row, path in enumerate(paths):
            image = read_image(path, mode, size)
            if image.shape != shape:
                sizes = f"{kind_of(image.shape)} here and {kind_of(shape)} in {first}"
                raise ValueError(f"{path}: images must have one size, found {sizes}; {HOW_TO_RESIZE}")
            images[row] = image
    return arrays


def list_images(source: Path, seed: int, share: float) -> dict[str, list[Path]]:
    """Return the image files by class and name, in train, validation and test; an image's folder has its class's name.

    Other classes do not change which images of a class are drawn for test.
    """
    splits: dict[str, list[Path]] = {"train": [], "validation": [], "test": []}
    folders = {SPLITS.get(path.name.lower(), path.name): path for path in _visible(source)}
    if {"train", "test"} <= folders.keys() <= splits.keys() and len(folders) == len(_visible(source)):
        return splits | {split: list(chain(*_list_classes(folder))) for split, folder in folders.items()}
    for label, paths in enumerate(_list_classes(source)):
        if len(paths) < FEWEST:
            raise ValueError(f"{paths[0].parent}: expected at least {FEWEST} images; add some, or split them yourself")
        count = min(max(round(len(paths) * share), 1), len(paths) - 1)
        drawn = set(np.random.default_rng([seed, label]).permutation(len(paths))[:count].tolist())
        for row, path in enumerate(paths):
            splits["test" if row in drawn else "train"].append(path)
    return splits


def _list_classes(folder: Path) -> list[list[Path]]:
    """Return the images of each class folder of a folder."""
    classes = {path: _visible(path) if path.is_dir() else [] for path in _visible(folder)}
    for path, images in classes.items():
        if not any(map(Path.is_dir, classes)):
            refuse_other_formats(path)
        wrong = [image for image in images if image.is_dir() or image.suffix.lower() not in SUFFIXES]
        if wrong or not images:
            raise ValueError(f"{[*wrong, path][0]}: {LAYOUT}")
    if not classes:
        raise ValueError(f"{folder}: {LAYOUT}")
    return list(classes.values())


def _visible(folder: Path) -> list[Path]:
    """Return the paths in a folder by name, but for what systems and tools leave there."""
    paths = (path for path in folder.iterdir() if not LEFT_BY_TOOLS.fullmatch(path.name))
    return sorted(paths, key=lambda path: path.name)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open a PNG, JPEG or MPO image. Raises ValueError, also for the code inside, naming the file."""
    strict = warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning)
    try:
        with strict, Image.open(path, formats=("PNG", "JPEG")) as image:
            yield image
    except Exception as error:  # Pillow promises no set of exceptions for damaged files
        raise ValueError(f"{path}: not an image that can be used: {fault_of(path, error)}") from error


def kind_of_file(path: Path) -> tuple[str, bool]:
    """Return Pillow's name of an image's kind, and whether it has colours; errors as in `read_image`."""
    with _opened(path) as image:
        palette = np.frombuffer(bytes(image.palette.palette or b"") if image.palette else b"", np.uint8).reshape(-1, 3)
        return image.mode, image.mode in ("RGB", "RGBA") or bool((palette != palette[:, :1]).any())


def read_image(path: Path, mode: str, size: tuple[int, int] | None) -> np.ndarray:
    """Return an image upright, as its EXIF says: uint8 (height, width) for the mode L, (height, width, 3) for RGB.

    Raises ValueError if it is none, or would lose something: 16 bits, or pixels that are not opaque.
    """
    with _opened(path) as image:
        image.verify()  # all checksums; then it must be opened anew
    with _opened(path) as image:
        # Pillow shortens some pixels of 16 bits in silence, but its plan for the decoder names them.
        kind = image.tile[0][3] if isinstance(image.tile[0][3], str) else image.mode
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA") or "16" in kind:
            raise ValueError(f"expected 8 bits, grey, RGB or a palette, found {kind}; save it so, of values 0 to 255")
        if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
            raise ValueError(f"expected opaque pixels, found {kind} with transparent ones; lay it on a background")
        pixels = ImageOps.exif_transpose(image).convert(mode)
        if size:
            return resize_image(pixels, size)
        check_sides(*pixels.size[::-1])
        return np.asarray(pixels)


def resize_image(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Return the pixels of an image in another size, height and width; an average of all that a new pixel covers."""
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def check_sides(height: int, width: int) -> None:
    """Raise ValueError unless an image of this size can be classified as it is."""
    if height not in SIDES or width not in SIDES:
        sides = f"{SIDES[0]}x{SIDES[0]} to {SIDES[-1]}x{SIDES[-1]}"
        raise ValueError(f"expected {sides} pixels (height x width), found {height}x{width}; {HOW_TO_RESIZE}")


def kind_of(shape: tuple[int, ...]) -> str:
    """An image's size and kind in words: `28x28 grey`."""
    return f"{shape[0]}x{shape[1]} {'grey' if len(shape) == 2 else 'colour'}"
