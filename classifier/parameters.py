"""Read the section of a stage in params.yaml, with the values that DVC reads, into the dataclass of that stage."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from classifier.paths import PARAMS
from classifier.yaml_values import MOST_BYTES, parse, shown

T = TypeVar("T")
Rule = Callable[[Any], bool]


def load(section: str, kind: type[T], path: Path = PARAMS) -> T:
    """Check `section` of the file against the fields of the dataclass `kind`, and return an instance of it.

    The file is read as YAML 1.2 with the values that DVC reads: `1e-5` is a number, `on` a text, and `0o17` is 15.

    Raises:
        ValueError: the file is not YAML, or a key is unknown, missing, of the wrong type or out of range.
        OSError: the file cannot be read.
    """
    values = _read_section(section, path)
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ValueError(f"{path}: {section}.{key} is not a known key; known keys: {', '.join(known)}")
    for key, each in known.items():
        if key not in values:
            raise ValueError(f"{path}: {section}.{key} is missing; it must be {each.metadata['expected']}")
        if not each.metadata["rule"](values[key]):
            raise ValueError(f"{path}: {section}.{key} must be {each.metadata['expected']}, got {shown(values[key])}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def whole_number(at_least: int, at_most: int | None = None) -> Any:
    """Return a dataclass field for an int from `at_least` to `at_most`."""
    return _field(_whole(at_least, at_most), f"a whole number {_describe_range(at_least, at_most)}")


def whole_numbers(at_least: int, most_entries: int) -> Any:
    """Return a dataclass field for a list of 1 to `most_entries` ints of at least `at_least`."""

    def rule(value: Any) -> bool:
        return isinstance(value, list) and 1 <= len(value) <= most_entries and all(map(_whole(at_least, None), value))

    return _field(rule, f"a list of 1 to {most_entries} whole numbers {_describe_range(at_least, None)}")


def number(above: float = -math.inf, at_least: float = -math.inf, below: float = math.inf) -> Any:
    """Return a dataclass field for a finite number within these limits."""
    limits = {"greater than": above, "of at least": at_least, "below": below}
    expected = " and ".join(f"{words} {limit:g}" for words, limit in limits.items() if math.isfinite(limit))

    def rule(value: Any) -> bool:
        # Not converted to float first: an int may be larger than any float.
        fits = type(value) in (int, float) and above < value and at_least <= value < below
        return fits and abs(value) <= sys.float_info.max

    return _field(rule, f"a number {expected}")


def truth() -> Any:
    """Return a dataclass field for true or false."""
    return _field(lambda value: type(value) is bool, "true or false")


def choice(of: Sequence[str | None]) -> Any:
    """Return a dataclass field for one of these texts, or for null if None is one of them."""
    names = ["null" if name is None else name for name in of]
    return _field(lambda value: (value is None or isinstance(value, str)) and value in of, _join_with_or(names))


def choice_or_path(of: Sequence[str]) -> Any:
    """Return a dataclass field for one of these names, or for a path: a text with a / or a dot, or of a file here."""

    def rule(value: Any) -> bool:
        if not isinstance(value, str) or not value.isprintable():
            return False
        return value in of or "/" in value or "." in value or (bool(value) and Path(value).exists())

    return _field(rule, f"{', '.join(of)} or the path of your own data")


def whole_numbers_or_null(count: int, at_least: int, at_most: int) -> Any:
    """Return a dataclass field for a list of `count` ints within these limits, or for null."""
    fits = _whole(at_least, at_most)

    def rule(value: Any) -> bool:
        return value is None or (isinstance(value, list) and len(value) == count and all(map(fits, value)))

    return _field(rule, f"null or a list of {count} whole numbers {_describe_range(at_least, at_most)}")


def _read_section(section: str, path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = parse(file.read(MOST_BYTES + 1))
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; run the pipeline in the folder that contains it") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} must have sections of keys, got {shown(document)}")
    if section not in document:
        raise ValueError(f"{path}: section {section} is missing")
    values = document[section]
    if not isinstance(values, dict):
        raise ValueError(f"{path}: {section} must be a section of keys, got {shown(values)}")
    return values


def _field(rule: Rule, expected: str) -> Any:
    return field(metadata={"rule": rule, "expected": expected})


def _whole(at_least: int, at_most: int | None) -> Rule:
    return lambda value: type(value) is int and at_least <= value and (at_most is None or value <= at_most)


def _describe_range(at_least: int, at_most: int | None) -> str:
    return f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"


def _join_with_or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
