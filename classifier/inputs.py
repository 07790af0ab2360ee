"""What a stage reads, when it starts and when it ends: an edit in between must not be recorded with the old outputs.

DVC hashes the inputs after the command (treeverse/dvc#11058). So a stage compares what dvc.yaml lists for it with what
that was at the start, and gives its outputs their names only if nothing differs. Two windows stay: Python has imported
the modules some tenths of a second before the first look, and DVC hashes some hundredths after the second.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from classifier.files import together
from classifier.parameters import parse_yaml
from classifier.paths import PARAMS, PIPELINE

SMALL = 2**20  # bytes; of a larger file the size, time and inode are compared, by which DVC decides whether to hash it


@contextmanager
def unchanged_inputs(name: str) -> Iterator[None]:
    """Run a stage in the block; at its end all outputs replace the old ones or, if an input has changed, none.

    Without a dvc.yaml nothing is compared. Raises ValueError with the names of the inputs that have changed.
    """
    pipeline = parse_yaml(PIPELINE.read_bytes(), PIPELINE) if PIPELINE.exists() else {"stages": {}}
    stage = pipeline["stages"].get(name, {})
    outputs = [item for kind in ("outs", "metrics", "plots") for item in stage.get(kind, [])]
    with together(Path(path) for item in outputs for path in ([item] if isinstance(item, str) else item)):
        before = _inputs(stage)
        yield
        after = _inputs(stage)
        if changed := ", ".join(path for path in before if before[path] != after[path]):
            raise ValueError(f"{changed} changed while the stage ran, so its outputs stay the old ones; run it again")


def _inputs(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what shows a change of each input that dvc.yaml lists, by name; None for one that is missing."""
    files = {path: _state(Path(path)) for path in stage.get("deps", [])}
    return files | {f"{PARAMS} (section {section})": _values(section) for section in stage.get("params", [])}


def _state(path: Path) -> Any:
    if not path.is_file():
        return None  # the stage says what is missing
    about = path.stat()
    return path.read_bytes() if about.st_size <= SMALL else (about.st_size, about.st_mtime_ns, about.st_ino)


def _values(section: str) -> Any:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return repr(parse_yaml(PARAMS.read_bytes())[section])
    return None
