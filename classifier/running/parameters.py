"""Read a stage's section of params.yaml, with the values DVC sees, into that stage's frozen dataclass."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from classifier.files.paths import PARAMS

# Limits of a YAML file, many times what the largest of this project has (dvc.lock: 9 kB, 400 values).
MOST_BYTES = 2**18
MOST_VALUES = 10_000
MOST_LEVELS = 50

T = TypeVar("T")
Rule = Callable[[Any], bool]


def load(section: str, kind: type[T], path: Path = PARAMS) -> T:
    """Check `section` of the file at `path` against the fields of the dataclass `kind` and return it filled.

    The file is read as YAML 1.2 by the parser DVC uses, so `1e-5` is a number, `on` a text and `0o17` fifteen.

    Raises:
        ValueError: the file is not YAML, or a key is unknown, missing, of the wrong type or out of range.
        OSError: the file cannot be read.
    """
    values = _section(section, path)
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ValueError(f"{path}: {section}.{key} is not a known key; known are: {', '.join(known)}")
    for key, each in known.items():
        if key not in values:
            raise ValueError(f"{path}: {section}.{key} is missing; it must be {each.metadata['expected']}")
        if not each.metadata["rule"](values[key]):
            raise ValueError(f"{path}: {section}.{key} must be {each.metadata['expected']}, got {_shown(values[key])}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def parse(content: bytes) -> Any:
    """Load a YAML document as DVC does, once its size is known to be bounded.

    An alias repeats a value: ten lists of ten aliases to each other stand for 10**10 values. The size is that with
    each alias replaced by what it repeats, and is counted before any value is made. A text counts once more for each
    100 characters.

    Raises:
        YAMLError: it is not YAML. ValueError: it is not UTF-8, or exceeds MOST_BYTES, MOST_VALUES or MOST_LEVELS.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"expected a file of at most {MOST_BYTES:,} bytes, found more")
    text = content.decode("utf-8")
    anchored: dict[str | None, float] = {}
    unfinished: list[tuple[str | None, float]] = []  # the anchor of each open collection, and the size outside of it
    size: float = 0
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, CollectionStartEvent):
            unfinished.append((event.anchor, size))
            anchored[event.anchor] = math.inf  # an alias within what it names would repeat for ever
            size = 1
        elif isinstance(event, CollectionEndEvent):
            anchor, outside = unfinished.pop()
            anchored[anchor] = size
            size += outside
        elif isinstance(event, ScalarEvent):
            anchored[event.anchor] = 1 + len(event.value) // 100
            size += anchored[event.anchor]
        elif isinstance(event, AliasEvent):
            size += anchored.get(event.anchor, 0)  # of an unknown anchor the parser complains below
        if len(unfinished) > MOST_LEVELS:
            raise ValueError(f"expected values nested at most {MOST_LEVELS} deep, found more")
        if size > MOST_VALUES:
            raise ValueError(f"expected at most {MOST_VALUES:,} values with all aliases replaced, found more")
    return YAML(typ="safe").load(text)


def whole_number(at_least: int, at_most: int | None = None) -> Any:
    """A dataclass field that holds an int from `at_least` to `at_most`."""
    return _field(_whole(at_least, at_most), f"a whole number {_range(at_least, at_most)}")


def whole_numbers(at_least: int, most_entries: int) -> Any:
    """A dataclass field that holds one to `most_entries` ints of `at_least` or more."""

    def rule(value: Any) -> bool:
        return isinstance(value, list) and 1 <= len(value) <= most_entries and all(map(_whole(at_least, None), value))

    return _field(rule, f"a list of 1 to {most_entries} whole numbers {_range(at_least, None)}")


def number(above: float = -math.inf, at_least: float = -math.inf, below: float = math.inf) -> Any:
    """A dataclass field that holds a finite number within these limits, each of which may be left out."""
    limits = {"greater than": above, "of at least": at_least, "below": below}
    expected = " and ".join(f"{words} {limit:g}" for words, limit in limits.items() if math.isfinite(limit))

    def rule(value: Any) -> bool:
        # Compared rather than converted: an int may be larger than any float.
        fits = type(value) in (int, float) and above < value and at_least <= value < below
        return fits and abs(value) <= sys.float_info.max

    return _field(rule, f"a number {expected}")


def truth() -> Any:
    """A dataclass field that holds true or false."""
    return _field(lambda value: type(value) is bool, "true or false")


def choice(of: Sequence[str | None]) -> Any:
    """A dataclass field that holds one of a few texts, or null where None is among them."""
    names = ["null" if name is None else name for name in of]
    return _field(lambda value: (value is None or isinstance(value, str)) and value in of, _or(names))


def _section(section: str, path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = parse(file.read(MOST_BYTES + 1))
    except (YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; the pipeline runs in the folder that holds it") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} must hold sections of keys, got {_shown(document)}")
    if section not in document:
        raise ValueError(f"{path}: section {section} is missing")
    values = document[section]
    if not isinstance(values, dict):
        raise ValueError(f"{path}: {section} must be a section of keys, got {_shown(values)}")
    return values


def _field(rule: Rule, expected: str) -> Any:
    return field(metadata={"rule": rule, "expected": expected})


def _whole(at_least: int, at_most: int | None) -> Rule:
    return lambda value: type(value) is int and at_least <= value and (at_most is None or value <= at_most)


def _range(at_least: int, at_most: int | None) -> str:
    return f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"


def _or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
