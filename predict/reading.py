"""From the bytes of a picture file to what the picture shows."""

from typing import Any

import numpy as np
from PIL.Image import Resampling

from predict.digits import normalize
from predict.model import Model
from predict.pictures import LEAST_CONTRAST, decode


def read(content: bytes, model: Model) -> list[dict[str, Any]]:
    """Return what a PNG or JPEG file shows, from left to right.

    Each entry has `class`, `confidence`, which is its probability, whether that is `uncertain`, whether the digit is
    `stacked`: made of pieces one above the other, the `box` around it as left, top, right and bottom in the pixels of
    the picture, and the `probabilities` of all classes.

    Raises:
        ValueError: the file is not a whole picture, or has no ink.
    """
    picture, size = decode(content)
    grey = picture.convert("L")
    if model.normalization == "mnist":
        digits = normalize(np.asarray(grey))
        if not digits:
            raise ValueError(f"no ink; expected ink at least {LEAST_CONTRAST} of 255 grey levels from the paper")
        images, boxes, stacks = zip(*digits, strict=True)
    else:  # squashed, as download resizes own images
        height, width, channels = model.shape
        resized = (grey if channels == 1 else picture.convert("RGB")).resize((width, height), Resampling.BILINEAR)
        pixels = np.asarray(resized)
        images, boxes = [255 - pixels if model.normalization == "negative" else pixels], [(0, 0, *picture.size)]
        stacks = [False]
    factor = round(size[0] / picture.size[0])  # a large photo is decoded in a smaller size
    outputs = model.predict(np.reshape(images, (-1, *model.shape)))
    return [
        {
            "class": model.classes[probabilities.argmax()],
            "confidence": float(probabilities.max()),
            "uncertain": float(probabilities.max()) < model.floor,
            "stacked": stacked,
            "box": [min(factor * edge, side) for edge, side in zip(box, 2 * size, strict=True)],
            "probabilities": dict(zip(model.classes, map(float, probabilities), strict=True)),
        }
        for probabilities, box, stacked in zip(outputs, boxes, stacks, strict=True)
    ]
