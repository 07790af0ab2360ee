"""Which data set lies in data/raw: the one that was asked for, or its fallback."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from classifier.files.paths import SOURCE

HOW_TO_GET_ALL = (
    "for the full set, run `dvc repro --force download` once online, or set DATASET_MIRROR to a URL or path that has it"
)


@dataclass(frozen=True)
class Source:
    """The name of the data set that download wrote, and of the one that params.yaml asked for."""

    dataset: str
    requested: str

    def warning(self) -> str | None:
        """What to tell a user whose data set is a stand-in; None when it is what they asked for."""
        if self.dataset == self.requested:
            return None
        return f"warning: {self.dataset} stands in for {self.requested}, which no mirror served; {HOW_TO_GET_ALL}"

    def save(self, path: Path) -> None:
        """Write this as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def load(path: Path = SOURCE) -> Source:
    """Read what download wrote. Raises ValueError where it is something else, OSError where it is missing."""
    try:
        loaded = Source(**json.loads(path.read_text()))
        for name in (loaded.dataset, loaded.requested):
            if not isinstance(name, str) or not name.isprintable():
                raise ValueError(f"{name!r} is not a data set's name")
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path}: expected the keys dataset and requested: {error}; `dvc repro --force download` makes it anew"
        ) from error
    return loaded
