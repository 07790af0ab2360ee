"""Imports between the folders of code go one way."""

from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.imports import imported_files

# Each folder, and the other folders of the project from which it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "classifier": set(),
    "classifier/data": {"classifier"},
    "classifier/model": {"classifier", "classifier/data"},
    "classifier/page": {"classifier/data", "classifier/model"},
    "predict": set(),  # it is also used without the rest of the project
    "trials": set(),
    "stages": {"classifier", "classifier/data", "classifier/model", "classifier/page"},
    "review": {"classifier", "classifier/data", "classifier/model", "trials"},
    "sweep": {"classifier", "review", "stages", "trials"},
    "bench": {"classifier", "classifier/data", "predict"},
}
COMMANDS = {REPOSITORY / f"review/{name}.py" for name in ("compare", "decide", "noise", "report", "verify")}


def folder_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).parent.as_posix()


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_from_the_folders_listed_for_it(folder):
    files = list((REPOSITORY / folder).glob("*.py"))
    assert files
    for file in files:
        assert {folder_of(imported) for imported in imported_files(file)} - {folder} <= MAY_IMPORT[folder], file


def test_every_file_of_code_is_in_one_of_these_folders():
    tops = {folder.split("/")[0] for folder in MAY_IMPORT}
    assert {folder_of(path) for top in tops for path in (REPOSITORY / top).rglob("*.py")} == set(MAY_IMPORT)


def test_no_chain_of_imports_leads_back_to_its_start():
    files = [path for folder in MAY_IMPORT for path in (REPOSITORY / folder).glob("*.py")]
    TopologicalSorter(MAY_IMPORT).prepare()  # raises CycleError
    TopologicalSorter({file: imported_files(file) for file in files}).prepare()


def test_no_stage_or_command_imports_another():
    stages = set((REPOSITORY / "stages").glob("*.py"))
    for file in stages | COMMANDS:
        assert not imported_files(file) & (stages | COMMANDS), file
