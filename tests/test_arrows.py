"""Imports between the folders of code go one way."""

from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.imports import imported_files

# Each folder, and the other folders of the project from which it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "classifier/files": set(),
    "classifier/running": {"classifier/files"},
    "classifier/data": {"classifier/files", "classifier/running"},
    "classifier/data/own": {"classifier/data", "classifier/files"},
    "classifier/model": {"classifier/data", "classifier/files", "classifier/running"},
    "classifier/page": {"classifier/data", "classifier/model"},
    "stages": {
        *("classifier/data", "classifier/data/own", "classifier/files", "classifier/model", "classifier/page"),
        "classifier/running",
    },
    "review/statistics": set(),
    "review/wording": {"classifier/running", "review/statistics"},
    "review/results": {
        *("classifier/data", "classifier/files", "classifier/running", "review/statistics", "review/wording"),
    },
    "review/rendering": {"classifier/files", "review/results", "review/statistics", "review/wording"},
    "sweep/engine": {"classifier/running"},
    "review/training": {
        *("classifier/files", "classifier/model", "classifier/running"),
        *("review/results", "review/wording", "sweep/engine"),
    },
    "review": {
        *("classifier/data", "classifier/files", "classifier/running"),
        *("review/rendering", "review/results", "review/statistics", "review/training", "review/wording"),
        "sweep/engine",
    },
    "sweep": {
        *("classifier/files", "classifier/running", "sweep/engine"),
        *("review", "review/rendering", "review/results", "review/training"),
    },
    "predict": set(),  # it is also used without the rest of the project
    "bench": {
        *("classifier/data", "classifier/files", "classifier/model", "classifier/running"),
        *("predict", "review/results", "stages"),
    },
    "bench/peers": {"bench", "classifier/files", "classifier/running", "stages"},
    "bench/sweep": {"bench", "classifier/files"},
    "bench/verdict": {"classifier/files", "review/results", "review/statistics", "review/wording"},
}


def folder_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).parent.as_posix()


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_from_the_folders_listed_for_it(folder: str) -> None:
    files = [path for path in (REPOSITORY / folder).glob("*.py") if path.name != "__init__.py"]
    assert files
    for file in files:
        folders = {folder_of(imported) for imported in imported_files(file)}
        assert folders - {folder} <= MAY_IMPORT[folder], file


def test_every_file_of_code_is_in_one_of_these_folders() -> None:
    tops = {folder.split("/")[0] for folder in MAY_IMPORT}
    folders = {
        folder_of(path) for top in tops for path in (REPOSITORY / top).rglob("*.py") if path.name != "__init__.py"
    }
    assert folders == set(MAY_IMPORT)


def test_no_chain_of_imports_between_folders_is_a_circle() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()  # raises CycleError


def test_no_chain_of_imports_leads_back_to_its_start() -> None:
    files = [path for folder in MAY_IMPORT for path in (REPOSITORY / folder).glob("*.py")]
    TopologicalSorter({file: imported_files(file) for file in files}).prepare()  # raises CycleError


def test_no_stage_or_command_imports_another() -> None:
    for file in [*(REPOSITORY / "stages").glob("*.py"), *(REPOSITORY / "review").glob("*.py")]:
        beside = {path for path in imported_files(file) if path.parent == file.parent}
        assert beside <= {file.with_name("command.py")}, file
