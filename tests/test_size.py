"""The project stays small enough to be read."""

import ast
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

CODE = ("stages", "classifier", "predict", "trials", "review", "sweep", "bench", ".github")


def files_in(*places: str, endings: tuple[str, ...]) -> list[Path]:
    """The files with these endings that Git has in these places, or would add."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *places]
    done = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    paths = {REPOSITORY / line for line in done.stdout.splitlines() if line.endswith(endings)}
    return sorted(path for path in paths if path.is_file())


def code() -> list[Path]:
    return files_in(*CODE, endings=(".py", ".js", ".css", ".html"))


def functions_of(path: Path) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def lines(paths: list[Path]) -> int:
    return sum(path.read_text().count("\n") for path in paths)


def words(paths: list[Path]) -> int:
    return sum(len(path.read_text().split()) for path in paths)


@pytest.mark.xfail(reason="the rooms are on their way", strict=False)
def test_there_are_at_most_7000_lines_of_code_and_9000_of_tests() -> None:
    assert lines(code()) <= 7_000
    assert lines(files_in("tests", endings=(".py", ".js"))) <= 9_000


@pytest.mark.xfail(reason="the rooms are on their way", strict=False)
def test_the_documents_have_at_most_10000_words_and_readme_1200() -> None:
    assert words(files_in("README.md", "CONTRIBUTING.md", "docs", "bench", endings=(".md",))) <= 10_000


def test_readme_has_at_most_1200_words() -> None:
    assert words([REPOSITORY / "README.md"]) <= 1_200


@pytest.mark.xfail(reason="the rooms are on their way", strict=False)
def test_no_file_has_more_than_250_lines_and_no_function_more_than_45() -> None:
    assert [path for path in code() if lines([path]) > 250] == []
    long = [
        f"{path}: {function.name}"
        for path in code()
        if path.suffix == ".py"
        for function in functions_of(path)
        if (function.end_lineno or 0) - function.lineno >= 45
    ]
    assert long == []


@pytest.mark.xfail(reason="the rooms are on their way", strict=False)
def test_no_folder_has_more_than_16_files_of_code() -> None:
    assert {folder: count for folder, count in Counter(path.parent for path in code()).items() if count > 16} == {}
