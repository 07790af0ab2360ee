"""Read params.yaml: a stage declares its section as a msgspec.Struct, and each key is checked before work starts."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import yaml
from msgspec import Meta

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
    """Return the value of a YAML 1.2 document, as DVC reads it. Raises ValueError if it is none."""
    try:
        return yaml.load(content, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if reason := conflict(path, content):
            raise ConflictError(reason) from None
        raise ValueError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


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
    marked = shlex.join(name for name in sides if name == str(path) or _has_markers(Path(name)))
    gone = shlex.join(name for name, there in sides.items() if there in ("12", "13"))
    edit = f"edit what is marked, or take one side's with `git checkout --ours {marked}` (or --theirs)"
    steps = [edit] if marked else []
    steps += [f"`git rm {gone}`, which one side has deleted"] if gone else []
    steps += ["`dvc repro`, `git add --all` and `git commit` (or `git rebase --continue`) end it"]
    return f"a merge left conflicts in {', '.join(sorted(sides))}: {'; '.join(steps)}"


def _has_markers(path: Path) -> bool:
    return path.is_file() and bool(MARKERS.search(path.read_bytes()))


class Loader(yaml.CSafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader with the numbers and truths of YAML 1.2: `1e-5` is a number, `on` a text, `0o17` is 15."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a key that is there twice, as DVC does; PyYAML takes the last one."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"found duplicate key {name!r}", node.start_mark)
        return super().construct_mapping(node, deep)


# A decimal number that begins with 0, which YAML 1.1 reads as octal, stays a text, which no rule accepts.
FORMS = {
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": ("[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    "float": (
        r"[-+]?((0|[1-9][0-9_]*)(\.[0-9_]*|(?=[eE]))|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag.rpartition(":")[2] not in FORMS]
    for first, forms in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
for _kind, (_form, _first) in FORMS.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_form})\Z"), list(_first))
