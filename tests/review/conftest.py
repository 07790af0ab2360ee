"""What the tests of the review share: a repository of small results, and a command in this process."""

import shutil
from collections.abc import Callable
from importlib import import_module

import pytest

from review import training
from tests.conftest import REPOSITORY
from tests.review.repository import Repository
from tests.review.stand_in import InProcess, Project


@pytest.fixture(scope="module")
def repository_of_module(tmp_path_factory) -> Repository:
    """On main, which is tagged v1, the model misreads images 0 to 9 of both splits."""
    repository = Repository(tmp_path_factory.mktemp("review") / "project")
    (repository.folder / ".dvc").mkdir(parents=True)
    shutil.copy(REPOSITORY / ".dvc/config", repository.folder / ".dvc/config")
    repository.put(".gitignore", "/.dvc/tmp\n")
    repository.write(validation=set(range(10)), test=set(range(10)))
    repository.init("main")
    repository.run("git tag -a v1 -m v1")
    return repository


@pytest.fixture
def repository(repository_of_module, tmp_path, monkeypatch) -> Repository:
    """A copy of that repository, as the current directory."""
    folder = tmp_path / "project"
    shutil.copytree(repository_of_module.folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return Repository(folder)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Project:
    """A project whose stages take no time, as the current directory; its trials need no Dask."""
    project = Project(tmp_path / "project")
    project.make()
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setattr(training, "Engine", InProcess)
    return project


Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(request, capsys) -> Run:
    """Run the command that the test's module is of; return its exit status, its sentences on stdout, and stderr."""
    command = import_module(request.module.__name__.removeprefix("tests.").replace("test_", ""))

    def run(*arguments: str) -> tuple[int, list[str], str]:
        status = command.main(list(arguments))
        printed = capsys.readouterr()
        return status, printed.out.replace("\n  ", " ").splitlines(), printed.err

    return run
