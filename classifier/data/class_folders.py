"""Folders of PNG and JPEG images, one for each class, as the arrays of a data set."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from classifier.data.arrays import TOO_LARGE, Arrays

SUFFIXES = (".png", ".jpg", ".jpeg")
SKIPPED = ("thumbs.db", "desktop.ini", "__macosx")  # left by file managers, as are names that begin with a dot
FEWEST = 5  # images of a class that is split: for test, for train, and for the validation images held out of train
SIDES = range(8, 129)  # pixels of an image's height and of its width
HOW_TO_RESIZE = "download.resize in params.yaml gives all images one size"

ByClass = dict[str, list[Path]]


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
    classes = list(splits["train"])
    first = splits["train"][classes[0]][0]
    shape = read_image(first, size).shape
    arrays: Arrays = {"classes": np.array(classes)}
    for split, by_class in splits.items():
        paths = [path for paths in by_class.values() for path in paths]
        most -= len(paths) * int(np.prod(shape))
        if most < 0:
            raise ValueError(f"{source}: images of {kind_of(shape)} have {TOO_LARGE}")
        labels = [classes.index(name) for name in by_class]
        arrays[f"y_{split}"] = np.repeat(labels, [len(paths) for paths in by_class.values()])
        arrays[f"x_{split}"] = images = np.empty((len(paths), *shape), np.uint8)
        for row, path in enumerate(paths):
            image = read_image(path, size)
            if image.shape != shape:
                kinds = f"{kind_of(image.shape)} here and {kind_of(shape)} in {first}"
                raise ValueError(f"{path}: images must have one size and kind, found {kinds}; {HOW_TO_RESIZE}")
            images[row] = image
    return arrays


def list_images(source: Path, seed: int, share: float) -> dict[str, ByClass]:
    """Return the image files of each class in train and in test, in the order of their names."""
    names = [path.name for path in _visible(source)]
    if not {"train", "test"} <= set(names):
        return _split(_list_classes(source), seed, share)
    if len(names) > 2:
        raise ValueError(f"{source}: expected the folders train and test alone, found {', '.join(names)}")
    splits = {split: _list_classes(source / split) for split in ("train", "test")}
    for name in splits["test"]:
        if name not in splits["train"]:
            raise ValueError(f"{source / 'test' / name}: a class that {source / 'train'} lacks; add or remove it")
    return splits


def _list_classes(folder: Path) -> ByClass:
    """Return the images of each class folder of a folder."""
    classes = {}
    for path in _visible(folder):
        if not path.is_dir():
            raise ValueError(f"{path}: expected class folders alone in {folder}, found a file; move it elsewhere")
        classes[path.name] = _visible(path)
        for image in classes[path.name]:
            if image.is_dir() or image.suffix.lower() not in SUFFIXES:
                expected = f"images alone in a class folder, {', '.join(SUFFIXES)}, or the folders train and test above"
                raise ValueError(f"{image}: expected {expected}; move it elsewhere")
        if not classes[path.name]:
            raise ValueError(f"{path}: the class has no images; add some or remove the folder")
    if not classes:
        raise ValueError(f"{folder}: expected class folders, found none")
    return classes


def _split(classes: ByClass, seed: int, share: float) -> dict[str, ByClass]:
    """Draw the test images of each class; another class's images do not change which."""
    splits: dict[str, ByClass] = {"train": {}, "test": {}}
    for label, (name, paths) in enumerate(classes.items()):
        if len(paths) < FEWEST:
            advice = "add some, or make the folders train and test yourself"
            raise ValueError(f"{paths[0].parent}: expected at least {FEWEST} images of a class to split; {advice}")
        count = min(max(round(len(paths) * share), 1), len(paths) - 1)
        drawn = set(np.random.default_rng([seed, label]).permutation(len(paths))[:count].tolist())
        splits["train"][name] = [path for row, path in enumerate(paths) if row not in drawn]
        splits["test"][name] = [path for row, path in enumerate(paths) if row in drawn]
    return splits


def _visible(folder: Path) -> list[Path]:
    """Return the paths in a folder by name, but for hidden files and what file managers leave."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in SKIPPED]
    return sorted(paths, key=lambda path: path.name)


def read_image(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Return a PNG or JPEG image as uint8 (height, width) or (height, width, 3). Raises ValueError if it is no such."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of Pillow, about what is odd in a file and needs no repair
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                image.verify()  # all checksums; then it must be opened anew
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                _check_pixels(image)
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


def _check_pixels(image: Any) -> None:
    """Raise ValueError unless the pixels are 8-bit grey or RGB; Pillow shortens some of 16 bits in silence."""
    kinds = {
        "16 bits": image.mode.startswith("I") or any("16" in str(tile[3]) for tile in image.tile),
        "a palette": image.mode.startswith("P"),
        "an alpha channel": "A" in image.getbands() or "transparency" in image.info,
        f"the mode {image.mode}": image.mode not in ("1", "L", "RGB"),
    }
    for kind, present in kinds.items():
        if present:
            raise ValueError(f"expected 8-bit grey or RGB pixels, found {kind}; save it as 8-bit grey or RGB")
