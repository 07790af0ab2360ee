"""A cluster of hosts: one serves Git and DVC by OpenSSH, one has Dask's scheduler, one is the user's, two work."""

import itertools
import json
from collections import Counter
from pathlib import Path

import psutil
import yaml

from tests.clone import PATIENCE
from tests.sweep.hosts import HOME, Host, Network, wait_until
from tests.sweep.project import copy_code, fill

PORT = 8786
PROJECT = "project"  # the user's clone, below the home
SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
SSHD = f"""\
HostKey {HOME}/host_key
AuthorizedKeysFile {HOME}/authorized_keys
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
PidFile none
SetEnv PATH={HOME}/bin:/usr/bin:/bin
Subsystem sftp {HOME}/bin/sftp-server
"""
# Each program that a client starts by SSH writes who came, and waits for 3 s while there is ~/held with its name.
GATE = """\
#!/bin/sh
cd ~
name=$(basename "$0")
echo "$name ${SSH_CONNECTION%% *}" >> arrivals
tries=60
while [ "$(cat held)" = $name ] && [ $((tries -= 1)) -gt 0 ]; do sleep 0.05; done
exec PROGRAM "$@"
"""
IDENTITY = "[user]\n\tname = Test\n\temail = test@example.org\n[init]\n\tdefaultBranch = main\n"


class Cluster:
    """The hosts, a scheduler, and a worker on each host that works, started again whenever it ends."""

    def __init__(self, folder: Path) -> None:
        self.network = Network(folder)
        self.storage, self.user, self.head = map(self.network.host, ("storage", "user", "head"))
        self.git, self.store = (f"ssh://root@{self.storage.address}{HOME}/{name}" for name in ("project.git", "store"))
        self._serve()
        self._admit(self.user)
        self.workers = [self.add_worker(f"worker-{number}") for number in (1, 2)]
        self._rates, self._ports = (str(number / 10_000) for number in itertools.count(1)), itertools.count(PORT + 100)
        fill(self.user.path(PROJECT))
        copy_code(self.user.path(PROJECT))
        self.user.run(
            f"git init -q && dvc add -q data.txt && dvc repro -q && dvc remote add -q -d shared {self.store} "
            f"&& dvc remote modify shared verify true && git add -A && git commit -q -m Project "
            f"&& git remote add origin {self.git} && dvc push -q && git push -q origin main",
            PROJECT,
        )

    def _serve(self) -> None:
        """Start sshd on the storage."""
        self.storage.run(
            "mkdir bin store && touch arrivals held && git init -q --bare -b main project.git"
            " && ssh-keygen -q -t ed25519 -N '' -f host_key"
            " && ssh-keygen -q -t ed25519 -N '' -f key && cp key.pub authorized_keys"
        )
        self.storage.path("sshd_config").write_text(SSHD)
        sftp_server = next(path for path in SFTP_SERVERS if Path(path).exists())
        for program in ("/usr/bin/git-upload-pack", "/usr/bin/git-receive-pack", sftp_server):
            gate = self.storage.path(f"bin/{Path(program).name}")
            gate.write_text(GATE.replace("PROGRAM", program))
            gate.chmod(0o755)
        self.storage.start(f"/usr/sbin/sshd -D -e -f {HOME}/sshd_config", "sshd.log")
        wait_until(lambda: "Server listening" in self.storage.path("sshd.log").read_text(), "sshd")

    def _admit(self, host: Host) -> None:
        """Give a host the user's key and the host key of the storage."""
        host.run("mkdir -p -m 700 .ssh")
        for name, copy in (("key", "id_ed25519"), ("key.pub", "id_ed25519.pub")):
            path = host.path(f".ssh/{copy}")
            path.write_bytes(self.storage.path(name).read_bytes())
            path.chmod(0o600)
        key = self.storage.path("host_key.pub").read_text()
        host.path(".ssh/known_hosts").write_text(f"{self.storage.address} {key}")
        host.path(".gitconfig").write_text(IDENTITY)

    def add_worker(self, name: str) -> Host:
        """A host that may use the storage; no worker runs on it yet."""
        host = self.network.host(name)
        self._admit(host)
        return host

    def start(self) -> None:
        """Start what does not run, and return when the scheduler has all workers."""
        if not self.head.processes("dask scheduler", f"--port {PORT}"):
            self.start_scheduler(PORT)
        for host in self.workers:
            if not host.processes("bash supervise"):
                self.start_worker(host, PORT)
        wait_for = f"Client('{self.address(PORT)}', timeout={PATIENCE}).wait_for_workers(2)"
        self.head.run(f'python -c "from distributed import Client; {wait_for}"')

    def alone(self, host: Host | None, protocol: str = "tcp", options: str = "", **environment: str) -> str:
        """Start a scheduler with this one worker, or none, and return its address."""
        port = next(self._ports)
        self.start_scheduler(port, protocol, **environment)
        if host:
            self.start_worker(host, port, protocol, options, **environment)
            wait_until(lambda: "Registered to" in host.path("worker.log").read_text(), "a worker")
        return self.address(port, protocol)

    def address(self, port: int, protocol: str = "tcp") -> str:
        return f"{protocol}://{self.head.address}:{port}"

    def start_scheduler(self, port: int, protocol: str = "tcp", **environment: str) -> None:
        """Start a scheduler that notices after 12 s instead of 30 that a worker's network is gone."""
        environment = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"} | environment
        command = f"dask scheduler --no-dashboard --no-show --protocol {protocol} --port {port}"
        self.head.start(command, f"scheduler-{port}.log", **environment)
        wait_until(lambda: "Scheduler at" in self.head.path(f"scheduler-{port}.log").read_text(), "a scheduler")

    def start_worker(self, host: Host, port: int, protocol: str = "tcp", options: str = "", **environment: str) -> None:
        """Start what an operator's supervisor does: a worker of one thread, and another one whenever it ends."""
        options = options or "--nthreads 1"
        command = f"dask worker {self.address(port, protocol)} {options} --no-dashboard --local-directory {HOME}/dask"
        host.path("supervise").write_text(f"while :; do {command}; sleep 0.2; done\n")
        host.start("bash supervise", "worker.log", **environment)

    def rates(self, number: int) -> list[str]:
        """Learning rates that no test has used."""
        return list(itertools.islice(self._rates, number))

    def command(self, rates: list[str], address: str = "") -> str:
        scheduler = address or self.address(PORT)
        return f"python -m sweep --scheduler {scheduler} -S train.learning_rate={','.join(rates)}"

    def sweep(self, rates: list[str], address: str = "") -> str:
        """Run a sweep to its end, check what it leaves, and return what it printed."""
        printed = self.user.run(self.command(rates, address), PROJECT)
        self.check(rates)
        return printed

    def start_sweep(self, rates: list[str], folder: str = PROJECT) -> psutil.Popen:
        return self.user.start(self.command(rates), "sweep.log", folder)

    def refuse(self, rates: list[str], address: str = "", folder: str = PROJECT, **environment: str) -> str:
        """Run a sweep that fails; return its lines on stderr."""
        done = self.user.attempt(self.command(rates, address), folder, **environment)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    def check(self, rates: list[str]) -> None:
        """Check that each of these trials is one experiment at the origin, with its model in the DVC remote."""
        commits = self._git("for-each-ref --format='%(objectname)' 'refs/exps/*/*/sweep-*'").split()
        learned = Counter(map(self._learned, commits))
        assert [learned[rate] for rate in rates] == [1] * len(rates)
        for host in self.workers:
            wait_until(lambda host=host: not left(host), f"no process of a trial on {host.name}")

    def _learned(self, commit: str) -> str:
        """The learning rate of an experiment, which has its metrics and its model, or this fails."""
        files = {path: self._git(f"show {commit}:{path}") for path in ("params.yaml", "metrics.json", "dvc.lock")}
        train = yaml.safe_load(files["params.yaml"])["train"]
        assert json.loads(files["metrics.json"])["validation"]["loss"] == train["learning_rate"]
        outs = {out["path"]: out["md5"] for out in yaml.safe_load(files["dvc.lock"])["stages"]["train"]["outs"]}
        md5 = outs["models/model.keras"]
        model = self.storage.path(f"store/files/md5/{md5[:2]}/{md5[2:]}").read_text()
        assert model == f"{train['learning_rate']} {train['seed']}, data"
        return str(train["learning_rate"])

    def _git(self, command: str) -> str:
        return self.storage.run(f"git -C project.git {command}")

    def started(self) -> Counter[str]:
        """How often each learning rate was trained, on all hosts."""
        logs = (host.path("started") for host in self.workers)
        return Counter(line.split()[0] for log in logs if log.exists() for line in log.read_text().splitlines())


def left(host: Host) -> list[psutil.Process]:
    """What is left of a trial on a host."""
    return [process for words in ("trials.trial", "fake_stage.py", "git ", "ssh ") for process in host.processes(words)]


def kill_worker(host: Host) -> None:
    """Kill Dask's worker and the nanny that would start it again; the supervisor starts both."""
    host.kill("dask worker")
    host.kill("multiprocessing")
