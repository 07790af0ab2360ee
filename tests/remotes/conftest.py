"""One server of each kind, and a small project that shares its data there by the lines of docs/sharing.md."""

import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clone import Clone
from tests.conftest import REPOSITORY
from tests.remotes.servers import HOST, S3, SSH, Folder
from tests.test_readme import READER, commands

KINDS: dict[str, type[Folder]] = {"A folder": Folder, "SSH": SSH, "S3": S3}
FIRST = "first-store"

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


def in_document(section: str) -> list[str]:
    """What docs/sharing.md says to type."""
    return commands((REPOSITORY / "docs/sharing.md").read_text())[section]


def adapted(line: str, server: Folder) -> str:
    """A line of the document, with this server in the place of the document's."""
    line = re.sub(r"(remote add -d shared) \S+", rf"\1 {server.address(FIRST)}", line)
    line = re.sub(r"(endpointurl) \S+", rf"\1 http://{HOST}:{server.port}", line)
    return re.sub(r"(--local shared (\w+)) \S+", lambda option: f"{option[1]} {server.credentials()[option[2]]}", line)


class Team:
    """A project that shares its data on a server, in a store that is new for each test."""

    def __init__(self, server: Folder, project: Clone, folder: Path) -> None:
        self.server, self.folder, self.store = server, folder, f"store-{uuid.uuid4()}"
        server.make_store(self.store)
        shutil.copytree(project.folder, folder / "owner")
        self.owner = self.member("owner")
        self.owner.replace(".dvc/config", FIRST, self.store)
        self.owner.commit("A store of this test")
        self.owner.run("git clone -q --bare . ../origin.git && git remote add origin ../origin.git")

    def member(self, name: str) -> Clone:
        member = Clone(self.folder / name)
        member.environment |= READER | {"NO_PROXY": HOST}
        return member

    def colleague(self, name: str) -> Clone:
        """A fresh clone with the owner's credentials and an empty cache."""
        self.owner.run(f"git clone -q ../origin.git ../{name}")
        colleague = self.member(name)
        self.give(colleague, self.server.credentials())
        return colleague

    def give(self, member: Clone, credentials: dict[str, str]) -> None:
        """Write credentials as `dvc remote modify --local` does."""
        options = "".join(f"    {name} = {value}\n" for name, value in credentials.items())
        (member.folder / ".dvc/config.local").write_text(f"['remote \"shared\"']\n{options}")

    def md5(self, path: str) -> str:
        return re.findall(rf"path: {path}\n +hash: md5\n +md5: (\w+)", self.owner.read("dvc.lock"))[0]


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def server(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """The running server, stopped after the tests whether they pass or not."""
    if reason := KINDS[kind].reason_to_skip():
        pytest.skip(reason)
    server = KINDS[kind](tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def project(server: Folder, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A DVC repository of two small files, whose owner has typed the lines of docs/sharing.md."""
    project = Clone(tmp_path_factory.mktemp("home") / "project")
    project.folder.mkdir()
    project.environment |= READER | {"NO_PROXY": HOST}
    for name, text in {"make.py": STAGE, "dvc.yaml": PIPELINE, "params.yaml": "train:\n  batch_size: 100\n"}.items():
        (project.folder / name).write_text(text)
    project.run("git init -q -b main && dvc init -q && dvc config core.analytics false")
    project.run("dvc config core.autostage true && dvc repro -q")
    project.commit("Results")
    server.make_store(FIRST)
    for line in in_document(kind):
        project.run(adapted(line, server))
    return project


@pytest.fixture
def team(server: Folder, project: Clone, tmp_path: Path) -> Team:
    """A team that has pushed nothing."""
    return Team(server, project, tmp_path)
