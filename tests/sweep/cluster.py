"""A cluster of hosts: one serves Git and DVC by OpenSSH, one has Dask's scheduler, one is the user's, the others work.

The project has the code of this checkout, and one stage that sleeps.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pygit2

from tests.conftest import REPOSITORY
from tests.sweep.hosts import HOME, Host, Network, wait_until

PORT = 8786
PROJECT = "project"  # the user's clone, below the home
SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
SETTINGS = {
    "HostKey": HOME / "host_key",
    "AuthorizedKeysFile": HOME / "authorized_keys",
    "StrictModes": "no",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "PermitRootLogin": "prohibit-password",
    "UsePAM": "no",
    "PidFile": "none",
    "SetEnv": f"PATH={HOME}/bin:/usr/bin:/bin",
    "Subsystem": f"sftp {HOME}/bin/sftp-server",
}
# Each program that a client starts by SSH writes who came, and waits for 3 s while ~/hold has a file of its name.
# ~/hold/pairs counts pushes while it is there; an odd one waits for the next, so two are served at the same instant.
GATE = """\
#!/bin/sh
cd ~
name=$(basename "$0")
echo "$name ${SSH_CONNECTION%% *}" >> arrivals
tries=60
while [ -e hold/$name ] && [ $((tries -= 1)) -gt 0 ]; do sleep 0.05; done
if [ $name = git-receive-pack ] && [ -e hold/pairs ]; then
    number=$(flock hold/pairs sh -c 'read n < hold/pairs; echo $((n + 1)) | tee hold/pairs')
    while [ $((number % 2)) = 1 ] && [ -e hold/pairs ] && [ "$(cat hold/pairs)" = $number ]; do sleep 0.01; done
fi
exec PROGRAM "$@"
"""
IDENTITY = "[user]\n\tname = Test\n\temail = test@example.org\n[init]\n\tdefaultBranch = main\n"

# The stage appends its learning rate and the time to ~/started and to ~/ended, waits while ~/hold-stage is there, and
# fails if ~/broken names its learning rate.
STAGE = """\
import json, os, re, time
from pathlib import Path
section = Path("params.yaml").read_text().partition("\\ntrain:\\n")[2]
seed, rate = (re.search(rf"(?m)^  {key}: *([^ #\\n]+)", section)[1] for key in ("seed", "learning_rate"))
home = Path(os.environ["HOME"])
def note(name):
    with (home / name).open("a") as log:
        log.write(f"{rate} {time.time()}\\n")
note("started")
while (home / "hold-stage").exists():
    time.sleep(0.02)
if (home / "broken").exists() and rate in (home / "broken").read_text().split():
    raise SystemExit(f"train: learning rate {rate} does not work on this machine")
time.sleep(SECONDS)
Path("models").mkdir(exist_ok=True)
Path("models/model.keras").write_text(f"{seed} {rate}")
score = {"accuracy": 1 - float(rate) - int(seed) / 1e6, "loss": float(rate)}
Path("metrics.json").write_text(json.dumps({"validation": score, "test": score}))
note("ended")
"""
PIPELINE = """\
stages:
  train:
    cmd: python fake_stage.py
    deps: [fake_stage.py]
    params: [train]
    outs: [models/model.keras]
    metrics: [metrics.json: {cache: false}]
"""


class Storage:
    """The host whose sshd has the Git remote and the DVC remote."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.run(
            "mkdir bin hold store && touch arrivals && git init -q --bare -b main project.git"
            " && ssh-keygen -q -t ed25519 -N '' -f host_key"
            " && ssh-keygen -q -t ed25519 -N '' -f key && cp key.pub authorized_keys"
        )
        host.path("sshd_config").write_text("".join(f"{name} {value}\n" for name, value in SETTINGS.items()))
        sftp_server = next(path for path in SFTP_SERVERS if Path(path).exists())
        for program in ("/usr/bin/git-upload-pack", "/usr/bin/git-receive-pack", sftp_server):
            gate = host.path(f"bin/{Path(program).name}")
            gate.write_text(GATE.replace("PROGRAM", program))
            gate.chmod(0o755)
        host.start(f"/usr/sbin/sshd -D -e -f {HOME}/sshd_config", "sshd.log")
        wait_until(lambda: "Server listening" in host.path("sshd.log").read_text(), "sshd")
        self.git = f"ssh://root@{host.address}{HOME}/project.git"
        self.store = f"ssh://root@{host.address}{HOME}/store"

    def admit(self, host: Host) -> None:
        """Give a host the user's key and this server's host key."""
        host.run("mkdir -p -m 700 .ssh")
        for name, copy in (("key", "id_ed25519"), ("key.pub", "id_ed25519.pub")):
            path = host.path(f".ssh/{copy}")
            path.write_bytes(self.host.path(name).read_bytes())
            path.chmod(0o600)
        host.path(".ssh/known_hosts").write_text(f"{self.host.address} {self.host.path('host_key.pub').read_text()}")
        host.path(".gitconfig").write_text(IDENTITY)

    def hold(self, program: str) -> None:
        """Let clients of this program wait for a while."""
        self.host.path("arrivals").write_text("")
        self.host.path(f"hold/{program}").touch()

    def release(self) -> None:
        for path in self.host.path("hold").iterdir():
            path.unlink()

    def arrived(self, program: str) -> list[str]:
        """The addresses of the clients of this program since `hold`, in their order."""
        lines = (line.split() for line in self.host.path("arrivals").read_text().splitlines())
        return [address for name, address in lines if name == program]

    def experiments(self) -> dict[str, str]:
        """The commit of each experiment in the Git remote, by its reference."""
        repository = self._repository()
        return {name: str(repository.references[name].target) for name in repository.references if "/exps/" in name}

    def read(self, commit: str, path: str) -> bytes:
        """A file of a commit in the Git remote."""
        file = self._repository().revparse_single(f"{commit}:{path}")
        assert isinstance(file, pygit2.Blob)
        return file.data

    def committed(self, ref: str) -> int:
        """When the experiment was committed, by the clock of its worker, in seconds since 1970."""
        commit = self._repository().references[ref].peel(pygit2.Commit)
        return commit.commit_time

    def _repository(self) -> pygit2.Repository:
        return pygit2.Repository(str(self.host.disk / "project.git"))


class Cluster:
    """The hosts, with a scheduler and a worker on each host that works, started again whenever it ends."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.network = Network(folder)
        self.storage = Storage(self.network.host("storage"))
        self.user, self.head = self.network.host("user"), self.network.host("head")
        self.storage.admit(self.user)
        self.workers = [self.add_worker(f"worker-{number}") for number in range(1, workers + 1)]

    def add_worker(self, name: str, size: str | None = None) -> Host:
        """A host that may use the storage; no worker runs on it yet."""
        host = self.network.host(name, size)
        self.storage.admit(host)
        return host

    def start(self) -> None:
        """Start what does not run, and return when the scheduler has all workers."""
        if not self.head.processes("dask scheduler", f"--port {PORT}"):
            self.start_scheduler()
        for host in self.workers:
            if not host.processes("bash supervise"):
                self.start_worker(host)
        self.wait(len(self.workers))

    def wait(self, workers: int, port: int = PORT) -> None:
        """Return when the scheduler has this many workers."""
        client = f"Client('{self.scheduler(port)}', timeout=60).wait_for_workers({workers}, timeout=60)"
        self.head.run(f'python -c "from distributed import Client; {client}"')

    def scheduler(self, port: int = PORT) -> str:
        return f"tcp://{self.head.address}:{port}"

    def start_scheduler(self, port: int = PORT) -> None:
        """Start a scheduler that notices after 12 s instead of 30 that a worker's network is gone."""
        timeout = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"}
        self.head.start(f"dask scheduler --no-dashboard --no-show --port {port}", "scheduler.log", **timeout)

    def start_worker(self, host: Host, port: int = PORT, **environment: str) -> None:
        """Start what an operator's supervisor does: a worker of one thread, and another one whenever it ends."""
        options = f"--nthreads 1 --name {host.name} --no-dashboard --local-directory {HOME}/dask"
        variables = " ".join(f"{name}={value}" for name, value in environment.items())
        worker = f"env {variables} dask worker {self.scheduler(port)} {options}"
        host.path("supervise").write_text(f"while :; do {worker}; sleep 0.2; done\n")
        host.start("bash supervise", "worker.log")


def kill_worker(host: Host) -> None:
    """Kill Dask's worker and the nanny that would start it again; the supervisor starts both."""
    host.kill("dask worker")
    host.kill("multiprocessing")


def fill_project(folder: Path, seconds: float) -> None:
    """Write a project with this checkout's code and parameters, whose one stage sleeps."""
    folder.mkdir()
    for code in ("classifier", "review", "stages", "sweep"):
        shutil.copytree(REPOSITORY / code, folder / code, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", ".dvcignore", ".gitignore", "requirements.txt"):
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / "fake_stage.py").write_text(STAGE.replace("SECONDS", str(seconds)))
    (folder / "dvc.yaml").write_text(PIPELINE)


def share(cluster: Cluster, lines: Iterable[str]) -> None:
    """In the user's project, which has only files: run the lines, commit, and push to the remotes."""
    first = ["git init -q", "dvc init -q", "dvc config core.autostage true", "dvc config core.analytics false"]
    remote = [f"dvc remote add -d shared {cluster.storage.store}", "dvc remote modify shared verify true"]
    commit = ["git add -A", "git commit -q -m Project", f"git remote add origin {cluster.storage.git}"]
    cluster.user.run(" && ".join([*first, *remote, *lines, *commit, "dvc push", "git push -q origin main"]), PROJECT)
