"""Folders of PNG and JPEG images, one for each class, as the arrays of a data set."""

import warnings
from itertools import chain
from math import prod
from pathlib import Path

import numpy as np
from PIL import Image

from classifier.data.arrays import TOO_LARGE, Arrays

SUFFIXES = (".png", ".jpg", ".jpeg")
SKIPPED = ("thumbs.db", "desktop.ini", "__macosx")  # left by file managers, as are names that begin with a dot
FEWEST = 5  # images of a class that is split: for test, for train, and for the validation images held out of train
SIDES = range(8, 129)  # pixels of an image's height and of its width
HOW_TO_RESIZE = "download.resize in params.yaml gives all images one size"
LAYOUT = "expected only CLASS/IMAGE.png (or .jpg, .jpeg), or train/CLASS/... and test/CLASS/...; move the rest"


def read_class_folders(source: Path, seed: int, share: float, size: tuple[int, int] | None, most: int) -> Arrays:
    """Return the four arrays, and `classes`, the names of the class folders in their order.

    Args:
        source: has the folders train and test, each with class folders; or has class folders alone, which are split.
        seed: of the split. share: of each class's images for test.
        size: height and width to resize all images to; None: all must have one size.
        most: bytes of all arrays.

    Raises:
        ValueError: the folders or an image break a rule; the message names it. OSError: one cannot be read.
    """
    splits = list_images(source, seed, share)
    classes = sorted({path.parent.name for paths in splits.values() for path in paths})
    labels = {name: label for label, name in enumerate(classes)}
    first = splits["train"][0]
    shape = read_image(first, size).shape
    if prod(shape) * sum(map(len, splits.values())) > most:
        raise ValueError(f"{source}: images of {kind_of(shape)} have {TOO_LARGE}")
    arrays: Arrays = {"classes": np.array(classes)}
    for split, paths in splits.items():
        arrays[f"y_{split}"] = np.array([labels[path.parent.name] for path in paths])
        arrays[f"x_{split}"] = images = np.empty((len(paths), *shape), np.uint8)
        for row, path in enumerate(paths):
            image = read_image(path, size)
            if image.shape != shape:
                kinds = f"{kind_of(image.shape)} here and {kind_of(shape)} in {first}"
                raise ValueError(f"{path}: images must have one size and kind, found {kinds}; {HOW_TO_RESIZE}")
            images[row] = image
    return arrays


def list_images(source: Path, seed: int, share: float) -> dict[str, list[Path]]:
    """Return the image files in train and in test by class and name; the folder of an image has the name of its class.

    Other classes do not change which images of a class are drawn for test.
    """
    if [path.name for path in _visible(source)] == ["test", "train"]:
        return {split: list(chain(*_list_classes(source / split))) for split in ("train", "test")}
    splits: dict[str, list[Path]] = {"train": [], "test": []}
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
        wrong = [image for image in images if image.is_dir() or image.suffix.lower() not in SUFFIXES]
        if wrong or not images:
            raise ValueError(f"{[*wrong, path][0]}: {LAYOUT}")
    if not classes:
        raise ValueError(f"{folder}: {LAYOUT}")
    return list(classes.values())


def _visible(folder: Path) -> list[Path]:
    """Return the paths in a folder by name, but for hidden files and what file managers leave."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in SKIPPED]
    return sorted(paths, key=lambda path: path.name)


def read_image(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Return a PNG or JPEG image as uint8 (height, width) or (height, width, 3). Raises ValueError if it is no such."""
    try:
        with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                image.verify()  # all checksums; then it must be opened anew
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                # Pillow shortens some pixels of 16 bits in silence, but its plan for the decoder names them.
                kind = ", ".join([str(image.tile[0][3]), *({"transparency"} & image.info.keys())])
                if image.mode not in ("1", "L", "RGB") or "16" in kind or "transparency" in kind:
                    raise ValueError(f"expected 8 bits, grey or RGB, no palette and no alpha, found {kind}; save it so")
                pixels = image.convert("L") if image.mode == "1" else image
                if size:
                    return resize_image(pixels, size)
                check_sides(image.height, image.width)
                return np.asarray(pixels)
    except Exception as error:  # Pillow promises no set of exceptions for damaged files
        raise ValueError(f"{path}: not an image that can be used: {error or type(error).__name__}") from error


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
