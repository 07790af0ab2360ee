"""pyproject.toml against the code: what is imported is declared, and what is declared is used."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

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
