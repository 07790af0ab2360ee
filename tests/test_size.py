"""The project stays small enough to be read, and its tests do not depend on how fast a machine is."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

from tests.conftest import REPOSITORY

FOLDERS = ("stages", "classifier", "predict", "trials", "review", "sweep", "bench", ".github")


def files_in(*places: str, endings: tuple[str, ...]) -> list[Path]:
    """The files with these endings that Git has in these places, or would add."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *places]
    done = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    paths = {REPOSITORY / line for line in done.stdout.splitlines() if line.endswith(endings)}
    return sorted(path for path in paths if path.is_file())


def lines(path: Path) -> int:
    return path.read_text().count("\n")


CODE = files_in(*FOLDERS, endings=(".py", ".js", ".css", ".html"))
TESTS = files_in("tests", endings=(".py", ".js"))
DOCUMENTS = files_in("README.md", "CONTRIBUTING.md", "docs", "bench", endings=(".md",))


def test_the_code_and_the_tests_do_not_grow():
    assert sum(map(lines, CODE)) <= 7_500
    assert sum(map(lines, TESTS)) <= 9_500


def test_the_documents_have_at_most_10000_words_and_readme_1200():
    assert sum(len(path.read_text().split()) for path in DOCUMENTS) <= 10_000
    assert len((REPOSITORY / "README.md").read_text().split()) <= 1_200


def test_no_file_has_more_than_250_lines_no_function_45_and_no_folder_16_files():
    assert [folder for folder, count in Counter(path.parent for path in CODE).items() if count > 16] == []
    assert [path for path in CODE if lines(path) > 250] == []
    for path in CODE:
        tree = ast.parse(path.read_text() if path.suffix == ".py" else "")
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 45] == [], path


def test_no_test_has_a_time_limit_of_its_own():
    assert [path for path in TESTS if re.search(r"timeout=\(?\d|wait_for\(\d", path.read_text())] == []
