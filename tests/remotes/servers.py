"""Where a remote of DVC keeps its objects: a folder, OpenSSH, and moto's S3, on free ports of 127.0.0.1."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"  # where sshd is


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        return int(listening.getsockname()[1])


class Folder:
    """A folder, without a server and without credentials; the servers have a folder too."""

    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    @classmethod
    def reason_to_skip(cls) -> str:
        """Say what is not installed, and how to install it; nothing if all is here."""
        if absent := [name for name in cls.programs if shutil.which(name, path=PATH) is None]:
            return f"{', '.join(absent)} not installed: `apt-get install openssh-server openssh-client util-linux`"
        absent = [name for name in cls.modules if find_spec(name) is None]
        return f"{', '.join(absent)} not installed: `make extra`" if absent else ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def start(self) -> None:
        """Serve, and return when the server answers."""

    def stop(self) -> None:
        """Stop answering, and keep what is stored for the next start."""

    def make_store(self, store: str) -> None:
        """Make what has to exist before DVC pushes."""

    def address(self, store: str) -> str:
        """Return the URL of a store for `dvc remote add`."""
        return str(self.folder / store)

    def credentials(self) -> dict[str, str]:
        """Return the options of the remote that are kept out of Git."""
        return {}

    def objects(self, store: str) -> set[str]:
        """Return the MD5 of each object."""
        return {path.parent.name + path.name for path in (self.folder / store).rglob("*") if path.is_file()}

    def replace(self, store: str, md5: str, content: bytes) -> None:
        """Write other content and keep the mode: DVC hashes an object of a folder if it is not read-only."""
        path = self.folder / store / "files/md5" / md5[:2] / md5[2:]
        mode = path.stat().st_mode
        path.chmod(0o644)
        path.write_bytes(content)
        path.chmod(mode)

    def remove(self, store: str, md5: str) -> None:
        (self.folder / store / "files/md5" / md5[:2] / md5[2:]).unlink()


class SSH(Folder):
    """OpenSSH with a host key and an authorized key of its own, for the user who runs the tests."""

    programs = ("setpriv", "sshd", "ssh-keygen")
    modules = ("dvc_ssh",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.process: subprocess.Popen[bytes]
        for name in ("host_key", "member", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True, timeout=60)
        settings = {
            "ListenAddress": f"{HOST}:{self.port}",
            "HostKey": folder / "host_key",
            "AuthorizedKeysFile": folder / "member.pub",
            "StrictModes": "no",  # the folder of these tests is below /tmp, where anyone may write
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "UsePAM": "no",
            "PidFile": "none",
            "Subsystem": "sftp internal-sftp",
        }
        (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as the service of Debian does
        program = shutil.which("sshd", path=PATH)
        # setpriv: the kernel kills sshd if these tests are killed.
        command = ["setpriv", "--pdeathsig", "KILL", str(program), "-D", "-f", str(self.folder / "sshd_config")]
        self.process = subprocess.Popen(command)
        while self.process.poll() is None:
            with socket.socket() as client:
                if client.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"sshd ended with {self.process.returncode}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def address(self, store: str) -> str:
        return f"ssh://{getpass.getuser()}@{HOST}:{self.port}{self.folder / store}"

    def credentials(self) -> dict[str, str]:
        return {"keyfile": str(self.folder / "member")}

    def wrong_credentials(self) -> dict[str, str]:
        return {"keyfile": str(self.folder / "stranger")}


class S3(Folder):
    """The S3 server of moto in this process, which keeps objects in memory and checks signatures."""

    modules = ("dvc_s3", "moto", "flask_cors")
    client: Any = None
    access_key: dict[str, str]

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer(ip_address=HOST, port=self.port, verbose=False)
        self.server.start()
        if self.client is None:
            self.make_member()

    def make_member(self) -> None:
        """Make a user who may use S3, and require signatures from now on."""
        from moto import settings

        iam = self.connect("iam", "admin", "admin")
        iam.create_user(UserName="member")
        self.access_key = iam.create_access_key(UserName="member")["AccessKey"]
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="member", PolicyName="all", PolicyDocument=policy)
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        self.client = self.connect("s3", self.access_key["AccessKeyId"], self.access_key["SecretAccessKey"])

    def connect(self, service: str, key: str, secret: str) -> Any:
        from botocore.session import get_session

        url = f"http://{HOST}:{self.port}"
        keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
        return get_session().create_client(service, "us-east-1", endpoint_url=url, **keys)

    def stop(self) -> None:
        self.server.stop()

    def make_store(self, store: str) -> None:
        self.client.create_bucket(Bucket=store)

    def address(self, store: str) -> str:
        return f"s3://{store}/data"

    def credentials(self) -> dict[str, str]:
        return {
            "access_key_id": self.access_key["AccessKeyId"],
            "secret_access_key": self.access_key["SecretAccessKey"],
        }

    def wrong_credentials(self) -> dict[str, str]:
        return self.credentials() | {"secret_access_key": "guessed"}

    def objects(self, store: str) -> set[str]:
        listed = self.client.list_objects_v2(Bucket=store).get("Contents", [])
        return {"".join(entry["Key"].split("/")[-2:]) for entry in listed}

    def replace(self, store: str, md5: str, content: bytes) -> None:
        self.client.put_object(Bucket=store, Key=f"data/files/md5/{md5[:2]}/{md5[2:]}", Body=content)

    def remove(self, store: str, md5: str) -> None:
        self.client.delete_object(Bucket=store, Key=f"data/files/md5/{md5[:2]}/{md5[2:]}")
