"""Read params.yaml: a stage declares its section as a msgspec.Struct, and each key is checked before work starts."""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import yaml
from msgspec import Meta

from classifier.paths import PARAMS

Section = TypeVar("Section", bound=msgspec.Struct)
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]  # NumPy's range

# Types and limits of a JSON schema, in the words of a message.
TYPES = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "a text"}
LIMITS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def read_section(section: str, kind: type[Section], path: Path = PARAMS) -> Section:
    """Return a section of the file as an instance of `kind`, whose annotations are the rules of its keys.

    Raises:
        ValueError: the file is not YAML, or a key is unknown, missing, of the wrong type or out of range.
        OSError: the file cannot be read.
    """
    try:
        document = parse_yaml(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; run the pipeline in the folder that contains it") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    values = document.get(section) if isinstance(document, dict) else None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected the section {section} with its keys, got {values!r:.60}")
    rules = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key in values:
        if key not in rules:
            raise ValueError(f"{path}: {section}.{key} is not a known key; known keys: {', '.join(rules)}")
    for key, rule in rules.items():
        expected = f"{path}: {section}.{key} must be {_in_words(msgspec.json.schema(rule))}"
        if key not in values:
            raise ValueError(f"{expected}, but the key is missing")
        try:
            msgspec.convert(values[key], rule)
        except msgspec.ValidationError:
            raise ValueError(f"{expected}, got {values[key]!r:.60}") from None
    return msgspec.convert(values, kind)


def _in_words(schema: dict[str, Any]) -> str:
    match schema:
        case {"anyOf": [rule, _]}:
            return f"null or {_in_words(rule)}"
        case {"enum": [*names]}:
            return " or ".join(names)
        case {"prefixItems": [entry, *others]}:
            return f"a list of {1 + len(others)} entries, each {_in_words(entry)}"
        case {"items": entry, "minItems": least, "maxItems": most}:
            return f"a list of {least} to {most} entries, each {_in_words(entry)}"
    limits = [f"{words} {schema[limit]:,}" for limit, words in LIMITS.items() if limit in schema]
    return ", ".join([TYPES[schema["type"]], *limits])


def parse_yaml(content: bytes | str) -> Any:
    """Return the value of a YAML 1.2 document, as DVC reads it. Raises ValueError if it is none."""
    try:
        return yaml.load(content, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from error


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
