"""Record which data set is in data/raw: the requested one or the fallback."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from classifier.files.paths import SOURCE

HOW_TO_RENEW = "run `dvc repro --force download` to create it again"
HOW_TO_GET_ALL = (
    "for the full set, run `dvc repro --force download` once online, or set DATASET_MIRROR to a URL or path that has it"
)


@dataclass(frozen=True)
class Source:
    """The data set that download wrote, and the one that params.yaml requests."""

    dataset: str
    requested: str

    def warning(self) -> str | None:
        """Return a warning if the fallback was used, else None."""
        if self.dataset == self.requested:
            return None
        return f"warning: {self.dataset} is used instead of {self.requested}, which no mirror served; {HOW_TO_GET_ALL}"

    def save(self, path: Path) -> None:
        """Write this as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def load(path: Path = SOURCE) -> Source:
    """Read the record of the last download. Raises ValueError if it is malformed, OSError if it is missing."""
    try:
        loaded = Source(**json.loads(path.read_text()))
        for name in (loaded.dataset, loaded.requested):
            if not isinstance(name, str) or not name.isprintable():
                raise ValueError(f"{name!r} is not a data set's name")
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: expected the keys dataset and requested: {error}; {HOW_TO_RENEW}") from error
    return loaded
