"""Read YAML 1.2 with PyYAML: the values that DVC reads, and limits of size."""

import math
import re
from typing import Any

import yaml
from yaml.constructor import BaseConstructor, ConstructorError
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, ScalarEvent
from yaml.scanner import ScannerError

# Limits of a YAML file; the largest of this project, dvc.lock, has 9 kB and 400 values.
MOST_BYTES = 2**18
MOST_VALUES = 10_000
MOST_LEVELS = 50

TAG = "tag:yaml.org,2002:"
PLAIN = {  # how DVC reads an unquoted text: the tag, the forms of the text, and their first characters
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": ("~|null|Null|NULL|", ["~", "n", "N", ""]),
    "float": (
        r"[-+]?[0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)"
        r"|[-+]?\.[0-9_]+([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "int": ("[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)|[-+][0-9_]+", "-+0123456789"),
    "timestamp": (
        "[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?([Tt]|[ \\t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}"
        "(\\.[0-9]*)?([ \\t]*(Z|[-+][0-9][0-9]?(:[0-9]{2})?))?",
        "0123456789",
    ),
    "merge": ("<<", "<"),
    "value": ("=", "="),
}


def parse(content: bytes) -> Any:
    """Load a YAML document as DVC does, if it is within the limits.

    An alias repeats a value, so ten lists with ten aliases each can mean 10**10 values. Values are counted with all
    aliases replaced, before any value is created. A text counts once, and once more for each 100 characters.

    Raises:
        YAMLError: it is not YAML, or DVC might read another value from it (see `Loader`).
        ValueError: it is not UTF-8, has a number or date without a value, such as 0x or 2020-13-01, or is larger than
            MOST_BYTES, MOST_VALUES or MOST_LEVELS.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"expected a file of at most {MOST_BYTES:,} bytes, found more")
    return yaml.load(content.decode("utf-8"), Loader)


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader with the values of YAML 1.2 that DVC reads with ruamel.yaml, and with limits.

    It extends the parser in Python, because PyYAML's parser in C reads tabs and empty tags differently from DVC.

    It refuses what DVC would read differently: a %YAML directive of another version than 1.2; the line breaks of YAML
    1.1 (U+0085, U+2028, U+2029); an anchor whose name has other characters than ASCII letters, digits, - and _, and two
    anchors with the same name; a list or nothing as a key, and equal keys beside a merge key; an unquoted `:a` between
    brackets; !!omap; a tag that does not match its text, such as `!!bool yes`; and a time with more than 6 decimals.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's attribute; its own rules are those of YAML 1.1

    def __init__(self, text: str) -> None:
        if found := re.search("[\x85\u2028\u2029]", text):
            raise yaml.YAMLError(f"found the line break {found[0]!r} of YAML 1.1 at character {found.start():,}")
        super().__init__(text)
        self.size: float = 0
        self.anchored: dict[str | None, float] = {}
        self.unfinished: list[tuple[str | None, float]] = []  # each open collection's anchor, and the size outside it

    def get_event(self) -> Any:
        """Count and return the next event of the parser; PyYAML creates values after the last event."""
        event = super().get_event()
        if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise yaml.YAMLError("expected a document of YAML 1.2, found a %YAML directive of another version")
        if isinstance(event, CollectionStartEvent):
            self.unfinished.append((event.anchor, self.size))
            self.anchored[event.anchor] = math.inf  # an alias inside its own value would repeat for ever
            self.size = 1
        elif isinstance(event, CollectionEndEvent):
            anchor, outside = self.unfinished.pop()
            self.anchored[anchor] = self.size
            self.size += outside
        elif isinstance(event, ScalarEvent):
            self.anchored[event.anchor] = 1 + len(event.value) // 100
            self.size += self.anchored[event.anchor]
        elif isinstance(event, AliasEvent):
            self.size += self.anchored.get(event.anchor, 0)  # the composer refuses an unknown anchor
        if len(self.unfinished) > MOST_LEVELS:
            raise ValueError(f"expected values nested at most {MOST_LEVELS} deep, found more")
        if self.size > MOST_VALUES:
            raise ValueError(f"expected at most {MOST_VALUES:,} values with all aliases replaced, found more")
        return event

    def scan_to_next_token(self) -> None:
        """Also skip tabs between brackets, which indented JSON files may have."""
        super().scan_to_next_token()
        while self.flow_level and self.peek() == "\t":
            self.forward()
            super().scan_to_next_token()

    def scan_anchor(self, kind: Any) -> Any:
        """Refuse punctuation after a name, which DVC reads as part of the name: `&a:` is the anchor `a:`."""
        token = super().scan_anchor(kind)
        if self.peek() not in "\0 \t\r\n,[]{}":
            raise ScannerError("while scanning an anchor", token.start_mark, "found punctuation", self.get_mark())
        return token

    def construct_scalar(self, node: Any) -> Any:
        """Return the text of a node, and refuse one that does not match its tag; PyYAML accepts more forms."""
        text = BaseConstructor.construct_scalar(self, node)
        tags = [node.tag, TAG + "int"] if node.tag == TAG + "float" else [node.tag]
        forms = [FORMS[tag] for tag in tags if tag in FORMS]
        if forms and not any(form.match(text) for form in forms):
            raise ConstructorError(None, None, f"found {shown(text)} with the tag {node.tag}", node.start_mark)
        return text

    def construct_yaml_int(self, node: Any) -> int:
        """Return the int; in YAML 1.2 an octal number begins with `0o`, and `1:30` is a text."""
        text = self.construct_scalar(node).replace("_", "")
        return int(text, {"0b": 2, "0o": 8, "0x": 16}.get(text.lstrip("+-")[:2], 10))

    def construct_yaml_timestamp(self, node: Any) -> Any:
        """Refuse more than 6 decimals of a second: PyYAML cuts them off and DVC rounds."""
        if re.search(r"\.[0-9]{7}", self.construct_scalar(node)):
            raise ConstructorError(None, None, "found more than 6 decimals of a second", node.start_mark)
        return super().construct_yaml_timestamp(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a duplicate key, as DVC does; PyYAML uses the last one."""
        keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        mapping = super().construct_mapping(node, deep)
        known = set()
        for key in keys:
            name = key.tag if key.tag == TAG + "merge" else self.construct_object(key, deep=True)
            if name in known:
                problem = f"found duplicate key {shown(key.value)}"
                raise ConstructorError("while constructing a mapping", node.start_mark, problem, key.start_mark)
            known.add(name)
        return mapping


FORMS = {TAG + tag: re.compile(rf"(?:{forms})\Z") for tag, (forms, _) in PLAIN.items()}
for _tag, _form in FORMS.items():
    Loader.add_implicit_resolver(_tag, _form, list(PLAIN[_tag.removeprefix(TAG)][1]))
for _name in ("int", "timestamp"):
    Loader.add_constructor(TAG + _name, getattr(Loader, f"construct_yaml_{_name}"))
Loader.add_constructor(TAG + "omap", Loader.construct_undefined)


def shown(value: Any) -> str:
    """Return a value for a message: null for None, at most 60 characters."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
