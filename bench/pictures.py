"""Measure how well `predict` reads pictures, and print the table of docs/predict.md.

    python -m bench.pictures

The pictures are validation images in larger ones: at a random place, in a random size, on paper that is light or dark,
uneven or noisy; with a thin pen, fainter in the middle of the digit, or two digits beside each other. The same images
and the same model give the same table. `make repro` makes both.
"""

import math
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
THIN = 0.04  # of the height, by which a thin pen is narrower; MNIST's is 0.114 wide
FAINT, BAND = 0.3, (0.3, 0.7)  # the ink that is left, in this part of the width of each digit
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
    Kind("thin pen", thin=True),
    Kind("partly faint", faint=True),
    Kind("two digits", digits=2),
    Kind("two digits, thin pen", digits=2, thin=True),
    Kind("two digits, partly faint", digits=2, faint=True),
)


def main() -> None:
    """Measure and print."""
    images, labels = (array[:IMAGES] for array in splits.map_split("validation"))
    digits = np.rint(images[..., 0] * 255).astype(np.uint8)
    print(markdown_table(table(load_model(MODEL), digits, labels.argmax(axis=1)), "---:"))


def table(model: Model, digits: np.ndarray, actual: np.ndarray) -> list[list[str]]:
    """Return a row for each kind: the share that `predict` reads right, in how many it finds another count, the warned.

    Args:
        digits: uint8 (n, height, width), light ink on black paper. actual: int (n,), their classes.
    """
    rows = [["pictures", "right", "other count", "warned"]]
    for seed, kind in enumerate(KINDS):
        random = np.random.default_rng(seed)
        lines = np.add.outer(np.arange(len(digits)), np.arange(kind.digits)) % len(digits)
        cut_out = [normalize(embed(beside(digits[line], kind.faint), kind, random)) for line in lines]
        whole = np.array([len(line) == kind.digits for line in cut_out])
        images = [digit.image for line in np.flatnonzero(whole) for digit in cut_out[line]]
        probabilities = model.predict(np.stack(images)[..., np.newaxis])
        expected = actual[lines[whole]]
        right = (probabilities.argmax(axis=1).reshape(expected.shape) == expected).all(axis=1).sum() / len(lines)
        warned = (probabilities.max(axis=1) < model.floor).mean()
        rows.append([kind.name, f"{right:.3f}", str((~whole).sum()), f"{warned:.3f}"])
    return rows


def beside(images: np.ndarray, faint: bool) -> np.ndarray:
    """Return one image, uint8 (height, any width), with the ink of images, uint8 (n, height, width), side by side."""
    inked = [image[:, image.any(axis=0)] for image in images]
    for digit in inked if faint else ():
        start, end = (round(digit.shape[1] * share) for share in BAND)
        digit[:, start:end] = digit[:, start:end] * FAINT
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
        ink = ndimage.grey_erosion(ink, [round(THIN * height)] * 2)
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


if __name__ == "__main__":
    main()
