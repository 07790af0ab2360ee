"""Imports between the rooms go one way."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# Each room, and what it may import of the project besides itself.
MAY_IMPORT: dict[str, set[str]] = {
    "classifier/files": set(),
    "classifier/running": {"classifier/files"},
    "classifier/data": {"classifier/files", "classifier/running"},
    "classifier/model": {"classifier/data", "classifier/files", "classifier/running"},
    "stages": {"classifier/data", "classifier/files", "classifier/model", "classifier/running"},
    "review/statistics": set(),
    "review/wording": {"classifier/running", "review/statistics"},
    "review/results": {"classifier/files", "classifier/running", "review/statistics", "review/wording"},
    "review/rendering": {"classifier/files", "review/results", "review/statistics", "review/wording"},
    "review": {
        *("classifier/files", "classifier/model", "classifier/running"),
        *("review/rendering", "review/results", "review/statistics", "review/wording"),
    },
    "bench": {"classifier/data", "classifier/files", "classifier/model", "classifier/running", "stages"},
}


def room_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).parent.as_posix()


def imports(path: Path) -> set[Path]:
    """The files of the project that a file imports, at its top or in a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    files = {(REPOSITORY / name.replace(".", "/")).with_suffix(".py") for name in names}
    return {file for file in files if file.is_file()}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_from_rooms_below_it(room: str) -> None:
    files = [path for path in (REPOSITORY / room).glob("*.py") if path.name != "__init__.py"]
    assert files
    for file in files:
        rooms = {room_of(imported) for imported in imports(file)}
        assert rooms - {room} <= MAY_IMPORT[room], file


def test_every_file_of_code_stands_in_one_of_these_rooms() -> None:
    tops = {room.split("/")[0] for room in MAY_IMPORT}
    rooms = {room_of(path) for top in tops for path in (REPOSITORY / top).rglob("*.py") if path.name != "__init__.py"}
    assert rooms == set(MAY_IMPORT)


def test_no_chain_of_rooms_leads_back_to_its_start() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()  # raises CycleError


def test_no_chain_of_imports_leads_back_to_its_start() -> None:
    files = [path for room in MAY_IMPORT for path in (REPOSITORY / room).glob("*.py")]
    TopologicalSorter({file: imports(file) for file in files}).prepare()  # raises CycleError


def test_no_entrance_imports_another() -> None:
    for file in [*(REPOSITORY / "stages").glob("*.py"), *(REPOSITORY / "review").glob("*.py")]:
        beside = {path for path in imports(file) if path.parent == file.parent}
        assert beside <= {file.with_name("command.py")}, file
