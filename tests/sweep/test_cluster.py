"""Sweeps on hosts in network namespaces that have no folder in common and store by OpenSSH, on good days and bad."""

import hashlib
import itertools
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.sweep.cluster import PORT, PROJECT, Cluster, fill_project, kill_worker, share
from tests.sweep.hosts import HOME, Host, reason_to_skip, wait_until

pytestmark = [pytest.mark.sweeps, pytest.mark.slow]

SECONDS = 0.3  # that a stage sleeps
DAY = 24 * 60 * 60  # seconds
PATIENCE = 10  # seconds within which nothing of a trial may be left after its end


class Bed:
    """The cluster, and the commands of its user."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.storage, self.user = cluster, cluster.storage, cluster.user
        self._rates = (str(number / 10_000) for number in itertools.count(1))
        self._ports = itertools.count(PORT + 100)

    def grid(self, number: int) -> list[str]:
        """Learning rates that no test has used."""
        return list(itertools.islice(self._rates, number))

    def command(self, rates: list[str], port: int = PORT) -> str:
        return f"python -m sweep --scheduler {self.cluster.scheduler(port)} -S train.learning_rate={','.join(rates)}"

    def sweep(self, rates: list[str], port: int = PORT) -> str:
        """Run the sweep to its end and check what it leaves."""
        done = self.user.attempt(self.command(rates, port), PROJECT, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        self.check(rates)
        return done.stdout + done.stderr

    def start(self, rates: list[str], folder: str = PROJECT) -> psutil.Popen:
        self.user.path("sweep.log").write_text("")
        return self.user.start(self.command(rates), "sweep.log", folder)

    def ended(self, sweep: psutil.Popen) -> str:
        """Wait for the end of a sweep that was started, and return what it printed."""
        sweep.wait(timeout=600)
        return self.user.path("sweep.log").read_text()

    def refused(self, rates: list[str], port: int = PORT) -> str:
        """Run a sweep that cannot end, and return the lines on stderr."""
        done = self.user.attempt(self.command(rates, port), PROJECT, timeout=600)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    def rates(self) -> Counter[str]:
        """The learning rate of each experiment in the Git remote; each is whole, or this fails."""
        return Counter(self._whole(commit) for commit in self.storage.experiments().values())

    def _whole(self, commit: str) -> str:
        """The learning rate of an experiment, which has its metrics and, in the DVC remote, its model."""
        params = yaml.safe_load(self.storage.read(commit, "params.yaml"))["train"]
        assert json.loads(self.storage.read(commit, "metrics.json"))["validation"]["loss"] == params["learning_rate"]
        outs = yaml.safe_load(self.storage.read(commit, "dvc.lock"))["stages"]["train"]["outs"]
        (out,) = (out for out in outs if out["path"] == "models/model.keras")
        model = self.storage.host.path(f"store/files/md5/{out['md5'][:2]}/{out['md5'][2:]}").read_bytes()
        assert model == f"{params['seed']} {params['learning_rate']}".encode()
        assert out["md5"] == hashlib.md5(model, usedforsecurity=False).hexdigest()
        return str(params["learning_rate"])

    def check(self, rates: list[str]) -> None:
        """Each of these trials is one experiment, all experiments are whole, and no process is left of any."""
        found = self.rates()
        assert [found[rate] for rate in rates] == [1] * len(rates)
        self.no_process_is_left()

    def no_process_is_left(self) -> None:
        for host in self.cluster.workers:
            wait_until(lambda host=host: not left(host), f"no process of a trial on {host.name}", PATIENCE)

    def fresh(self) -> None:
        """Start the workers again, without their clones."""
        for host in self.cluster.workers:
            host.kill()
            host.run("rm -rf dask")
        self.cluster.start()

    def alone(self, host: Host, **environment: str) -> int:
        """Start a scheduler with this one worker, and return its port."""
        port = next(self._ports)
        self.cluster.start_scheduler(port)
        self.cluster.start_worker(host, port, **environment)
        self.cluster.wait(1, port)
        return port

    def ran(self) -> Counter[str]:
        """How often each learning rate was trained, on all hosts."""
        logs = (host.path("started") for host in self.cluster.workers)
        return Counter(line.split()[0] for log in logs if log.exists() for line in log.read_text().splitlines())


def left(host: Host) -> list[psutil.Process]:
    """What is left of a trial on a host."""
    return [*host.orphans(), *host.processes("fake_stage.py"), *host.processes("git "), *host.processes("ssh ")]


@pytest.fixture(scope="session")
def bed_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    if reason := reason_to_skip():
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("hosts"), workers=2)
    try:
        fill_project(cluster.user.path(PROJECT), SECONDS)
        share(cluster, ["dvc repro -q"])
        yield Bed(cluster)
    finally:
        cluster.network.stop()


@pytest.fixture
def bed(bed_of_session: Bed) -> Iterator[Bed]:
    bed = bed_of_session
    bed.cluster.start()
    yield bed
    bed.storage.release()
    for host in bed.cluster.workers:
        for name in ("hold-stage", "broken"):
            host.path(name).unlink(missing_ok=True)


def test_hosts_share_no_folder_and_reach_each_other(bed: Bed) -> None:
    one, other = bed.cluster.workers
    for path in (HOME / "file", Path("/tmp/file"), Path("/dev/shm/file")):
        one.path(path).write_text("of one host")
        assert not other.path(path).exists()
        assert not path.exists()
    assert one.attempt("touch /usr/file").returncode != 0
    assert one.attempt(f"touch {Path(pytest.__file__).parent}/file").returncode != 0
    one.run(f"ssh root@{bed.storage.host.address} true")
    assert {each.pid for each in one.processes()}.isdisjoint(each.pid for each in other.processes())


def test_a_sweep_of_six_trials_ends_as_six_experiments_of_the_user(bed: Bed) -> None:
    rates = bed.grid(6)
    bed.sweep(rates)
    assert all(host.path("started").exists() for host in bed.cluster.workers)
    bed.user.run("dvc exp pull origin --all-commits", PROJECT)
    (revisions,) = json.loads(bed.user.run("dvc exp show --json", PROJECT))[1:]
    shown = {
        row["revs"][0]["data"]["params"]["params.yaml"]["data"]["train"]["learning_rate"]
        for row in revisions["experiments"]
    }
    assert shown == set(map(float, rates))


def test_a_trial_of_the_real_pipeline_is_pulled_applied_and_verified(bed: Bed, clone_of_session: Path) -> None:
    store = f"{bed.storage.store}-of-digits"
    bed.storage.host.run("git init -q --bare -b main digits.git")
    shutil.copytree(clone_of_session, bed.user.disk / "digits", symlinks=True)
    params = bed.user.path("digits/params.yaml")
    params.write_text(re.sub(r"(?m)dataset: mnist\b", "dataset: mnist-5k", params.read_text()))
    bed.user.run(
        f"git remote add origin {bed.storage.git.replace(PROJECT, 'digits')} && dvc remote add -d shared {store}"
        " && dvc repro -q && git commit -q -a -m Share && git push -q origin main && dvc push -q",
        "digits",
    )
    bed.user.run(bed.command(["0.002", "0.02"]), "digits", timeout=400)
    names = bed.user.run("dvc exp list --name-only origin", "digits").split()
    assert len(names) == 2
    bed.user.run(f"dvc exp pull origin {' '.join(names)} && dvc exp apply {names[0]}", "digits")
    assert bed.user.run("git status --porcelain params.yaml dvc.lock metrics.json", "digits").count(" M ") == 3
    assert "matches all" in bed.user.run("python -m review.verify", "digits")
    bed.no_process_is_left()


def test_a_sweep_that_has_ended_runs_nothing_again(bed: Bed) -> None:
    rates = bed.grid(2)
    bed.sweep(rates)
    bed.sweep(rates)
    assert [bed.ran()[rate] for rate in rates] == [1, 1]


def test_after_the_scheduler_is_gone_in_mid_sweep_the_same_command_ends_it(bed: Bed) -> None:
    rates = bed.grid(4)
    sweep = bed.start(rates)
    wait_until(lambda: bed.rates().keys() & set(rates), "the first experiment")
    bed.cluster.head.kill("dask scheduler")
    printed = bed.ended(sweep)
    assert sweep.returncode != 0
    assert "Traceback" not in printed, printed
    bed.no_process_is_left()
    bed.cluster.start()
    bed.sweep(rates)


@pytest.mark.parametrize("step", ["clone", "pull", "train", "push"])
def test_the_trial_of_a_worker_that_is_killed_in_this_step_runs_elsewhere(bed: Bed, step: str) -> None:
    rates = bed.grid(4)
    bed.fresh()
    program = {"clone": "git-upload-pack", "pull": "sftp-server", "push": "git-receive-pack"}.get(step)
    if program:
        bed.storage.hold(program)
    else:
        for host in bed.cluster.workers:
            host.path("hold-stage").touch()

    def arrived() -> list[Host]:
        if step in ("clone", "train"):  # other commands than a clone start git-upload-pack as well
            words = ("git", "clone") if step == "clone" else ("fake_stage.py",)
            return [host for host in bed.cluster.workers if host.processes(*words)]
        return [host for host in bed.cluster.workers if host.address in bed.storage.arrived(str(program))]

    sweep = bed.start(rates)
    wait_until(arrived, f"a worker in the step {step}")
    victim = arrived()[0]
    kill_worker(victim)
    wait_until(lambda: not left(victim), f"the trial on {victim.name} ends", PATIENCE)
    bed.storage.release()
    for host in bed.cluster.workers:
        host.path("hold-stage").unlink(missing_ok=True)
    assert sweep.wait(timeout=600) == 0, bed.ended(sweep)
    bed.check(rates)


def test_a_trial_that_loses_its_workers_again_and_again_is_given_up_by_name(bed: Bed) -> None:
    rates, workers = bed.grid(1), bed.cluster.workers
    for host in workers:
        host.path("hold-stage").touch()
    sweep, killed = bed.start(rates), 0
    while sweep.poll() is None:
        for host in workers:
            if host.processes("fake_stage.py"):
                kill_worker(host)
                killed += 1
                wait_until(lambda host=host: not left(host), f"the trial on {host.name} ends", PATIENCE)
        time.sleep(0.1)
    printed = bed.ended(sweep)
    assert sweep.returncode == 1
    assert 3 <= killed <= 4
    assert f"train.learning_rate={rates[0]} failed: " in printed
    assert "Traceback" not in printed
    bed.no_process_is_left()
    for host in workers:
        host.path("hold-stage").unlink()
    bed.cluster.start()
    bed.sweep(rates)


def test_trials_end_if_the_command_is_killed_and_the_same_command_goes_on(bed: Bed) -> None:
    rates = bed.grid(4)
    for host in bed.cluster.workers:
        host.path("hold-stage").touch()
    sweep = bed.start(rates)
    wait_until(lambda: all(host.processes("fake_stage.py") for host in bed.cluster.workers), "stages")
    bed.user.kill()
    sweep.wait()
    bed.no_process_is_left()
    for host in bed.cluster.workers:
        host.path("hold-stage").unlink()
    bed.sweep(rates)


def test_trials_of_a_worker_whose_network_is_gone_run_elsewhere(bed: Bed) -> None:
    rates, victim = bed.grid(4), bed.cluster.workers[0]
    victim.path("hold-stage").touch()
    sweep = bed.start(rates)
    wait_until(lambda: victim.processes("fake_stage.py"), "a stage on the victim")
    victim.run("ip link set eth0 down")
    victim.path("hold-stage").unlink()
    try:
        assert sweep.wait(timeout=600) == 0, bed.ended(sweep)
    finally:
        victim.run("ip link set eth0 up")
    bed.check(rates)


def test_a_git_remote_that_refuses_pushes_is_named_and_later_the_same_command_ends(bed: Bed) -> None:
    rates, hook = bed.grid(2), bed.storage.host.path("project.git/hooks/pre-receive")
    hook.write_text("#!/bin/sh\necho 'no pushes today' >&2\nexit 1\n")
    hook.chmod(0o755)
    try:
        lines = bed.refused(rates)
    finally:
        hook.unlink()
    assert "no pushes today" in lines or "pre-receive hook declined" in lines
    assert not bed.rates().keys() & set(rates)
    bed.no_process_is_left()
    bed.sweep(rates)


def test_two_sweeps_at_once_on_one_remote_share_their_trials(bed: Bed) -> None:
    rates = bed.grid(4)
    bed.user.run(f"rm -rf other && git clone -q {bed.storage.git} other")
    first, second = bed.start(rates), bed.start(list(reversed(rates)), "other")
    assert first.wait(timeout=600) == 0, bed.ended(first)
    assert second.wait(timeout=600) == 0, bed.ended(second)
    bed.check(rates)


def test_a_failed_trial_is_listed_with_its_reason_and_the_others_end(bed: Bed) -> None:
    rates = bed.grid(3)
    for host in bed.cluster.workers:
        host.path("broken").write_text(rates[1])
    lines = bed.refused(rates)
    assert f"train: learning rate {rates[1]} does not work on this machine" in lines
    assert bed.rates().keys() & set(rates) == {rates[0], rates[2]}
    bed.no_process_is_left()
    for host in bed.cluster.workers:
        host.path("broken").unlink()
    bed.sweep(rates)
    assert [bed.ran()[rate] for rate in rates] == [1, 2, 1]


def test_a_full_disk_of_a_worker_is_named_and_with_space_the_same_command_ends(bed: Bed) -> None:
    rates, host = bed.grid(2), bed.cluster.add_worker("small", size="64m")
    port = bed.alone(host)
    host.attempt("cat /dev/zero > filler")
    lines = bed.refused(rates, port)
    assert "No space left on device" in lines
    assert not bed.rates().keys() & set(rates)
    wait_until(lambda: not left(host), "no process of a trial", PATIENCE)

    host.path("filler").unlink()
    host.path("hold-stage").touch()
    sweep = bed.user.start(bed.command(rates, port), "sweep.log", PROJECT)
    wait_until(lambda: host.processes("fake_stage.py"), "a stage")
    host.attempt("cat /dev/zero > filler")
    host.path("hold-stage").unlink()
    assert sweep.wait(timeout=600) != 0
    bed.rates()
    wait_until(lambda: not left(host), "no process of a trial", PATIENCE)

    host.path("filler").unlink()
    bed.sweep(rates, port)


def test_a_worker_with_another_numpy_is_refused_before_anything_runs(bed: Bed) -> None:
    rates, host = bed.grid(2), bed.cluster.add_worker("other")
    host.run("mkdir -p software/numpy-1.99.dist-info")
    host.path("software/numpy-1.99.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: numpy\nVersion: 1.99\n"
    )
    lines = bed.refused(rates, bed.alone(host, PYTHONPATH=str(HOME / "software")))
    assert "numpy" in lines
    assert "1.99" in lines
    assert not host.path("started").exists()
    assert not bed.rates().keys() & set(rates)
    bed.sweep(rates)


@pytest.mark.parametrize("days", [-500, 500])
def test_a_worker_whose_clock_is_far_off_works_like_any_other(bed: Bed, days: int) -> None:
    rates, host = bed.grid(2), bed.cluster.add_worker(f"clock{days}")
    host.run("mkdir clock")
    host.path("clock/sitecustomize.py").write_text(
        "import time\n"
        "seconds, nanoseconds = time.time, time.time_ns\n"
        f"time.time = lambda: seconds() + {days * DAY}\n"
        f"time.time_ns = lambda: nanoseconds() + {days * DAY} * 10**9\n"
    )
    git = host.path("clock/git")
    git.write_text(
        f'#!/bin/sh\nexport GIT_COMMITTER_DATE="$(($(date +%s) + {days * DAY})) +0000"\nexec /usr/bin/git "$@"\n'
    )
    git.chmod(0o755)
    port = bed.alone(host, PYTHONPATH=str(HOME / "clock"), PATH=f"{HOME}/clock:{host.environment['PATH']}")
    before = set(bed.storage.experiments())
    bed.sweep(rates, port)
    for ref in set(bed.storage.experiments()) - before:
        assert abs(bed.storage.committed(ref) - time.time() - days * DAY) < DAY


def test_fifty_pairs_of_pushes_at_the_same_instant_all_arrive(bed: Bed) -> None:
    rates = bed.grid(100)
    pairs = bed.storage.host.path("hold/pairs")
    pairs.write_text("0\n")
    bed.sweep(rates)
    assert pairs.read_text() == "100\n"
