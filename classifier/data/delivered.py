"""data/raw/dataset.json: the description of the data set in data/raw, and the data set that params.yaml requests."""

import json
from dataclasses import dataclass
from pathlib import Path

from classifier.data.description import DataSet, from_json
from classifier.paths import SOURCE

HOW_TO_RENEW = "run `dvc repro --force download` to create it again"
HOW_TO_GET_ALL = (
    "for the full set, run `dvc repro --force download` once online, or set DATASET_MIRROR to a URL or path that has it"
)
MOST = 2**20  # bytes; a thousand classes with long names have a quarter of that


@dataclass(frozen=True)
class Delivered:
    """The data set that download wrote, and the name of the one that params.yaml requests."""

    data_set: DataSet
    requested: str

    def warning(self) -> str | None:
        """Return a warning if another data set stands in, else None."""
        name = self.data_set.name
        if name == self.requested:
            return None
        return f"warning: {name} is used instead of {self.requested}, which no mirror served; {HOW_TO_GET_ALL}"

    def save(self, path: Path) -> None:
        """Write this as JSON."""
        document = {"dataset": self.data_set.name, "requested": self.requested, **self.data_set.as_json()}
        path.write_text(json.dumps(document, indent=2) + "\n")


def load(path: Path = SOURCE) -> Delivered:
    """Read the record of the last download. Raises ValueError if it is malformed, OSError if it is missing."""
    try:
        with path.open("rb") as file:
            return parse(file.read(MOST + 1))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a description of the data set: {error}; {HOW_TO_RENEW}") from error


def parse(content: bytes) -> Delivered:
    """Read the text of the record. Raises ValueError or RecursionError if it is malformed."""
    if len(content) > MOST:
        raise ValueError(f"expected at most {MOST:,} bytes, found more")
    match json.loads(content):
        case {"dataset": str(name), "requested": str(requested), **description}:
            pass
        case _:
            raise ValueError("expected the keys dataset and requested, the names of data sets")
    if not (name.isprintable() and requested.isprintable()):
        raise ValueError(f"expected the names of data sets, found {name!r} and {requested!r}")
    return Delivered(from_json(name, description), requested)
