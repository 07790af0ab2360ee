"""Machines on one network, each a set of Linux namespaces: own addresses, own processes, and no folder in common.

A host sees the installed software read-only, a home of its own, and empty folders where hosts could share files.
Nothing outlives the process that made them, because the kernel kills the first process of each host with it.
"""

import os
import pwd
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from tests.conftest import REPOSITORY

HOME = Path(pwd.getpwuid(0).pw_dir)  # OpenSSH looks for ~ in the list of users and not in $HOME
SOFTWARE = list(dict.fromkeys(Path(path).resolve() for path in (sys.prefix, sys.base_prefix)))
PATH = f"{Path(sys.prefix).resolve()}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
PROGRAMS = ("flock", "ip", "mount", "nsenter", "setpriv", "ssh", "ssh-keygen", "sshd", "unshare")
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
    if sys.platform != "linux":
        return "hosts are namespaces of Linux"
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if absent := [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]:
        return f"{', '.join(absent)} not installed: `apt-get install iproute2 openssh-server openssh-client util-linux`"
    if find_spec("dvc_ssh") is None:
        return "dvc_ssh not installed: `make extra`"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else ""


class Host:
    """A machine of its own. Its home is a folder on the disk, or, if a size is given, in memory and limited to it."""

    def __init__(self, network: "Network", name: str, number: int, size: str | None) -> None:
        self.name, self.address = name, f"{SUBNET}.{number}"
        self.disk = network.folder / name
        self.disk.mkdir()
        hidden = [*map(Path, ("/tmp", "/var/tmp", "/run", "/home", "/dev/shm")), REPOSITORY, network.folder]
        self.machine = network.boot(_mounts(self.disk, size, hidden), "--mount")
        self.environment = dict(ENVIRONMENT)

    def path(self, path: str | Path) -> Path:
        """Where this process finds a file of the host; a relative path begins at its home."""
        return Path(f"/proc/{self.machine.pid}/root") / (HOME / path).relative_to("/")

    def attempt(
        self, command: str, folder: str = ".", timeout: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._entering(command, folder),
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def run(self, command: str, folder: str = ".", timeout: float = 120, **environment: str) -> str:
        """Run a command in a folder below the home and return its output. Raises OSError if it fails."""
        done = self.attempt(command, folder, timeout, **environment)
        if done.returncode:
            raise OSError(f"{self.name}: `{command}` exited with {done.returncode}: {done.stdout}{done.stderr}")
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
            )

    def processes(self, *words: str) -> list[psutil.Process]:
        """What runs on the host with all these words in its command line, except what keeps the host."""
        space = Path(f"/proc/{self.machine.pid}/ns/pid").stat().st_ino
        found = (each for each in psutil.process_iter() if each.pid != self.machine.pid and _is_in(each, space))
        lines = ((each, _command_line(each)) for each in found)
        return [each for each, line in lines if line != KEEPER and all(word in line for word in words)]

    def cpu_seconds(self) -> float:
        """The processor time of all that runs or ran on the host."""
        running = [self.machine, *self.processes()]
        times = [each.cpu_times() for each in running if each.is_running()]
        whole = sum(each.user + each.system + each.children_user + each.children_system for each in times)
        return float(whole)

    def kill(self, *words: str) -> None:
        """Send SIGKILL to the processes with these words; all of the host's if there are none."""
        for each in self.processes(*words):
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def orphans(self) -> list[psutil.Process]:
        """The processes whose parent has ended."""
        return [each for each in self.processes() if _parent(each) == self.machine.pid]

    def _entering(self, command: str, folder: str) -> list[str]:
        enter = ["nsenter", f"--target={self.machine.pid}", "--net", "--mount", "--pid"]
        return [*enter, "bash", "-c", f"cd {shlex.quote(str(HOME / folder))} && {command}"]


class Network:
    """Hosts that reach each other and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts: dict[str, Host] = {}
        self._started: list[psutil.Popen] = []
        self._switch = self.boot(["ip link add name switch type bridge", "ip link set switch up"])

    def host(self, name: str, size: str | None = None) -> Host:
        """Boot a machine and connect it."""
        number = len(self.hosts) + 1
        host = self.hosts[name] = Host(self, name, number, size)
        pair = f"name port{number} netns {self._switch.pid} type veth peer name eth0 netns {host.machine.pid}"
        subprocess.run(["ip", "link", "add", *pair.split()], env=ENVIRONMENT, check=True)
        join = f"nsenter --target={self._switch.pid} --net ip link set port{number} master switch up"
        subprocess.run(join.split(), env=ENVIRONMENT, check=True)
        host.run(f"ip address add {host.address}/24 dev eth0 && ip link set eth0 up")
        return host

    def boot(self, commands: list[str], *namespaces: str) -> psutil.Process:
        """Run the commands in new namespaces; return the process that keeps these and reaps what is orphaned there.

        The kernel kills all processes of a namespace of processes together with the first.
        """
        script = "; ".join(["set -e", *commands, "ip link set lo up", "echo ready", f"{KEEPER} & wait"])
        unshare = ["unshare", "--net", "--pid", *namespaces, "--fork", "--kill-child", "sh", "-c", script]
        started = psutil.Popen(
            ["setpriv", "--pdeathsig", "KILL", *unshare],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started.append(started)
        if started.stdout.readline() != "ready\n":
            raise OSError(f"no namespaces for a host: `{script}` failed")
        (first,) = started.children()
        return first

    def stop(self) -> None:
        """Switch all machines off; their processes end with them."""
        for started in reversed(self._started):
            started.kill()
            started.wait()


def wait_until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Return as soon as the condition is true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def _mounts(disk: Path, size: str | None, hidden: list[Path]) -> list[str]:
    """The commands that give a host its home, and hide each folder in which a file could be shared."""
    home, kept = shlex.quote(str(HOME)), [(f"/mnt/{number}", shlex.quote(str(p))) for number, p in enumerate(SOFTWARE)]
    home_on = f"-t tmpfs -o size={size} none" if size else f"--bind {shlex.quote(str(disk))}"
    lines = ["mount --make-rprivate /", "mount -t tmpfs none /mnt", f"mkdir /mnt/home; mount {home_on} /mnt/home"]
    lines += [f"mkdir {aside}; mount --bind {path} {aside}" for aside, path in kept]
    lines += [f"! test -d {path} || mount -t tmpfs none {path}" for path in (shlex.quote(str(each)) for each in hidden)]
    lines += [f"mkdir -p {home}; mount --move /mnt/home {home}"]
    lines += [f"mkdir -p {path}; mount --move {aside} {path}; mount -o remount,bind,ro {path}" for aside, path in kept]
    return [*lines, "umount /mnt", "mount -o remount,bind,ro /", "mount -t proc proc /proc", "mkdir -p /run/sshd"]


def _is_in(process: psutil.Process, space: int) -> bool:
    """Whether the process lives, in this namespace."""
    try:
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return not zombie and Path(f"/proc/{process.pid}/ns/pid").stat().st_ino == space
    except (OSError, psutil.Error):
        return False


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _parent(process: psutil.Process) -> int | None:
    with suppress(psutil.Error):
        return int(process.ppid())
    return None
