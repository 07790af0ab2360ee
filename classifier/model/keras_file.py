"""Save a Keras model so that equal models give equal bytes."""

import json
import re
import zipfile
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

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
    metadata = json.loads(members["metadata.json"]) | {"date_saved": NO_DATE}
    members["metadata.json"] = json.dumps(metadata, sort_keys=True).encode()
    config = json.dumps(json.loads(members["config.json"]), sort_keys=True)
    numbers = defaultdict[str, int](count().__next__)
    renumbered = re.sub(r'(?<="shared_object_id": )\d+', lambda address: str(numbers[address[0]]), config)
    members["config.json"] = renumbered.encode()
    write_stored_zip(path, members.items())
