"""Measure how well `predict` reads pictures, and print the table of docs/predict.md.

    python -m bench.pictures

The pictures are validation images in larger ones: at a random place, in a random size, on paper that is light or dark,
uneven or noisy. The same images and the same model give the same table. `make repro` makes both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from classifier.data import splits
from classifier.files import markdown_table
from predict.digits import normalize
from predict.model import MODEL, Model, load_model

IMAGES = 1000  # of each kind
SIDE = 280  # pixels of a picture
SIZES = (60, 200)  # of the longer side of the digit's box
NOISE = 20  # standard deviation, in grey levels


@dataclass(frozen=True)
class Kind:
    """A kind of picture: dark ink on light paper or inverted, flat or shaded, without or with noise."""

    name: str
    inverted: bool = False
    shaded: bool = False
    noise: float = 0


KINDS = (
    Kind("black on white"),
    Kind("white on black", inverted=True),
    Kind("black on white, with noise", noise=NOISE),
    Kind("dark on light, shaded", shaded=True),
    Kind("dark on light, shaded, with noise", shaded=True, noise=NOISE),
    Kind("light on dark, shaded, with noise", inverted=True, shaded=True, noise=NOISE),
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
    rows = [["pictures", "right", "two digits or none", "warned", "resized only"]]
    for seed, kind in enumerate(KINDS):
        random = np.random.default_rng(seed)
        pictures = [embed(digit, kind, random) for digit in digits]
        normalized = [normalize(picture) for picture in pictures]
        single = np.array([len(cut_out) == 1 for cut_out in normalized])
        probabilities = predict(model, [cut_out[0].image for cut_out in normalized if len(cut_out) == 1])
        right = (probabilities.argmax(axis=1) == actual[single]).sum() / len(digits)
        warned = (probabilities.max(axis=1) < model.floor).mean()
        light = [picture if kind.inverted else 255 - picture for picture in pictures]  # `predict` finds this out
        small = [np.asarray(Image.fromarray(picture).resize((28, 28), Resampling.BILINEAR)) for picture in light]
        resized = (predict(model, small).argmax(axis=1) == actual).mean()
        rows.append([kind.name, f"{right:.3f}", str((~single).sum()), f"{warned:.3f}", f"{resized:.3f}"])
    return rows


def embed(image: np.ndarray, kind: Kind, random: np.random.Generator) -> np.ndarray:
    """Return a grey picture, uint8 (280, 280), with the ink of an image, uint8 (height, width), somewhere in it."""
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    digit = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = random.integers(SIZES[0], SIZES[1] + 1) / max(digit.size)
    width, height = (max(1, round(scale * size)) for size in digit.size)
    top, left = (int(random.integers(0, SIDE - size + 1)) for size in (height, width))
    ink = np.zeros((SIDE, SIDE))
    ink[top : top + height, left : left + width] = np.asarray(digit.resize((width, height), Resampling.BICUBIC))
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
