"""models/model.onnx, and what its metadata say of the images that it reads."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

MODEL = Path("models/model.onnx")
HOW_TO_GET = "run `dvc repro` or `make repro` to create it, or `dvc pull` to fetch it"


@dataclass(frozen=True)
class Model:
    """A network and its description."""

    session: onnxruntime.InferenceSession
    dataset: str  # the name of what it was trained on
    noun: str  # what the classes are
    classes: tuple[str, ...]
    shape: tuple[int, ...]  # height, width and channels of an image
    normalization: str  # "mnist"; else pictures are only resized: "resize", or "negative" if light ones are inverted
    floor: float  # what is less probable is uncertain; 0 if export had no validation images

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return float32 (n, classes), the probability of each class, for uint8 (n, height, width, channels)."""
        scaled = images.astype(np.float32) / 255
        return np.asarray(self.session.run(["probabilities"], {"images": scaled})[0])


def load_model(path: Path | str = MODEL) -> Model:
    """Load the model, to run on one thread: a network as small as this is not faster with more.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is not a model that export wrote.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is missing: {HOW_TO_GET}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # fatal errors alone; the exception says the others
    try:
        session = onnxruntime.InferenceSession(Path(path).read_bytes(), options, providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
        classes, shape = json.loads(metadata["classes"]), json.loads(metadata["image_shape"])
        normalization, floor = metadata["normalization"], float(metadata.get("confidence_floor", 0))
        shapes = [node.shape[1:] for node in (*session.get_inputs(), *session.get_outputs())]
        if shapes != [shape, [len(classes)]] or normalization not in ("mnist", "resize", "negative"):
            raise ValueError(f"{normalization} images {shape} of {len(classes)} classes are not those of {shapes}")
        about = metadata["dataset"], metadata["noun"], tuple(classes), tuple(shape)
        return Model(session, *about, normalization, floor)
    except Exception as error:  # ONNX Runtime has exceptions of its own, without a common class
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{path}: not a model that `export` wrote: {reason}; {HOW_TO_GET}") from error
