"""From the bytes of a picture file to what the picture shows."""

from typing import Any

import numpy as np
from PIL.Image import Image

from predict import pictures
from predict.model import Model
from predict.normalization import LEAST_CONTRAST, normalize

Box = tuple[int, int, int, int]  # left, top, right and bottom


def read(content: bytes, model: Model) -> list[dict[str, Any]]:
    """Return what a PNG or JPEG file shows, from left to right.

    Each entry has `class`, `confidence`, which is its probability, whether that is `uncertain`, the `box` around it as
    left, top, right and bottom in the pixels of the picture, and the `probabilities` of all classes.

    Raises:
        ValueError: the file is not a whole picture, or has no ink.
    """
    image, size = pictures.decode(content)
    images, boxes = _normalized(image) if model.normalization == "mnist" else _resized(image, model)
    return [
        {
            "class": model.classes[probabilities.argmax()],
            "confidence": float(probabilities.max()),
            "uncertain": model.floor is not None and float(probabilities.max()) < model.floor,
            "box": _enlarged(box, image.size, size),
            "probabilities": dict(zip(model.classes, map(float, probabilities), strict=True)),
        }
        for probabilities, box in zip(model.predict(images), boxes, strict=True)
    ]


def _enlarged(box: Box, decoded: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """Return a box of a picture that was decoded in a smaller size, in the pixels of the file."""
    return [
        min(edge * -(-whole // smaller), whole) for edge, whole, smaller in zip(box, 2 * size, 2 * decoded, strict=True)
    ]


def _normalized(image: Image) -> tuple[np.ndarray, list[Box]]:
    grey = pictures.grey(image)
    digits = normalize(grey)
    if not digits:
        found = "blank: all its pixels are equally bright" if np.ptp(grey) == 0 else "no ink"
        raise ValueError(f"{found}; expected ink at least {LEAST_CONTRAST} of 255 grey levels from the paper")
    return np.stack([digit.image for digit in digits])[..., np.newaxis], [digit.box for digit in digits]


def _resized(image: Image, model: Model) -> tuple[np.ndarray, list[Box]]:
    return pictures.resize(image, model.shape)[np.newaxis], [(0, 0, *image.size)]
