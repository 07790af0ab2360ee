"""A stage, with PyYAML, and DVC, with ruamel.yaml, read the same values from params.yaml."""

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.exceptions import DvcException
from dvc.utils.serialize import parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import parameters, yaml_values
from stages import train

UNREAD = object()


def read_as_dvc(content: bytes) -> Any:
    """The value, or UNREAD if DVC refuses it or fails at a number or date without a value."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8").read()  # as DVC opens the file
    try:
        return parse_yaml(text, "params.yaml")
    except (DvcException, ValueError, LookupError, AttributeError, TypeError, AssertionError):
        return UNREAD


def read(content: bytes) -> Any:
    try:
        return yaml_values.parse(content) or {}  # DVC reads an empty document as {}
    except (yaml.YAMLError, ValueError):
        return UNREAD


def exact(value: Any) -> str:
    """A text that distinguishes 1, 1.0, '1' and true, and 0.0 and -0.0."""
    return "unread" if value is UNREAD else str(yaml.safe_dump(value, sort_keys=False))


def assert_same(content: bytes) -> None:
    assert exact(read(content)) == exact(read_as_dvc(content))


BOOLS = "true True TRUE false False FALSE tRUE yes Yes no NO on On off OFF y n null Null NULL nULL ~ ~~ nil"
INTS = "0 -0 +0 1 -1 +12 017 08 0_8 0o17 0o18 -0o17 0O17 0b101 0b102 0x1F 0x1g -0xff 0X1F 1_000 1__0 _1 -_1 -_ 1:30"
FLOATS = (
    "1.0 1. .5 -.5 +.5 . ._ ._5 1_0.5 1.5_0 0.1 00.1 1e5 1E5 1e-5 1e-05 1.0e-05 1e+5 1.e5 .5e5 .5e+5 1e 1e5.0 e5 -1e5 "
    "1_0e5 1e1_0 1e400 .inf .Inf .INF -.inf +.inf .iNF inf .nan .NaN .NAN -.nan nan 1,000 1.2.3 1:30:30 1:30.5"
)
TIMES = (
    "2020-01-01 2020-1-1 2020-13-01 0000-01-01 2020-01-01T10:00:00Z 2020-01-01T1:00:00.5 2020-01-01t10:00:00+01:30 "
    "2020-01-01T10:00:00-5 2020-01-01T10:00"
)
TEXTS = r"""= << <<< - -- -a ? ?a a:b a#b http://x mixed_bfloat16 'yes' "1" '' "1e-5" "\x41\u00e9" """
SCALARS = " ".join((BOOLS, INTS, FLOATS, TIMES, TEXTS)).split()


@pytest.mark.parametrize("scalar", [*SCALARS, "2020-01-01 10:00:00 +1", "a b", "a: b", "# 1", "1 # one", "1\t", "\t1"])
def test_a_chosen_scalar_is_read_as_dvc_reads_it(scalar: str) -> None:
    for form in ("a: {}\n", "{}", "- {}", "a: [{}, 1]", "{}: 1"):
        assert_same(form.replace("{}", scalar).encode())


def test_the_scalars_are_those_of_yaml_1_2() -> None:
    expected = {
        "on": "on", "no": "no", "1e-5": 1e-5, "1e5": 1e5, "0o17": 15, "017": 17, "1_000": 1000, ".5": 0.5,
        "+.inf": float("inf"), "~": None, "Null": None, "TRUE": True, "1:30": "1:30", "2020-01-02": date(2020, 1, 2),
        "2020-01-02T03:04:05Z": datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), '!!int "3"': 3, "!!float 3": 3.0,
        "!!str 3": "3", "!!binary aGk=": b"hi", "!!set {x, y}": {"x", "y"},
    }  # fmt: skip
    document = "\n".join(f"- {scalar}" for scalar in expected).encode()
    assert exact(read(document)) == exact(list(expected.values())) == exact(read_as_dvc(document))


CHARACTERS = "0123456789" * 2 + "+-._:eExXoObBTZ nNaAiIfFtruelsyo~<=/'\"\t"


@settings(max_examples=3000, deadline=None, derandomize=True)
@given(st.text(CHARACTERS, max_size=8))
def test_any_scalar_is_read_as_dvc_reads_it(scalar: str) -> None:
    assert_same(f"a: {scalar}".encode())


@pytest.mark.parametrize(
    "document",
    [
        "",
        "a:",
        "# nothing",
        "---\n...\n",
        "a: 1\na: 2",
        "{1: a, 1.0: b}",
        "{1: a, true: b}",
        "{a: {b: 1, b: 2}}",
        "!!set {a, a}",
        "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3",
        "a: &a {x: 1}\nb: {x: 2, <<: *a}",
        "- &a {x: 1}\n- &b {x: 2, y: 3}\n- {<<: [*a, *b], z: 4}\n- {<<: [*b, *a]}",
        "a: {<<: {x: 1}, <<: {y: 2}}",
        "<<: 5",
        "<<: [5]",
        "a: &a [1, 2]\nb: *a",
        "a: *b",
        "{1: a, null: b, 1.5: c, 2020-01-01: d, true: e}",
        "a:\tb",
        "a:\n\tb: 1",
        "\ta: 1",
        "a: 1\t# one",
        "a: [1,\t2]",
        "\ufeffa: 1",
        "a: 1\r\nb:\r\n- 2\r\n",
        "a: 1\rb: 2\r",
        "a: |\r\n  x\r\n  y\r\n",
        "a: >\n  x\n  y\n\n  z\n",
        "a: |2-\n    x\n",
        "a: 'it''s'",
        'a: "x\\\n  y"',
        "a: x\n  y",
        "a: {b: 1, c}",
        "{a: 1, b: [2, {c: 3}]}",
        "- - 1\n  - 2\n-\n  - 3",
        "? a\n: 1",
        "a: ! 1",
        "a: !x 1",
        "a: !!int x",
        "%YAML 1.2\n---\na: yes",
        "a: 1\n---\na: 2",
        "a: \x07",
        "=: 1",
        "a: !!pairs [x: 1]",
        '{"a":1,"b":[1e-05,null]}',
    ],
)
def test_a_chosen_document_is_read_as_dvc_reads_it(document: str) -> None:
    assert_same(document.encode())


PIECES = [
    *"ab17.:-#|>&*!?,[]{}'\"%@`~=+\r\t\\", "\n", "\n  ", "\n- ", ": ", " ", "- ", "? ", "a: ", "b: ", "&a ", "*a",
    "<<: ", "{a: 1}", "---\n", "...\n", "%YAML 1.1\n---\n", "%YAML 1.2\n---\n", "|\n ", ">\n  ", "!!int ", "!!float ",
    "!!bool ", "!!null ", "!!str ", "!!set ", "!!omap ", "!!pairs ", "!!binary ", "!!timestamp ",
    "2020-01-01T01:02:03.123456", "1e5", "0o7", "true", "yes", "null", "\ufeff", "\x85", "\u2028", "\r\n", "é",
]  # fmt: skip


@settings(max_examples=3000, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join))
def test_no_document_is_read_with_another_value_than_dvc_reads(document: str) -> None:
    if (value := read(document.encode())) is not UNREAD and (seen := read_as_dvc(document.encode())) is not UNREAD:
        assert exact(value) == exact(seen)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("%YAML 1.1\n---\ntrain: yes", "expected a document of YAML 1.2, found a %YAML directive of another version"),
        ("train: 1\x85x: 2", r"found the line break '\x85' of YAML 1.1 at character 8"),
        ("train: &a: 1", "while scanning an anchor"),
        ("train: &é 1", "while scanning an anchor"),
        ("x: &a 1\ny: &a 2", "found duplicate anchor 'a'"),
        ("? [1]\n: 2", "found unhashable key"),
        ("[:a]", "expected the node content, but found ':'"),
        (": 1", "expected <block end>, but found ':'"),
        ("{<<: {x: 1}, y: 1, y: 2}", "found duplicate key 'y'"),
        ("!!omap [x: 1]", "could not determine a constructor for the tag 'tag:yaml.org,2002:omap'"),
        ("train: !!bool yes", "found 'yes' with the tag tag:yaml.org,2002:bool"),
        ("train: 2020-01-01T01:02:03.1234567", "found more than 6 decimals of a second"),
        ("{x: 1, x: 2}", "found duplicate key 'x'"),
        ("train: !!float _", "found '_' with the tag tag:yaml.org,2002:float"),
        ("train: !!timestamp x", "found 'x' with the tag tag:yaml.org,2002:timestamp"),
    ],
)
def test_a_document_that_dvc_might_read_differently_is_refused(tmp_path: Path, document: str, message: str) -> None:
    (tmp_path / "params.yaml").write_bytes(document.encode())
    with pytest.raises(ValueError, match=r"params\.yaml is not valid YAML: ") as refused:
        parameters.load("train", train.Parameters, tmp_path / "params.yaml")
    assert message in str(refused.value)
