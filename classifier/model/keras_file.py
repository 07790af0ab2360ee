"""Save a Keras model so that equal models give equal bytes."""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.files import write_stored_zip

if TYPE_CHECKING:
    import keras

# Replaces the time of saving; the format is that of keras/src/saving/saving_lib.py.
NO_DATE = "1980-01-01@00:00:00"


def save(model: "keras.Model", path: Path) -> None:
    """Write `model` and the state of its optimizer to `path`, which must end in .keras.

    The file that Keras writes differs each time: the date, the zip time of each member, and each `shared_object_id`,
    which is a memory address. Here the dates are constant and the ids are 0, 1, 2 in order of appearance.
    """
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(members["metadata.json"])
    members["metadata.json"] = json.dumps(metadata | {"date_saved": NO_DATE}, sort_keys=True).encode()
    members["config.json"] = json.dumps(_renumber(json.loads(members["config.json"]), {}), sort_keys=True).encode()
    write_stored_zip(path, members.items())


def _renumber(node: Any, numbers: dict[int, int]) -> Any:
    """Replace each shared_object_id by its number in the order of sorted keys; equal ids get equal numbers."""
    if isinstance(node, list):
        return [_renumber(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: numbers.setdefault(value, len(numbers)) if key == "shared_object_id" else _renumber(value, numbers)
        for key, value in sorted(node.items())
    }
