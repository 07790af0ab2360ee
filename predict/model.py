"""models/model.onnx, and what its metadata say of the images that it reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnxruntime

MODEL = Path("models/model.onnx")
HOW_TO_GET = "run `dvc repro` or `make repro` to create it, or `dvc pull` to fetch it"
NORMALIZATIONS = ("mnist", "resize")


@dataclass(frozen=True)
class Model:
    """A network and its description.

    Args:
        dataset: the name of the data set that it was trained on.
        noun: what the classes are; classes: their names.
        shape: height, width and channels of an image.
        normalization: "mnist", or "resize" for a data set whose pictures are only resized.
        floor: what is less probable is uncertain; 0 if export had no validation images, None if the file has no number.
    """

    session: "onnxruntime.InferenceSession"
    dataset: str
    noun: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    normalization: str
    floor: float | None

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return float32 (n, classes), the probability of each class, for uint8 (n, height, width, channels)."""
        scaled = images.astype(np.float32) / 255
        probabilities: np.ndarray = self.session.run(["probabilities"], {"images": scaled})[0]
        return probabilities


def load(path: Path = MODEL) -> Model:
    """Load the model, to run on one thread: a network as small as this is not faster with more.

    Raises:
        OSError: the file cannot be read. ValueError: it is not a model that export wrote.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is {'not a file' if path.exists() else 'missing'}: {HOW_TO_GET}")
    content = path.read_bytes()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # fatal errors alone; the exception says the others
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return _describe(session, session.get_modelmeta().custom_metadata_map)
    except Exception as error:  # ONNX Runtime has exceptions of its own, without a common class
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path}: not a model that `export` wrote: {reason}; {HOW_TO_GET}") from error


def _describe(session: "onnxruntime.InferenceSession", metadata: dict[str, str]) -> Model:
    if missing := {"dataset", "noun", "classes", "image_shape", "normalization"} - metadata.keys():
        raise ValueError(f"its metadata have no {', '.join(sorted(missing))}")
    shape, classes = (_listed(metadata[key]) for key in ("image_shape", "classes"))
    found = [(each.name, each.shape[1:]) for each in (*session.get_inputs(), *session.get_outputs())]
    if found != [("images", shape), ("probabilities", [len(classes)])]:
        raise ValueError(f"expected images {shape} and probabilities [{len(classes)}], found {found}")
    normalization = metadata["normalization"]
    if normalization not in NORMALIZATIONS or (normalization == "mnist" and shape != [28, 28, 1]):
        raise ValueError(f"unknown normalization {normalization!r} of images {shape}")
    height, width, channels = map(int, shape)
    if channels not in (1, 3):
        raise ValueError(f"expected images with 1 or 3 channels, found {channels}")
    return Model(
        session=session,
        dataset=metadata["dataset"],
        noun=metadata["noun"],
        classes=tuple(map(str, classes)),
        shape=(height, width, channels),
        normalization=normalization,
        floor=float(metadata["confidence_floor"]) if metadata.get("confidence_floor") else None,
    )


def _listed(text: str) -> list[Any]:
    value = json.loads(text)
    if not isinstance(value, list):
        raise ValueError(f"expected a list in its metadata, found {text[:50]}")
    return value
