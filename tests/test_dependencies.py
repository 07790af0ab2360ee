"""pyproject.toml declares the packages that the code imports, and no others."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.conftest import REPOSITORY
from tests.imports import imported_modules

FOLDERS = {"bench", "classifier", "review", "stages"}
USED_BY_OTHERS = {"tqdm"}  # by pooch, for its progress bar


def imported_packages() -> set[str]:
    """The packages that the code imports, by the names under which they are installed."""
    files = [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]
    modules = {name.split(".")[0] for file in files for name in imported_modules(file)}
    packages = packages_distributions()
    return {packages[module][0].lower() for module in modules - sys.stdlib_module_names - FOLDERS}


def test_every_imported_package_is_declared_and_every_declared_package_is_used() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = {re.split("[<>=~! ]", each)[0].lower() for each in project["dependencies"]}
    assert all(">=" in each for each in project["dependencies"])
    assert {name.replace("_", "-") for name in imported_packages()} | USED_BY_OTHERS == declared
