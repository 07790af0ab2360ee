"""A folder, OpenSSH and moto's S3 as remotes of DVC, and a small project that shares its data by docs/sharing.md."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.clone import REPOSITORY, Clone, commands

HOST = "127.0.0.1"
PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"  # where sshd is
PIPELINE = "stages: {make: {cmd: 'seq ${train.batch_size} > model.txt', outs: [model.txt]}}\n"


class Folder:
    """A folder below another one, without a server and without credentials."""

    section = "A folder"  # of docs/sharing.md
    modules: tuple[str, ...] = ()
    secret = ""  # what differs in the credentials of a stranger

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as listening:
            listening.bind((HOST, 0))
            self.port = int(listening.getsockname()[1])

    def start(self) -> None:
        """Serve, and return when the server answers."""

    def stop(self) -> None:
        """Stop answering, and keep what is stored for the next start."""

    def address(self) -> str:
        return str(self.folder / "store")

    def credentials(self) -> dict[str, str]:
        """The options of the remote that are kept out of Git."""
        return {}

    def replace(self, path: str, content: bytes | None) -> None:
        """Write other content into an object, or remove it."""
        object_file = self.folder / "store" / path
        mode = object_file.stat().st_mode  # kept: DVC hashes an object of a folder if it is not read-only
        object_file.unlink()
        if content is not None:
            object_file.write_bytes(content)
            object_file.chmod(mode)


class SSH(Folder):
    """OpenSSH with keys of its own, for the user who runs the tests."""

    section, modules, secret = "SSH", ("dvc_ssh",), "member"
    process: subprocess.Popen[bytes]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name in ("host", "member", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as the service of Debian does
        settings = ["PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "PidFile none"]
        settings += [f"HostKey {self.folder}/host", f"AuthorizedKeysFile {self.folder}/member.pub"]
        settings += ["StrictModes no", "Subsystem sftp internal-sftp", f"ListenAddress {HOST}:{self.port}"]
        (self.folder / "sshd_config").write_text("\n".join(settings))
        command = f"exec setpriv --pdeathsig KILL $(command -v sshd) -D -f {self.folder}/sshd_config"
        self.process = subprocess.Popen(["bash", "-c", command], env=os.environ | {"PATH": PATH})
        with socket.socket() as client:
            while client.connect_ex((HOST, self.port)) != 0:
                assert self.process.poll() is None, "sshd does not run"
                time.sleep(0.02)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def address(self) -> str:
        return f"ssh://{getpass.getuser()}@{HOST}:{self.port}{self.folder}/store"

    def credentials(self) -> dict[str, str]:
        return {"keyfile": str(self.folder / "member")}


class S3(Folder):
    """The S3 server of moto in this process, which keeps objects in memory and checks signatures."""

    section, modules = "S3", ("dvc_s3", "moto", "flask_cors")
    client: Any = None

    def start(self) -> None:
        from moto import settings
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer(ip_address=HOST, port=self.port, verbose=False)
        self.server.start()
        if self.client is None:
            iam = self.connect("iam", "admin", "admin")
            iam.create_user(UserName="member")
            keys = iam.create_access_key(UserName="member")["AccessKey"]
            self.key, self.secret = keys["AccessKeyId"], keys["SecretAccessKey"]
            allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            iam.put_user_policy(UserName="member", PolicyName="all", PolicyDocument=policy)
            settings.INITIAL_NO_AUTH_ACTION_COUNT = 0  # from now on signatures are checked
            self.client = self.connect("s3", self.key, self.secret)
            self.client.create_bucket(Bucket="store")

    def connect(self, service: str, key: str, secret: str) -> Any:
        from botocore.session import get_session

        session = get_session()
        session.set_credentials(key, secret)
        return session.create_client(service, "us-east-1", endpoint_url=f"http://{HOST}:{self.port}")

    def stop(self) -> None:
        self.server.stop()

    def address(self) -> str:
        return "s3://store"

    def credentials(self) -> dict[str, str]:
        return {"access_key_id": self.key, "secret_access_key": self.secret}

    def replace(self, path: str, content: bytes | None) -> None:
        self.client.delete_object(Bucket="store", Key=path)
        if content is not None:
            self.client.put_object(Bucket="store", Key=path, Body=content)


class Team:
    """A project that shares its data by the lines of docs/sharing.md, and clones of it."""

    def __init__(self, server: Folder, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.owner = self.member("owner")
        shutil.copytree(REPOSITORY / ".dvc", self.owner.folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
        (self.owner.folder / "dvc.yaml").write_text(PIPELINE)
        (self.owner.folder / "params.yaml").write_text("train:\n  batch_size: 100\n")
        self.owner.run("git init -q -b main && dvc repro -q")
        self.owner.commit("Results")
        self.owner.run(" && ".join(self.adapted(line) for line in commands("docs/sharing.md")[server.section]))
        self.owner.run("git clone -q --bare . ../origin.git && git remote add origin ../origin.git")

    def adapted(self, line: str) -> str:
        """A line of the document, with this server in the place of the document's."""
        credentials = self.server.credentials()
        line = re.sub(r"(remote add -d shared) \S+", rf"\1 {self.server.address()}", line)
        line = re.sub(r"(endpointurl) \S+", rf"\1 http://{HOST}:{self.server.port}", line)
        return re.sub(r"(--local shared (\w+)) \S+", lambda option: f"{option[1]} {credentials[option[2]]}", line)

    def member(self, name: str) -> Clone:
        member = Clone(self.folder / name)
        member.environment["NO_PROXY"] = HOST
        return member

    def colleague(self, name: str) -> Clone:
        """A fresh clone with the owner's credentials and an empty cache."""
        self.owner.run(f"git clone -q ../origin.git ../{name}")
        if self.server.credentials():
            shutil.copy(self.owner.folder / ".dvc/config.local", self.folder / name / ".dvc")
        return self.member(name)

    def replace_model(self, content: bytes | None) -> None:
        """Write other content into the object of the model in the remote, or remove it."""
        (md5,) = re.findall(r" md5: (\w+)", self.owner.run("git show HEAD:dvc.lock"))
        self.server.replace(f"files/md5/{md5[:2]}/{md5[2:]}", content)


@pytest.fixture(scope="session", params=[Folder, SSH, S3], ids=lambda kind: kind.section)
def server(request, tmp_path_factory) -> Iterator[Folder]:
    """The running server, stopped after the tests whether they pass or not."""
    kind: type[Folder] = request.param
    if absent := [name for name in kind.modules if find_spec(name) is None]:
        pytest.skip(f"{', '.join(absent)} not installed: `make extra`")
    if kind is SSH and not all(shutil.which(name, path=PATH) for name in ("setpriv", "sshd", "ssh-keygen")):
        pytest.skip("sshd not installed: `apt-get install openssh-server util-linux`")
    server = kind(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def team(server, tmp_path_factory) -> Team:
    """A team whose owner has typed the lines of docs/sharing.md."""
    return Team(server, tmp_path_factory.mktemp("team"))
