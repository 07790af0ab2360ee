"""What a branch may hold to harm whoever reviews it: files that fill memory, and text that a rendering would obey."""

import json
import re
import resource
import time
from collections.abc import Iterator

import psutil
import pytest

from review import compare, verify
from tests.review.repository import OLD, Repository, record

TEN = ", ".join
BOMB = "a0: &a0 [" + TEN(["0"] * 10) + "]\n"
BOMB += "".join(f"a{i}: &a{i} [" + TEN([f"*a{i - 1}"] * 10) + "]\n" for i in range(1, 12))  # 10**12 values
MAPPING_BOMB = "train:\n  a0: &a0 {x: 1, y: 1}\n"
MAPPING_BOMB += "".join(f"  a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 40))  # 2**40 values
LONG_BOMB = "train:\n  a: &a " + "x" * 100_000 + "\n  b: [" + TEN(["*a"] * 5_000) + "]\n"  # 500 MB of text
KEY_BOMB = "train:\n  ? " + "k" * 150_000 + "\n  :\n" + "".join(f"    a{i}: 1\n" for i in range(3_000))

STAGES = "stages:\n  train:\n    cmd: echo 1\n"
LOCK = "schema: '2.0'\n" + STAGES

MEMORY = 300 * 2**20  # bytes of address space that a command may take beside what the tests have


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Whoever takes more ends in a MemoryError, which no command refuses in one line."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    ("path", "text", "command", "message"),
    [
        ("params.yaml", BOMB, "compare", "expected at most 10,000 values with all aliases replaced, found more"),
        ("params.yaml", MAPPING_BOMB, "compare", "expected at most 10,000 values"),
        ("params.yaml", LONG_BOMB, "compare", "expected at most 10,000 values"),
        ("params.yaml", KEY_BOMB, "compare", "expected keys of at most 200 characters"),
        ("params.yaml", "#" * 300_000, "compare", "expected a file of at most 262,144 bytes, found "),
        ("metrics.json", " " * 2_000_000, "compare", "expected a file of at most 1,048,576 bytes, found "),
        ("evaluation/predictions.csv", " " * 11_000_000, "compare", "expected a file of at most 10,485,760 bytes"),
        (
            "evaluation/seed_noise.json",
            " " * 2_000_000,
            "compare",
            "expected a file of at most 1,048,576 bytes, found ",
        ),
        ("evaluation/seed_noise.json", "[" * 1_000_000, "compare", "maximum recursion depth exceeded"),
        ("params.yaml", MAPPING_BOMB, "verify", "expected at most 10,000 values"),
        ("dvc.yaml", BOMB, "verify", "expected at most 10,000 values"),
        ("dvc.lock", BOMB, "verify", "expected at most 10,000 values"),
        ("dvc.yaml", f"vars: [{{a: 1}}]\n{STAGES}", "verify", "stages must be written out, without vars"),
        (
            "dvc.yaml",
            "stages:\n  a:\n    matrix:\n"
            + "".join(f"      k{i}: [1, 2, 3, 4, 5, 6, 7, 8]\n" for i in range(9))
            + "    cmd: x\n",
            "verify",
            "stages must be written out, without matrix",
        ),
        (
            "dvc.yaml",
            STAGES.replace("echo 1", '"\\x24{train}"'),
            "verify",
            "stages must be written out, without ${...}",
        ),
        ("other.yaml", MAPPING_BOMB, "verify", "expected at most 10,000 values"),
    ],
)
def test_a_file_that_would_fill_memory_is_refused_in_one_line_at_a_revision_and_in_this_folder(
    repository: Repository,
    little_memory: None,
    capsys: pytest.CaptureFixture[str],
    path: str,
    text: str,
    command: str,
    message: str,
) -> None:
    repository.put("dvc.yaml", STAGES + ("    params:\n    - other.yaml:\n" if path == "other.yaml" else ""))
    repository.put("dvc.lock", LOCK)
    repository.put(path, text)
    repository.run("git checkout -q -b bomb")
    repository.commit("bomb")
    for revision in ([], ["bomb"]):
        status = compare.main(["main", *revision]) if command == "compare" else verify.main(revision)
        assert status == {"compare": 2, "verify": 1}[command]
        printed = capsys.readouterr()
        assert printed.out == ""
        assert re.fullmatch(rf"{command}: {re.escape(path)}.*\n", printed.err), printed.err
        assert message in printed.err
        assert printed.err.count(path) == 1


def test_a_record_of_a_billion_images_takes_no_memory(
    repository: Repository, little_memory: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("validation", "test"):
        repository.keep(record({0}, {1}, split=split, images=10**9))
        assert compare.main(["main", "--json", "--final"]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert f"it says 1,000,000,000 {split} images, of which predictions.csv has 40" in printed.out


def test_thousands_of_recipes_on_record_are_soon_counted(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.keep(*(OLD | {"parameters": {"a": number}, "splits": {}} for number in range(15_000)))
    start = time.monotonic()
    assert compare.main(["main", "--json"]) == 0
    assert time.monotonic() - start < 20  # each with each would take minutes
    assert json.loads(capsys.readouterr().out)["recipes"] == 15_001
