"""Sweeps on hosts in network namespaces that have no folder in common and store by OpenSSH, on good days and bad."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clone import PATIENCE
from tests.sweep.cluster import PORT, PROJECT, Cluster, kill_worker, left
from tests.sweep.hosts import HOME, Host, reason_to_skip, wait_until
from tests.sweep.project import IMPATIENT

pytestmark = [pytest.mark.sweeps, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster_of_module(tmp_path_factory) -> Iterator[Cluster]:
    if reason := reason_to_skip():
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("hosts"))
    yield cluster
    cluster.network.stop()


@pytest.fixture
def cluster(cluster_of_module) -> Iterator[Cluster]:
    """The cluster with all workers."""
    cluster_of_module.start()
    yield cluster_of_module
    cluster_of_module.storage.path("held").write_text("")
    release(cluster_of_module)


def hold(cluster: Cluster) -> None:
    for host in cluster.workers:
        host.path("hold").touch()


def release(cluster: Cluster) -> None:
    for host in cluster.workers:
        host.path("hold").unlink(missing_ok=True)


def training(cluster: Cluster) -> list[Host]:
    return [host for host in cluster.workers if host.processes("fake_stage.py")]


def test_hosts_share_no_folder(cluster):
    one, other = cluster.workers
    for path in (HOME / "file", Path("/tmp/file"), Path("/dev/shm/file")):
        one.path(path).write_text("of one host")
        assert not other.path(path).exists()
    assert one.attempt(f"touch /usr/file || touch {Path(pytest.__file__).parent}/file").returncode != 0


def test_trials_end_as_experiments_that_a_colleague_gets_and_run_once(cluster):
    rates = cluster.rates(4)
    printed = cluster.sweep(rates)
    assert "cluster: workers: 2; dashboard: http" in printed
    assert all(host.path("started").exists() for host in cluster.workers)
    cluster.sweep(rates)
    assert [cluster.started()[rate] for rate in rates] == [1] * 4
    rows = json.loads(cluster.user.run("dvc exp show --json", PROJECT))[1]["experiments"]
    assert len(rows) == 4
    cluster.user.run(f"git clone -q {cluster.git} colleague")
    name = rows[0]["name"]
    cluster.user.run(f"dvc pull -q && dvc exp pull origin {name} && dvc exp apply {name} && dvc status -q", "colleague")


def test_seeds_of_a_recipe_are_measured_on_the_cluster_and_then_known_here(cluster):
    command = f"python -m review.noise -S train.zoom=0.1 --seeds 3 --wait 1 --scheduler {cluster.address(PORT)}"
    cluster.user.run(command, PROJECT)
    (measured,) = cluster.user.path(f"{PROJECT}/evaluation/noise").iterdir()
    record = json.loads(measured.read_text())
    assert [run["validation"]["misread"] for run in record["seeds"]] == [[0], [1], [2]]
    before = cluster.started()
    # What noise itself has written need not be committed.
    assert "training" not in cluster.user.run(command, PROJECT)
    cluster.user.run(f"rm -r evaluation/noise && {command}", PROJECT)
    assert cluster.started() == before
    cluster.user.run("rm -r evaluation/noise", PROJECT)


@pytest.mark.parametrize("step", ["git-upload-pack", "sftp-server", "train", "git-receive-pack"])
def test_the_trial_of_a_worker_that_is_killed_in_this_step_runs_elsewhere(cluster, step):
    rates, arrivals = cluster.rates(3), cluster.storage.path("arrivals")
    for host in cluster.workers:  # start again, without their clones
        host.kill()
        host.run("rm -rf dask")
    cluster.start()
    arrivals.write_text("")
    if step == "train":
        hold(cluster)
    else:
        cluster.storage.path("held").write_text(step)

    def arrived() -> list[Host]:
        lines = arrivals.read_text().splitlines()
        there = [host for host in cluster.workers if f"{step} {host.address}" in lines]
        return training(cluster) if step == "train" else there

    sweep = cluster.start_sweep(rates)
    victim = wait_until(arrived, f"a worker in the step {step}")[0]
    kill_worker(victim)
    wait_until(lambda: not left(victim), f"the trial on {victim.name} ends")
    cluster.storage.path("held").write_text("")
    release(cluster)
    assert sweep.wait(timeout=PATIENCE) == 0
    cluster.check(rates)


def test_a_trial_that_loses_its_workers_again_and_again_is_given_up_by_name(cluster):
    rates = cluster.rates(1)
    hold(cluster)
    sweep, killed = cluster.start_sweep(rates), 0
    while sweep.poll() is None:
        for host in training(cluster):
            kill_worker(host)
            killed += 1
            wait_until(lambda host=host: not left(host), f"the trial on {host.name} ends")
        time.sleep(0.1)
    assert (sweep.returncode, killed in (3, 4)) == (1, True)
    assert f"train.learning_rate={rates[0]} failed: " in cluster.user.path("sweep.log").read_text()
    release(cluster)
    cluster.start()
    cluster.sweep(rates)


def interrupt(cluster: Cluster) -> None:
    for process in cluster.user.processes("python -m sweep"):
        process.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "end", [interrupt, lambda cluster: cluster.user.kill(), lambda cluster: cluster.head.kill("dask scheduler")]
)
def test_a_sweep_that_ends_early_leaves_no_trial_and_the_same_command_goes_on(cluster, end):
    rates = cluster.rates(3)
    hold(cluster)
    sweep = cluster.start_sweep(rates)
    wait_until(lambda: len(training(cluster)) == 2, "stages")
    end(cluster)
    assert sweep.wait(timeout=PATIENCE) != 0
    assert "Traceback" not in cluster.user.path("sweep.log").read_text()
    for host in cluster.workers:
        wait_until(lambda host=host: not left(host), f"no process of a trial on {host.name}")
    release(cluster)
    cluster.start()
    cluster.sweep(rates)


def test_trials_of_a_worker_whose_network_is_gone_run_elsewhere(cluster):
    rates, victim = cluster.rates(3), cluster.workers[0]
    victim.path("hold").touch()
    sweep = cluster.start_sweep(rates)
    wait_until(lambda: training(cluster) == [victim], "a stage on the victim")
    victim.run("ip link set eth0 down")
    release(cluster)
    try:
        assert sweep.wait(timeout=PATIENCE) == 0
    finally:
        victim.run("ip link set eth0 up")
    cluster.check(rates)


def test_a_remote_that_refuses_pushes_and_a_stage_that_fails_are_named_and_the_same_command_ends(cluster):
    rates, hook = cluster.rates(2), cluster.storage.path("project.git/hooks/pre-receive")
    for host in cluster.workers:
        host.path("broken").write_text(rates[0])
    hook.write_text("#!/bin/sh\necho 'no pushes today' >&2\nexit 1\n")
    hook.chmod(0o755)
    lines = cluster.refuse(rates)
    assert "no pushes today" in lines or "pre-receive hook declined" in lines
    assert f"train: learning rate {rates[0]} does not work on this machine" in lines
    hook.unlink()
    for host in cluster.workers:
        host.path("broken").unlink()
    cluster.sweep(rates)
    assert cluster.started()[rates[0]] == 2


def test_two_sweeps_at_once_on_one_remote_share_their_trials(cluster):
    rates = cluster.rates(4)
    cluster.user.run(f"git clone -q {cluster.git} other && cd other && git config user.name Test && dvc pull -q")
    started = cluster.start_sweep(rates), cluster.start_sweep(rates[::-1], "other")
    assert [sweep.wait(timeout=PATIENCE) for sweep in started] == [0, 0]
    cluster.check(rates)


def other_software(host: Host) -> str:
    """A folder of a host, in which a Python that has it on its path finds another NumPy."""
    host.run("mkdir -p software/numpy-1.99.dist-info")
    metadata = "Metadata-Version: 2.1\nName: numpy\nVersion: 1.99\n"
    host.path("software/numpy-1.99.dist-info/METADATA").write_text(metadata)
    return str(HOME / "software")


def test_a_sweep_waits_for_a_worker_that_comes_late_or_again_and_sends_another_away(cluster):
    rates, host, log = cluster.rates(2), cluster.add_worker("late"), cluster.user.path("sweep.log")
    log.write_text("")
    host.path("hold").touch()
    address = cluster.alone(None)
    port = int(address.rpartition(":")[2])
    sweep = cluster.user.start(cluster.command(rates, address).replace("-m sweep", IMPATIENT), "sweep.log", PROJECT)
    wait_until(lambda: "cluster: workers: none yet; waiting 10 minutes for the first\n" in log.read_text(), "a line")
    cluster.start_worker(host, port)
    wait_until(lambda: host.processes("fake_stage.py"), "a stage")
    host.kill()
    wait_until(lambda: "cluster: workers left: none; trials left: 2\n" in log.read_text(), "a line")
    cluster.start_worker(host, port, PYTHONPATH=other_software(host))
    wait_until(lambda: log.read_text().count("has numpy 1.99, expected") > 3, "lines; a trial may lose three workers")
    host.kill()
    host.path("hold").unlink()
    cluster.start_worker(host, port)
    assert sweep.wait(timeout=PATIENCE) == 0
    cluster.check(rates)


def test_what_a_cluster_cannot_get_or_run_is_refused_in_one_line_before_anything_runs(cluster):
    rates, host = cluster.rates(1), cluster.add_worker("other")
    other_numpy = cluster.alone(host, PYTHONPATH=other_software(host))
    threads = cluster.alone(cluster.add_worker("threads"), options="--nthreads 2")
    cluster.user.run(f"git clone -q {cluster.git} refused && cd refused && dvc pull -q")
    work, edit = cluster.user, "sed -i 's/rate: 0.01/rate: 0.02/' params.yaml"
    lines = {
        "has numpy 1.99, expected": cluster.refuse(rates, other_numpy),
        "has 2 threads: start it with --nthreads 1": cluster.refuse(rates, threads),
        "had no worker for 0 minutes: `dask worker tcp:": cluster.refuse(rates, f"{cluster.alone(None)} --wait 0"),
        "Timed out trying to connect": cluster.refuse(rates, cluster.address(1)),
    }
    for change, message in {
        edit: "params.yaml is not as committed, and a cluster runs commits",
        "dvc repro -q && git commit -qam Changed": "is not at origin: `git push` first",
        "git push -q origin HEAD:refs/heads/changed": "is not in the DVC remote: `dvc push` first",
        "git remote remove origin": "No such remote 'origin'",
    }.items():
        work.run(change, "refused")
        lines[message] = cluster.refuse(rates, folder="refused")
    for message, line in lines.items():
        assert message in line
        assert (line.startswith("sweep: "), line.count("\n")) == (True, 1), line
    assert cluster.started()[rates[0]] == 0


def test_trials_run_over_tls_and_who_has_no_certificate_is_refused_in_one_line(cluster):
    rates, host = cluster.rates(1), cluster.add_worker("tls")
    cluster.user.run("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=cluster -keyout tls.key -out tls.cert 2>&1")
    for other in (host, cluster.head):
        for name in ("tls.key", "tls.cert"):
            other.path(name).write_bytes(cluster.user.path(name).read_bytes())
    tls = {f"TLS__{role}__{name.upper()}": f"{HOME}/tls.{name}" for role in ROLES for name in ("key", "cert")}
    settings = tls | {"TLS__CA_FILE": f"{HOME}/tls.cert", "REQUIRE_ENCRYPTION": "true"}
    environment = {f"DASK_DISTRIBUTED__COMM__{name}": value for name, value in settings.items()}
    address = cluster.alone(host, "tls", **environment)
    line = cluster.refuse(rates, address)
    assert (line.startswith(f"sweep: Dask's settings do not fit {address}: "), line.count("\n")) == (True, 1)
    cluster.user.environment |= environment
    line = cluster.refuse(rates)
    cluster.sweep(rates, address)
    cluster.user.environment = {key: value for key, value in cluster.user.environment.items() if key not in environment}
    assert (line.startswith("sweep: Dask's settings do not fit tcp://"), line.count("\n")) == (True, 1)


ROLES = ("SCHEDULER", "WORKER", "CLIENT")
