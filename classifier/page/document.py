"""Write the page to draw on: one HTML file that holds the network, and needs no connection and no server."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from classifier.data.data_set import DataSet
from classifier.model.layers import Layer

SOURCES = Path(__file__).parent  # of page.html, and of what is written into it
SCRIPTS = ("network.js", "digits.js", "strokes.js", "pad.js", "answer.js", "maps.js", "page.js")

MOST_MISREAD = 60  # images in the gallery
MOST_VALUES = 2**16  # of all images in the gallery; MNIST's 60 have 47,040

# An image float32 (height, width, channels) 0..1, its class, the predicted class, and the probability of that one.
Misread = tuple[np.ndarray, int, int, float]


def write(path: Path, network: dict[str, Any]) -> int:
    """Write the page of a network that `describe` returned; return its size in bytes."""
    style, *scripts = ((SOURCES / name).read_text(encoding="utf-8") for name in ("page.css", *SCRIPTS))
    script = "\n".join(scripts)
    # JSON may stand in a script element, which the text `</script` would end.
    data = json.dumps(network, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    policy = (  # allows this script, this style and an icon in the page; no connection
        f"default-src 'none'; script-src 'sha256-{digests[0]}'; style-src 'sha256-{digests[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    parts = {"policy": policy, "style": style, "script": script, "network": data}
    html = (SOURCES / "page.html").read_text(encoding="utf-8")
    return path.write_bytes(re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], html).encode())


def describe(
    layers: Sequence[Layer],
    data_set: DataSet,
    misread: Sequence[Misread],
    normalization: str,
    confidence_floor: float,
    opening: tuple[np.ndarray, int],
) -> dict[str, Any]:
    """Return what the scripts read: the network, the data set and the gallery.

    Args:
        misread: all test images that the network misreads, in the order in which the page shows them.
        normalization: how the page makes an image from a picture, as in docs/predict.md.
        confidence_floor: below this probability the page says that it is uncertain.
        opening: the test image with which the page opens, and its class.
    """
    gallery = misread[: min(MOST_MISREAD, MOST_VALUES // int(np.prod(data_set.image_shape)))]
    pixels = [np.rint(image * 255).astype(np.uint8) for image, *_ in (*gallery, opening)]
    weights = [array.astype("<f4") for layer in layers for array in (layer.kernel, layer.bias)]
    return {
        "name": data_set.name,
        "licence": data_set.licence,
        "source": data_set.source,
        "classes": data_set.classes,
        "noun": data_set.noun,
        "shape": data_set.image_shape,
        "normalization": normalization,
        "confidence_floor": round(float(confidence_floor), 4),
        "misread": len(misread),
        "gallery": [[actual, predicted, round(float(confidence), 6)] for _, actual, predicted, confidence in gallery],
        "opening": opening[1],
        "images": _base64(pixels),  # those of the gallery, then the opening one
        "layers": [
            {"kind": layer.kind, "name": layer.name, "kernel": layer.kernel.shape, "bias": layer.bias.shape}
            for layer in layers
        ],
        "weights": _base64(weights),
    }


def _base64(arrays: Sequence[np.ndarray]) -> str:
    return base64.b64encode(b"".join(array.tobytes() for array in arrays)).decode()
