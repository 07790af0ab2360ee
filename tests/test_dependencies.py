"""pyproject.toml against the code and the locks: what is imported is declared, used, and locked in one version."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY

ROOMS = {"bench", "classifier", "review", "stages"}
USED_UNIMPORTED = {"tqdm"}  # by pooch, for its progress bar


def imported_distributions() -> set[str]:
    """The distributions of all that the rooms import, at their top or in a function."""
    names: set[str] = set()
    for path in [path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    foreign = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names | ROOMS}
    known = packages_distributions()
    return {known[name.split(".")[0]][0].lower() for name in foreign}


def test_every_import_is_declared_and_every_declaration_is_used() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = {re.split("[<>=~! ]", each)[0].lower() for each in project["dependencies"]}
    assert all(">=" in each for each in project["dependencies"])
    assert {name.replace("_", "-") for name in imported_distributions()} | USED_UNIMPORTED == declared


def locked(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock, of which each has hashes."""
    text = (REPOSITORY / name).read_text()
    assert "://" not in text, "a lock names no registry"
    versions: dict[str, set[str]] = {}
    for requirement, hashes in re.findall(r"(?m)^(\S.*?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text):
        assert hashes
        package, version = requirement.split(" ; ")[0].split("==")
        versions.setdefault(package, set()).add(version)
    assert len(re.findall(r"(?m)^[^\s#]", text)) == sum(map(len, versions.values())), "each has hashes"
    return versions


@pytest.mark.parametrize("group", ["remotes", "servers"])
def test_the_lock_of_a_group_has_its_packages_and_the_versions_of_the_main_lock(group: str) -> None:
    mine, main = locked(f"requirements-{group}.txt"), locked("requirements.txt")
    assert {name: mine[name] for name in mine.keys() & main} == {name: main[name] for name in mine.keys() & main}
    for each in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"][group]:
        asked = Requirement(each)
        assert ">=" in each
        assert asked.name not in main, "the main lock is for what everyone needs"
        assert all(asked.specifier.contains(version) for version in mine[asked.name])
