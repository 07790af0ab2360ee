"""pyproject.toml declares the packages that the code imports, and no others. The locks have the same versions."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement

from tests.conftest import REPOSITORY
from tests.imports import imported_modules

FOLDERS = {"bench", "classifier", "predict", "review", "stages", "sweep", "trials"}
USED_BY_OTHERS = {"tqdm"}  # by pooch, for its progress bar


def imported_packages() -> set[str]:
    """The packages that the code imports, by the names under which they are installed."""
    files = [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]
    modules = {name.split(".")[0] for file in files for name in imported_modules(file)}
    packages = packages_distributions()
    # A package of a group may not be installed; it has the name of its module.
    return {packages.get(module, [module])[0].lower() for module in modules - sys.stdlib_module_names - FOLDERS}


def test_every_imported_package_is_declared_and_every_declared_package_is_used() -> None:
    document = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    project = document["project"]
    searching = {"optuna"}  # in the group extra
    declared = {re.split("[<>=~! ]", each)[0].lower() for each in project["dependencies"]}
    assert all(">=" in each for each in project["dependencies"])
    used = {name.replace("_", "-") for name in imported_packages()} | USED_BY_OTHERS
    assert used == declared | searching


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


def test_the_extra_lock_has_its_packages_and_the_versions_of_the_main_lock() -> None:
    extra, main = locked("requirements-extra.txt"), locked("requirements.txt")
    assert {name: extra[name] for name in extra.keys() & main} == {name: main[name] for name in extra.keys() & main}
    for requirement in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]["extra"]:
        asked = Requirement(requirement)
        assert ">=" in requirement
        assert asked.name not in main, "the main lock is for what everyone needs"
        assert all(asked.specifier.contains(version) for version in extra[asked.name])
