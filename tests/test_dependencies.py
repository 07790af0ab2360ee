"""pyproject.toml declares the packages that the code imports, and no others."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.conftest import REPOSITORY

FOLDERS = {"bench", "classifier", "review", "stages"}
USED_BY_OTHERS = {"tqdm"}  # by pooch, for its progress bar


def imported_distributions() -> set[str]:
    """The packages that the code imports, at the top of a file or in a function."""
    names: set[str] = set()
    for path in [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    foreign = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names | FOLDERS}
    known = packages_distributions()
    return {known[name.split(".")[0]][0].lower() for name in foreign}


def test_every_imported_package_is_declared_and_every_declared_package_is_used() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = {re.split("[<>=~! ]", each)[0].lower() for each in project["dependencies"]}
    assert all(">=" in each for each in project["dependencies"])
    assert {name.replace("_", "-") for name in imported_distributions()} | USED_BY_OTHERS == declared
