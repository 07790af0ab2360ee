"""A sweep on jobs of a real Slurm, which has one node with one processor here."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.clone import PATIENCE
from tests.sweep.hosts import PATH, wait_until
from tests.sweep.project import IMPATIENT

pytestmark = [pytest.mark.sweeps, pytest.mark.slow]

DAEMONS = (
    "munged --foreground --force --key-file={folder}/key --socket={folder}/socket --pid-file={folder}/pid"
    " --log-file={folder}/log --seed-file={folder}/seed",
    "slurmctld -D",
    "slurmd -D",
)
SETTINGS = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}
SlurmdSpoolDir={folder}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES
"""


@pytest.fixture
def slurm(project, tmp_path_factory, monkeypatch) -> Iterator[None]:
    """Slurm, to which the settings of this process and of the project point."""
    programs = ["setpriv", "sbatch", "scancel", *(daemon.split()[0] for daemon in DAEMONS)]
    if absent := [name for name in programs if shutil.which(name, path=PATH) is None]:
        pytest.skip(f"{', '.join(absent)} not installed: `apt-get install munge slurm-client slurmctld slurmd`")
    if os.geteuid() != 0:
        pytest.skip("only root can start Slurm")
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o400)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    settings = SETTINGS.format(host=socket.gethostname().partition(".")[0], folder=folder, ports=ports)
    (folder / "slurm.conf").write_text(settings)
    for name, value in {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}.items():
        monkeypatch.setenv(name, value)
        project.environment[name] = value
    started = []
    for daemon in DAEMONS:
        command = ["setpriv", "--pdeathsig", "KILL", *daemon.format(folder=folder).split()]
        with (folder / "output").open("a") as output:
            started.append(subprocess.Popen(command, cwd=folder, stdout=output, stderr=output))
        wait_until((folder / "socket").exists, "munged")
    yield
    for process in reversed(started):
        process.kill()
        process.wait()


def test_a_sweep_waits_for_a_pending_job_and_goes_on_after_one_is_cancelled(slurm, project):
    jobqueue = pytest.importorskip("dask_jobqueue")
    project.run(f"git init -q --bare {project.home}/origin && git remote add origin {project.home}/origin")
    project.run(f"dvc remote add -q -d store {project.home}/store && git commit -qam Remotes && dvc push -q")
    project.run("git push -q origin main")
    project.run("sbatch --job-name=other --output=/dev/null --wrap='sleep infinity'")
    hold, options = project.home / "hold", {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    hold.touch()
    with jobqueue.SLURMCluster(
        cores=1,
        processes=1,
        python="python",  # the path of this one may have a space, which the script of a job cannot
        memory="1GB",
        walltime="00:30:00",
        local_directory=project.home,
        log_directory=project.home,
        job_script_prologue=[f"export HOME={project.home}"],
        scheduler_options=options,
    ) as cluster:
        cluster.scale(jobs=1)
        command = f"exec python {IMPATIENT} --scheduler {cluster.scheduler_address} -S train.seed=1,2,3"
        sweep = subprocess.Popen(
            ["bash", "-c", command], cwd=project.folder, env=project.environment, stdout=subprocess.PIPE, text=True
        )
        assert sweep.stdout
        assert sweep.stdout.readline() == "cluster: workers: none yet; waiting 10 minutes for the first\n"
        project.run("scancel --name=other")
        assert sweep.stdout.readline().startswith("cluster: workers: 1; dashboard: http")
        wait_until(project.trained, "a stage")
        project.run("scancel --name=dask-worker")
        assert sweep.stdout.readline() == "cluster: workers left: none; trials left: 3\n"
        hold.unlink()
        wait_until(lambda: not cluster.workers, "dask-jobqueue misses the job")
        cluster.scale(jobs=1)
        sweep.communicate(timeout=PATIENCE)
        assert sweep.returncode == 0
    assert project.is_quiet()
    assert len(project.experiments()) == 3
    first = project.trained()[0]
    assert sorted(project.trained()) == sorted(["0.01 1", "0.01 2", "0.01 3", first])
