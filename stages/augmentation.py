"""Small random changes of the training images, drawn anew each time one is seen; the digit stays what it is."""

from typing import TYPE_CHECKING

from stages.dataset import IMAGE_SHAPE

if TYPE_CHECKING:
    import keras


def layers(shift: float, rotation: float, zoom: float) -> list["keras.Layer"]:
    """Return the layers that change float32 images (n, 28, 28, 1) in training, and do nothing in prediction.

    Each change is drawn uniformly between its limit and the opposite, image by image; a limit of 0 leaves it out.

    Args:
        shift: limit in pixels, along either axis. rotation: in degrees. zoom: as a fraction of the size.
    """
    import keras

    # What comes in from outside the image is paper. In bfloat16 the positions of pixels would be rounded.
    alike = {"fill_mode": "constant", "fill_value": 0.0, "dtype": "float32"}
    share = shift / IMAGE_SHAPE[0]
    changes = []
    if shift:
        changes.append(keras.layers.RandomTranslation(share, share, name="shift", **alike))
    if rotation:
        changes.append(keras.layers.RandomRotation(rotation / 360, name="rotation", **alike))
    if zoom:
        changes.append(keras.layers.RandomZoom(zoom, zoom, name="zoom", **alike))
    return changes
