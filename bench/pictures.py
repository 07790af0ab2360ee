"""Measure how well `predict` reads pictures, and print the table of docs/predict.md.

    python -m bench.pictures

The pictures are validation images in larger ones: at a random place, in a random size, on paper that is light or dark,
uneven or noisy; with a thin pen, fainter in the middle of the digit, or two digits beside each other. The same images
and the same model give the same table. `make repro` makes both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.Image import Resampling
from scipy import ndimage

from classifier.data import splits
from classifier.files import markdown_table
from predict.digits import normalize
from predict.model import MODEL, Model, load_model

IMAGES = 1000  # of each kind
SIDE = 280  # pixels of a picture
SIZES = (60, 200)  # of the longer side of the digit's box
NOISE = 20  # standard deviation, in grey levels
THIN = 0.04  # of the longer side, by which a thin pen is narrower; MNIST's is 0.114 wide
FAINT, BAND = 0.3, (0.3, 0.7)  # the ink that is left, in this part of the width
GAP = 2  # pixels between two digits, in the size of MNIST


@dataclass(frozen=True)
class Kind:
    """A kind of picture: dark ink on light paper or inverted, flat or shaded, without or with noise."""

    name: str
    inverted: bool = False
    shaded: bool = False
    noise: float = 0
    thin: bool = False
    faint: bool = False
    digits: int = 1


KINDS = (
    Kind("black on white"),
    Kind("white on black", inverted=True),
    Kind("black on white, with noise", noise=NOISE),
    Kind("dark on light, shaded", shaded=True),
    Kind("dark on light, shaded, with noise", shaded=True, noise=NOISE),
    Kind("light on dark, shaded, with noise", inverted=True, shaded=True, noise=NOISE),
    Kind("black on white, thin pen", thin=True),
    Kind("black on white, partly faint", faint=True),
    Kind("black on white, two digits", digits=2),
)


def main() -> None:
    """Measure and print."""
    images, labels = (array[:IMAGES] for array in splits.map_split("validation"))
    digits = np.rint(images[..., 0] * 255).astype(np.uint8)
    print(markdown_table(table(load_model(MODEL), digits, labels.argmax(axis=1)), "---:"))


def table(model: Model, digits: np.ndarray, actual: np.ndarray) -> list[list[str]]:
    """Compare `predict` with the same network on pictures that are only resized.

    Args:
        digits: uint8 (n, height, width), light ink on black paper. actual: int (n,), their classes.
    """
    rows = [["pictures", "right", "other count", "warned", "resized only"]]
    for seed, kind in enumerate(KINDS):
        random = np.random.default_rng(seed)
        lines = [[(first + place) % len(digits) for place in range(kind.digits)] for first in range(len(digits))]
        pictures = [embed(beside(digits[line]), kind, random) for line in lines]
        normalized = [normalize(picture) for picture in pictures]
        counted = [len(cut_out) == kind.digits for cut_out in normalized]
        found = [
            [digit.image for digit in cut_out] for cut_out, whole in zip(normalized, counted, strict=True) if whole
        ]
        probabilities = predict(model, [image for images in found for image in images])
        expected = actual[np.array(lines)[counted]]
        right = (probabilities.argmax(axis=1).reshape(expected.shape) == expected).all(axis=1).sum() / len(lines)
        warned = (probabilities.max(axis=1) < model.floor).mean()
        light = [picture if kind.inverted else 255 - picture for picture in pictures]  # `predict` finds this out
        small = [np.asarray(Image.fromarray(picture).resize((28, 28), Resampling.BILINEAR)) for picture in light]
        resized = (predict(model, small).argmax(axis=1) == actual).mean()
        rows.append([kind.name, f"{right:.3f}", str(counted.count(False)), f"{warned:.3f}", f"{resized:.3f}"])
    return rows


def beside(images: np.ndarray) -> np.ndarray:
    """Return one image, uint8 (height, any width), with the ink of images, uint8 (n, height, width), side by side."""
    inked = [image[:, image.any(axis=0)] for image in images]
    return np.hstack([np.pad(image, ((0, 0), (GAP, 0))) for image in inked])


def embed(image: np.ndarray, kind: Kind, random: np.random.Generator) -> np.ndarray:
    """Return a grey picture, uint8 (280, 280), with the ink of an image, uint8 (height, width), somewhere in it."""
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    digit = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = random.integers(SIZES[0], SIZES[1] + 1) / max(digit.size)
    width, height = (max(1, round(scale * size)) for size in digit.size)
    top, left = (int(random.integers(0, SIDE - size + 1)) for size in (height, width))
    ink = np.zeros((SIDE, SIDE))
    ink[top : top + height, left : left + width] = np.asarray(digit.resize((width, height), Resampling.BICUBIC))
    if kind.thin:
        ink = ndimage.grey_erosion(ink, [round(THIN * max(width, height))] * 2)
    if kind.faint:
        start, end = (left + round(width * share) for share in BAND)
        ink[:, start:end] *= FAINT
    light, dark = (random.uniform(170, 240), random.uniform(20, 80)) if kind.shaded else (255, 0)
    paper, pen = (dark, light) if kind.inverted else (light, dark)
    picture = paper + (pen - paper) * ink / 255
    if kind.shaded:  # a side gets 20 to 50 % less light
        down, across = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) - 0.5
        angle = random.uniform(0, 2 * math.pi)
        place = 0.5 + (math.cos(angle) * across + math.sin(angle) * down) / math.sqrt(2)
        picture *= 1 - random.uniform(0.2, 0.5) * place
    if kind.noise:
        picture += random.normal(0, kind.noise, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def predict(model: Model, images: Sequence[np.ndarray]) -> np.ndarray:
    """Return probabilities, float32 (n, classes), for images, uint8 (height, width)."""
    return model.predict(np.stack(images)[..., np.newaxis])


if __name__ == "__main__":
    main()
