"""The project of the tests of sweeps."""

from pathlib import Path

import pytest

from tests.review.conftest import repository, repository_of_module  # noqa: F401
from tests.sweep.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one stage, whose results are committed."""
    project = Project(tmp_path / "project")
    project.make()
    return project


@pytest.fixture
def shared(project: Project) -> Project:
    """The project with a Git and a DVC remote, to which it was pushed."""
    project.share()
    return project
