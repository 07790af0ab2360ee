"""Read params.yaml: a stage declares its section as a msgspec.Struct, and each key is checked before work starts."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from classifier.paths import PARAMS

Section = TypeVar("Section", bound=msgspec.Struct)
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]  # NumPy's range
MARKERS = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)


def read_section(section: str, kind: type[Section], path: Path = PARAMS) -> Section:
    """Return a section of the file as an instance of `kind`, whose annotations are the rules of its keys.

    Raises:
        ValueError: the file is not YAML, or a key is unknown, missing, of the wrong type or out of range.
        OSError: the file cannot be read.
    """
    try:
        document = parse_yaml(path.read_bytes(), path)
        return msgspec.convert(document.get(section) if isinstance(document, dict) else None, kind)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; run the pipeline in the folder that contains it") from None
    except msgspec.ValidationError as error:
        fault = str(error).replace("$", section)
        raise ValueError(f"{path}: section {section}: {fault}; params.schema.json has the rule of each key") from None


class ConflictError(ValueError):
    """The markers of a merge are in a file."""


def parse_yaml(content: bytes, path: Path | str = PARAMS) -> Any:
    """Return the value of a YAML 1.2 document, by the parser of DVC. Raises ValueError if it is none."""
    try:
        return YAML(typ="safe").load(content)
    except (YAMLError, ValueError, RecursionError) as error:
        if reason := conflict(path, content):
            raise ConflictError(reason) from None
        said = f"{error.problem} {error.problem_mark}" if isinstance(error, MarkedYAMLError) else str(error)
        raise ValueError(f"{path}: not valid YAML: {' '.join(said.split())}") from error


def conflict(path: Path | str = "", content: bytes = b"") -> str | None:
    """Say how to end a merge, rebase or cherry-pick that left its markers in the content of a file of Git.

    Without a path, of the files in this folder that Git lists as unmerged. None if there is no conflict.
    """
    sides = {str(path): ""} if MARKERS.search(content) else {}
    if not path:
        listed = subprocess.run(["git", "ls-files", "--unmerged", "-z"], capture_output=True, check=False).stdout
        for entry in listed.decode(errors="replace").split("\0")[:-1]:
            about, name = entry.split("\t", 1)
            sides[name] = sides.get(name, "") + about[-1]  # 1: before both, 2: ours, 3: theirs
    if not sides:
        return None
    contents = {name: Path(name).read_bytes() for name in sides if Path(name).is_file()} | {str(path): content}
    marked = shlex.join(name for name in sides if MARKERS.search(contents.get(name, b"")))
    gone = shlex.join(name for name, there in sides.items() if there in ("12", "13"))
    edit = f"edit what is marked, or take one side's with `git checkout --ours {marked}` (or --theirs)"
    steps = [edit] if marked else []
    steps += [f"`git rm {gone}`, which one side has deleted"] if gone else []
    steps += ["`dvc repro`, `git add --all` and `git commit` (or `git rebase --continue`) end it"]
    return f"a merge left conflicts in {', '.join(sorted(sides))}: {'; '.join(steps)}"
