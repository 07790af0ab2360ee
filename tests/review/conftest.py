"""What the tests of the review share: a repository of small results, and a command that must refuse."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from review import training
from tests.conftest import REPOSITORY
from tests.review.repository import Repository
from tests.review.stand_in import InProcess, Project


@pytest.fixture(scope="module")
def repository_of_module(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """On main, which is tagged v1, the model misreads images 0 to 9 of both splits."""
    repository = Repository(tmp_path_factory.mktemp("review") / "project")
    (repository.folder / ".dvc").mkdir(parents=True)
    shutil.copy(REPOSITORY / ".dvc/config", repository.folder / ".dvc/config")
    repository.put(".gitignore", "/.dvc/tmp\n")
    repository.write(validation=set(range(10)), test=set(range(10)))
    repository.run("git init -q -b main")
    repository.commit("main")
    repository.run("git tag -a v1 -m v1", GIT_COMMITTER_NAME="Test", GIT_COMMITTER_EMAIL="test@example.org")
    return repository


@pytest.fixture
def repository(repository_of_module: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A copy of that repository, as the current directory."""
    folder = tmp_path / "project"
    shutil.copytree(repository_of_module.folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return Repository(folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose stages take no time, as the current directory; its trials need no Dask."""
    project = Project(tmp_path / "project")
    project.make()
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setattr(training, "Engine", InProcess)
    return project


@pytest.fixture
def refusal(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the `main` that the test's module imports; it must exit with 2, print nothing and say why in one line.

    The line is returned, without the name of the command that it starts with.
    """
    main = request.module.main
    start = f"{main.__module__.removeprefix('review.')}: "

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(start)
        assert printed.err.count("\n") == 1
        return printed.err.removeprefix(start).rstrip()

    return run
