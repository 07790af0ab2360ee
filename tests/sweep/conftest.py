"""The project of the tests of sweeps."""

import shutil

import pytest

from tests.review.conftest import repository, repository_of_module  # noqa: F401
from tests.sweep.project import Project


@pytest.fixture(scope="module")
def project_of_module(tmp_path_factory) -> Project:
    project = Project(tmp_path_factory.mktemp("sweep") / "project")
    project.make()
    return project


@pytest.fixture
def project(project_of_module, tmp_path) -> Project:
    """A copy of the project of the module."""
    shutil.copytree(project_of_module.folder, tmp_path / "project")
    return Project(tmp_path / "project")
