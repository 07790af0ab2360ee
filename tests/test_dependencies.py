"""pyproject.toml declares the packages that the code and README import, and no others. Locks have their hashes."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY
from tests.imports import imported_modules

FOLDERS = {"bench", "classifier", "predict", "review", "stages", "sweep", "trials"}
USED_BY_OTHERS = {"tqdm", "ruamel-yaml", "ruamel-yaml-clib"}  # by pooch, for its progress bar; two packages of one name
EXTRA = {"optuna"}  # the code imports it where `make extra` has installed it
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
DEPENDENCIES, GROUPS = PYPROJECT["project"]["dependencies"], PYPROJECT["dependency-groups"]


def packages(modules: set[str]) -> set[str]:
    """The names of the packages that have these modules, without those of Python and of the project."""
    tops = {name.split(".")[0] for name in modules} - sys.stdlib_module_names - FOLDERS - {"tests"}
    installed = packages_distributions()
    return {canonicalize_name(installed.get(top, [top])[0]) for top in tops}


def imported_in(*folders: str) -> set[str]:
    files = [path for folder in folders for path in (REPOSITORY / folder).rglob("*.py")]
    return {name for file in files for name in imported_modules(file)}


def names(*lists: list[str]) -> set[str]:
    packages = [Requirement(line) for lines in lists for line in lines]
    return {canonicalize_name(package.name) for package in packages if not package.marker or package.marker.evaluate()}


def test_every_imported_package_is_declared_and_every_declared_package_is_used():
    (walk,) = re.findall(r'\$ python -c "import (.*?);', (REPOSITORY / "README.md").read_text())
    of_walk = {name.split(" ")[0] for name in walk.split(", ")}
    assert packages(imported_in(*FOLDERS) | of_walk) | USED_BY_OTHERS == names(DEPENDENCIES) | EXTRA
    assert packages(imported_in("tests")) <= names(DEPENDENCIES, GROUPS["dev"], GROUPS["extra"])


def locked(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock, of which each has hashes."""
    text = (REPOSITORY / name).read_text()
    assert "://" not in text, "a lock names no registry"
    versions: dict[str, set[str]] = {}
    entries = re.findall(r"(?m)^(\S+)==(\S+)(?: ; .*)? \\\n    --hash=sha256:[0-9a-f]{64}", text)
    for package, version in entries:
        versions.setdefault(package, set()).add(version)
    assert len(entries) == len(re.findall(r"(?m)^[^\s#]", text)), "each has hashes"
    return versions


@pytest.mark.parametrize(
    ("lock", "lines"),
    [
        ("requirements.txt", [*DEPENDENCIES, *GROUPS["dev"]]),
        ("requirements/extra.txt", GROUPS["extra"]),
        ("requirements/gpu.txt", GROUPS["gpu"]),
        ("requirements/uv.txt", GROUPS["uv"]),
    ],
)
def test_a_lock_has_versions_that_pyproject_allows(lock, lines):
    versions = locked(lock)
    for requirement in map(Requirement, lines):
        assert requirement.specifier
        assert all(map(requirement.specifier.contains, versions[canonicalize_name(requirement.name)])), requirement


def test_the_extra_lock_has_the_versions_of_the_main_lock():
    main, extra = locked("requirements.txt"), locked("requirements/extra.txt")
    assert {name: extra[name] for name in main.keys() & extra} == {name: main[name] for name in main.keys() & extra}
    assert not main.keys() & {Requirement(line).name for line in GROUPS["extra"]}, "the main lock is for everyone"
