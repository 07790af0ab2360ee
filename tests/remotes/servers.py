"""Real servers on free ports of 127.0.0.1, with the options that DVC needs for each. None outlives its tests."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

HOST = "127.0.0.1"
PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"  # where sshd is


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        return int(listening.getsockname()[1])


class Store:
    """Where a remote of DVC keeps its objects: here a folder and no server, below the folder that a server serves."""

    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    packages = ""

    @classmethod
    def reason_to_skip(cls) -> str:
        """Say what is not installed, and how to install it; nothing if all is here."""
        absent = [name for name in cls.programs if shutil.which(name, path=PATH) is None]
        modules = [name for name in cls.modules if find_spec(name) is None]
        if absent:
            return f"{', '.join(absent)} not installed: `apt-get install {cls.packages}`"
        return f"{', '.join(modules)} not installed: `make extra`" if modules else ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.running: list[psutil.Popen] = []

    def run(self, *command: str | Path) -> str:
        return subprocess.run(
            command, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def serve(self, *command: str | Path) -> None:
        """Start a server that the kernel kills if these tests are killed."""
        program = shutil.which(command[0], path=PATH)
        assert program
        with (self.folder / "server.log").open("a") as log:
            self.running.append(
                psutil.Popen(
                    ["setpriv", "--pdeathsig", "KILL", program, *command[1:]],
                    env={**os.environ, "PATH": PATH},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def wait(self, port: int) -> None:
        """Wait until the last process that was started answers."""
        for _ in range(600):
            if self.running[-1].poll() is not None:
                break
            with socket.socket() as client:
                if client.connect_ex((HOST, port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"no answer on {HOST}:{port}\n{(self.folder / 'server.log').read_text()}")

    def start(self) -> None:
        """Serve, and return when the server answers."""

    def stop(self) -> None:
        for process in reversed(self.running):
            with suppress(psutil.NoSuchProcess):
                for each in [*process.children(recursive=True), process]:
                    each.kill()
            process.wait()
        self.running = []

    def go_down(self) -> None:
        """Stop answering, and keep what is stored for the next start."""
        self.stop()

    def address(self, store: str) -> str:
        """The URL of a store for `dvc remote add`."""
        return str(self.folder / store)

    def make(self, store: str) -> None:
        """Make what has to exist before DVC pushes."""

    def credentials(self) -> dict[str, str]:
        """The options of the remote that are kept out of Git."""
        return {}

    def wrong_credentials(self) -> dict[str, str]:
        return {}

    def path(self, store: str, md5: str) -> Path:
        return self.folder / store / "files/md5" / md5[:2] / md5[2:]

    def objects(self, store: str) -> dict[str, int]:
        """MD5 and size of each object."""
        found = (path for path in (self.folder / store).rglob("*") if path.is_file())
        return {path.parent.name + path.name: path.stat().st_size for path in found}

    def arrived(self, store: str) -> set[str]:
        """The objects, and whatever the server has of others."""
        return {name for name, size in self.objects(store).items() if size}

    def replace(self, store: str, md5: str, content: bytes) -> None:
        """Write other content and keep the mode: DVC hashes an object of a folder if it is not read-only."""
        path = self.path(store, md5)
        mode = path.stat().st_mode
        path.chmod(0o644)
        path.write_bytes(content)
        path.chmod(mode)

    def remove(self, store: str, md5: str) -> None:
        self.path(store, md5).unlink()


class SSH(Store):
    """OpenSSH with a host key and an authorized key of its own, for the user who runs the tests."""

    programs = ("setpriv", "sshd", "ssh", "ssh-add", "ssh-agent", "ssh-keygen")
    modules = ("dvc_ssh",)
    packages = "util-linux openssh-server openssh-client"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name in ("host_key", "id_ed25519", "strangers"):
            self.new_key(name)
        shutil.copy(folder / "id_ed25519.pub", folder / "authorized_keys")
        settings = {
            "ListenAddress": f"{HOST}:{self.port}",
            "HostKey": folder / "host_key",
            "AuthorizedKeysFile": folder / "authorized_keys",
            "StrictModes": "no",  # the folder of these tests is below /tmp, where anyone may write
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "UsePAM": "no",
            "LogLevel": "DEBUG",
            "PidFile": "none",
            "Subsystem": "sftp internal-sftp",
        }
        (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def new_key(self, name: str) -> None:
        for path in self.folder.glob(f"{name}*"):
            path.unlink()
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name)

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as the service of Debian does
        self.serve("sshd", "-D", "-e", "-f", self.folder / "sshd_config")
        self.wait(self.port)

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@{HOST}:{self.port}{path}"

    def address(self, store: str) -> str:
        return self.url(self.folder / store)

    def credentials(self) -> dict[str, str]:
        return {"keyfile": str(self.folder / "id_ed25519")}

    def wrong_credentials(self) -> dict[str, str]:
        return {"keyfile": str(self.folder / "strangers")}


class WebDAV(Store):
    """WsgiDAV over a folder, with a password."""

    programs = ("setpriv",)
    modules = ("dvc_webdav", "wsgidav", "cheroot")
    packages = "util-linux"

    def start(self) -> None:
        settings = {
            "host": HOST,
            "port": self.port,
            "provider_mapping": {"/": str(self.folder)},
            "simple_dc": {"user_mapping": {"*": {"reader": {"password": "secret"}}}},
        }
        (self.folder / "wsgidav.json").write_text(json.dumps(settings))
        self.serve(sys.executable, "-m", "wsgidav.server.server_cli", "--config", self.folder / "wsgidav.json")
        self.wait(self.port)

    def make(self, store: str) -> None:
        (self.folder / store).mkdir()

    def address(self, store: str) -> str:
        return f"webdav://{HOST}:{self.port}/{store}"

    def credentials(self) -> dict[str, str]:
        return {"user": "reader", "password": "secret"}

    def wrong_credentials(self) -> dict[str, str]:
        return {"user": "reader", "password": "guessed"}
