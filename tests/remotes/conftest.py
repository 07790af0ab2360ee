"""One server of each kind, and a small project that shares its data there by the lines of docs/sharing.md."""

import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clone import Clone
from tests.conftest import REPOSITORY
from tests.remotes.ceph import S3
from tests.remotes.servers import HOST, SSH, Store, WebDAV
from tests.test_readme import READER, commands

KINDS: dict[str, type[Store]] = {"A folder": Store, "SSH": SSH, "WebDAV": WebDAV, "S3": S3}
FIRST = "first-store"
OUTPUTS = ("data.bin", "model.bin")

STAGE = """\
import random, re
size = int(re.search("batch_size: (.*)", open("params.yaml").read())[1])
for name in ("data.bin", "model.bin"):
    open(name, "wb").write(random.Random(name + str(size)).randbytes(100 * size))
open("metrics.json", "w").write('{"size": %d}' % size)
"""
PIPELINE = """\
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    params: [train.batch_size]
    outs: [data.bin, model.bin]
    metrics: [metrics.json: {cache: false}]
"""


def lines(section: str) -> list[str]:
    """What docs/sharing.md says to type."""
    return commands((REPOSITORY / "docs/sharing.md").read_text())[section]


def set_up(server: Store, section: str, store: str) -> list[str]:
    """The lines of that section, with this server in the place of the document's."""
    mine, typed = server.credentials(), []
    for line in lines(section):
        line = re.sub(r"(remote add -d shared) \S+", rf"\1 {server.address(store)}", line)
        line = re.sub(r"(endpointurl) \S+", rf"\1 http://{HOST}:{server.port}", line)
        line = re.sub(r"(--local shared (\w+)) \S+", lambda found: f"{found[1]} {mine.pop(found[2])}", line)
        typed.append(line)
    assert not mine, f"docs/sharing.md does not name {mine}"
    return typed


def new_project(folder: Path) -> Clone:
    """A DVC repository of two small files."""
    folder.mkdir()
    project = Clone(folder)
    project.environment |= READER | {"NO_PROXY": HOST}
    for name, text in {"make.py": STAGE, "dvc.yaml": PIPELINE, "params.yaml": "train:\n  batch_size: 100\n"}.items():
        (folder / name).write_text(text)
    project.run(
        "git init -q -b main && dvc init -q && dvc config core.analytics false && dvc config core.autostage true"
    )
    project.run("dvc repro -q")
    project.commit("Results")
    return project


class Team:
    """A project that shares its data on a server, in a store that is new for each test."""

    def __init__(self, server: Store, project: Clone, folder: Path, store: str) -> None:
        self.server, self.store, self.folder = server, store, folder
        self.environment = project.environment
        server.make(store)
        shutil.copytree(project.folder, folder / "owner")
        self.owner = self.member("owner")
        self.owner.replace(".dvc/config", FIRST, store)
        self.owner.commit("A store of this test")
        self.origin = folder / "origin.git"
        self.owner.run(f"git clone -q --bare . {self.origin} && git remote add origin {self.origin}")

    def member(self, name: str) -> Clone:
        clone = Clone(self.folder / name)
        clone.environment = self.environment
        return clone

    def colleague(self) -> Clone:
        """A fresh clone with the owner's credentials and an empty cache."""
        self.owner.run(f"git clone -q {self.origin} ../colleague")
        clone = self.member("colleague")
        self.give(clone, self.server.credentials())
        return clone

    def give(self, clone: Clone, credentials: dict[str, str]) -> None:
        """Write credentials as `dvc remote modify --local` does."""
        options = "".join(f"    {name} = {value}\n" for name, value in credentials.items())
        (clone.folder / ".dvc/config.local").write_text(f"['remote \"shared\"']\n{options}")

    def md5(self, path: str) -> str:
        (found,) = re.findall(rf"path: {path}\n +hash: md5\n +md5: (\w+)", self.owner.read("dvc.lock"))
        return str(found)


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def server(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The running server, stopped after the tests whether they pass or not."""
    if reason := KINDS[kind].reason_to_skip():
        pytest.skip(reason)
    server = KINDS[kind](tmp_path_factory.mktemp("server"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", HOST)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def project(server: Store, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A project whose owner has typed the lines of docs/sharing.md."""
    project = new_project(tmp_path_factory.mktemp("home") / "project")
    server.make(FIRST)
    for line in set_up(server, kind, FIRST):
        project.run(line)
    return project


@pytest.fixture
def team(server: Store, project: Clone, tmp_path: Path) -> Team:
    """A team that has pushed nothing."""
    return Team(server, project, tmp_path, f"store-{uuid.uuid4()}")
