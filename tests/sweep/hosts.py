"""Machines on one network, each a set of Linux namespaces: own addresses, own processes, and no folder in common.

A host sees the installed software read-only, a home of its own, and empty folders where hosts could share files.
Nothing outlives the process that made them, because the kernel kills the first process of each host with it.
"""

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import psutil

from tests.clone import PATIENCE, REPOSITORY, finish

T = TypeVar("T")

HOME = Path(pwd.getpwuid(0).pw_dir)  # OpenSSH looks for ~ in the list of users and not in $HOME
SOFTWARE = list(dict.fromkeys(Path(path).resolve() for path in (sys.prefix, sys.base_prefix)))
PATH = f"{Path(sys.prefix).resolve()}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
PROGRAMS = ("ip", "mount", "nsenter", "openssl", "setpriv", "ssh", "ssh-keygen", "sshd", "unshare")
SUBNET = "10.77.0"
KEEPER = "sleep infinity"  # keeps the namespaces of a host
ENVIRONMENT = {
    "PATH": PATH,
    "HOME": str(HOME),
    "LANG": "C.UTF-8",
    "DVC_NO_ANALYTICS": "1",
    "DVC_SITE_CACHE_DIR": str(HOME / ".cache/site"),
    "PYTHONDONTWRITEBYTECODE": "1",  # the software is read-only
}


def reason_to_skip() -> str:
    """Say why no host can be made on this machine; nothing if one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts are namespaces of Linux, which only root can make"
    if absent := [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]:
        return f"{', '.join(absent)} not installed: `apt-get install iproute2 openssh-server openssh-client util-linux`"
    if find_spec("dvc_ssh") is None:
        return "dvc_ssh not installed: `make extra`"
    tried = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    return "namespaces are not allowed here" if tried.returncode else ""


class Host:
    """A machine of its own, whose home is a folder on the disk."""

    def __init__(self, network: "Network", name: str, number: int) -> None:
        self.name, self.address = name, f"{SUBNET}.{number}"
        disk = network.folder / name
        disk.mkdir()
        self.machine = network.boot(_mounts(disk, network.folder), "--mount")
        self.environment = dict(ENVIRONMENT)

    def path(self, path: str | Path) -> Path:
        """Where this process finds a file of the host; a relative path begins at its home."""
        return Path(f"/proc/{self.machine.pid}/root") / (HOME / path).relative_to("/")

    def attempt(self, command: str, folder: str = ".", **environment: str) -> subprocess.CompletedProcess[str]:
        return finish(self._entering(command, folder), self.environment | environment)

    def run(self, command: str, folder: str = ".", **environment: str) -> str:
        """Run a command in a folder below the home and return its output."""
        done = self.attempt(command, folder, **environment)
        assert done.returncode == 0, f"{self.name}: `{command}`: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str, log: str, folder: str = ".", **environment: str) -> psutil.Popen:
        """Start a command that goes on; its output is added to a file in the home."""
        with self.path(log).open("a") as output:
            return psutil.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._entering(f"exec {command}", folder)],
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be ignored where tests run
            )

    def processes(self, *words: str) -> list[psutil.Process]:
        """What runs on the host with all these words in its command line, except what keeps the host."""
        space = Path(f"/proc/{self.machine.pid}/ns/pid").stat().st_ino
        running = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                line = " ".join(process.cmdline())
                here = Path(f"/proc/{process.pid}/ns/pid").stat().st_ino == space and process.pid != self.machine.pid
                lives = here and process.status() != psutil.STATUS_ZOMBIE
                if lives and line != KEEPER and all(word in line for word in words):
                    running.append(process)
        return running

    def kill(self, *words: str) -> None:
        """Send SIGKILL to the processes with these words; all of the host's if there are none."""
        for process in self.processes(*words):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _entering(self, command: str, folder: str) -> list[str]:
        enter = ["nsenter", f"--target={self.machine.pid}", "--net", "--mount", "--pid"]
        return [*enter, "bash", "-c", f"cd {shlex.quote(str(HOME / folder))} && {command}"]


class Network:
    """Hosts that reach each other and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hosts = folder, 0
        self._started: list[psutil.Popen] = []
        self._switch = self.boot(["ip link add name switch type bridge", "ip link set switch up"])

    def host(self, name: str) -> Host:
        """Boot a machine and connect it."""
        self.hosts += 1
        host, port = Host(self, name, self.hosts), f"port{self.hosts}"
        pair = f"name {port} netns {self._switch.pid} type veth peer name eth0 netns {host.machine.pid}"
        subprocess.run(["ip", "link", "add", *pair.split()], env=ENVIRONMENT, check=True)
        join = f"nsenter --target={self._switch.pid} --net ip link set {port} master switch up"
        subprocess.run(join.split(), env=ENVIRONMENT, check=True)
        host.run(f"ip address add {host.address}/24 dev eth0 && ip link set eth0 up")
        return host

    def boot(self, commands: list[str], *namespaces: str) -> psutil.Process:
        """Run the commands in new namespaces; return the process that keeps these and reaps what is orphaned there.

        The kernel kills all processes of a namespace of processes together with the first.
        """
        script = "; ".join(["set -e", *commands, "ip link set lo up", "echo ready", f"{KEEPER} & wait"])
        unshare = ["unshare", "--net", "--pid", *namespaces, "--fork", "--kill-child", "sh", "-c", script]
        command = ["setpriv", "--pdeathsig", "KILL", *unshare]
        started = psutil.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self._started.append(started)
        assert started.stdout.readline() == "ready\n", f"no namespaces for a host: `{script}` failed"
        (first,) = started.children()
        return first

    def stop(self) -> None:
        """Switch all machines off; their processes end with them."""
        for started in reversed(self._started):
            started.kill()
            started.wait()


def wait_until(condition: Callable[[], T], what: str) -> T:
    """Return the first true value of the condition. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE} s: {what}")
        time.sleep(0.02)
    return value


def _mounts(disk: Path, network: Path) -> list[str]:
    """The commands that give a host its home, and hide each folder in which a file could be shared."""
    hidden = [*map(Path, ("/tmp", "/var/tmp", "/run", "/home", "/dev/shm")), REPOSITORY, network]
    home, kept = shlex.quote(str(HOME)), [(f"/mnt/{number}", shlex.quote(str(p))) for number, p in enumerate(SOFTWARE)]
    lines = ["mount --make-rprivate /", "mount -t tmpfs none /mnt"]
    lines += [f"mkdir /mnt/home; mount --bind {shlex.quote(str(disk))} /mnt/home"]
    lines += [f"mkdir {aside}; mount --bind {path} {aside}" for aside, path in kept]
    lines += [f"! test -d {path} || mount -t tmpfs none {path}" for path in (shlex.quote(str(path)) for path in hidden)]
    lines += [f"mkdir -p {home}; mount --move /mnt/home {home}"]
    lines += [f"mkdir -p {path}; mount --move {aside} {path}; mount -o remount,bind,ro {path}" for aside, path in kept]
    return [*lines, "umount /mnt", "mount -o remount,bind,ro /", "mount -t proc proc /proc", "mkdir -p /run/sshd"]
