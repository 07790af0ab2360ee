"""`python -m sweep` on this machine and on a cluster, as a user types it."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.clone import Clone
from tests.sweep.project import Project

pytestmark = [pytest.mark.sweeps, pytest.mark.slow]

SIX = "-S train.rate=0.2,0.3,0.4 --seeds 2"


def commits(project: Project, folder: str = ".") -> dict[str, str]:
    """The parameters of each experiment, and its commit."""
    listed = project.run(f"git -C {folder} for-each-ref --format='%(objectname)' 'refs/exps/*/*/sweep-*'").split()
    return {project.run(f"git -C {folder} show {each}:params.yaml"): each for each in listed}


def test_six_trials_of_the_real_pipeline_are_listed_and_one_is_applied_and_verified(clone: Clone) -> None:
    clone.run("""python -c "import numpy as np, sklearn.datasets as s
d = s.load_digits(); x, y = (d.images * 15).astype('uint8'), d.target
np.savez('small.npz', x_train=x[:300], y_train=y[:300], x_test=x[300:400], y_test=y[300:400])" """)
    for key, value in {"download.dataset": "small.npz", "preprocess.validation_images": 60}.items():
        clone.set(key, value)
    for key, value in {"train.filters": "[4, 8]", "train.dense_units": "[8]"}.items():
        clone.set(key, value)
    clone.run("dvc add -q small.npz && dvc repro -q")
    clone.commit("Small digits")
    before = clone.run("git status --porcelain && git rev-parse HEAD && git stash list")
    printed = clone.run("python -m sweep -S train.learning_rate=0.003,0.01,0.03 --seeds 2")
    assert clone.run("git status --porcelain && git rev-parse HEAD && git stash list") == before
    table = [line.split() for line in printed.splitlines() if "over 2 seeds" in line]
    assert sorted(row[0] for row in table) == ["0.003", "0.01", "0.03"]
    assert [row[1] for row in table] == sorted((row[1] for row in table), reverse=True)
    assert [row[-1] for row in table if row[0] == "0.01"] == ["base"]
    assert "better than base takes p < 0.05 / 2 = 0.025 (Bonferroni)" in " ".join(printed.split())
    assert "test" not in printed
    assert (clone.folder / "report/sweep/validation.png").stat().st_size > 1000
    shown = json.loads(clone.run("dvc exp show --json"))[1]["experiments"]
    names = sorted(row["name"] for row in shown)
    assert len(names) == 6
    rate = {row["name"]: row["revs"][0]["data"]["params"]["params.yaml"]["data"]["train"] for row in shown}
    name = next(each for each in names if rate[each]["learning_rate"] == 0.03 and rate[each]["seed"] == 1)
    assert "train.learning_rate" in clone.run(f"python -m review.compare main {name}")
    clone.run(f"dvc exp apply {name}")
    assert "matches all 5 stages" in clone.run("python -m review.verify")
    assert "learning_rate: 0.03" in clone.read("params.yaml")


def test_trials_have_the_files_of_the_folder_as_they_are_and_the_folder_stays_so(project: Project) -> None:
    project.replace("stages/train.py", 'EXTRA = ""', "EXTRA = Path('more.txt').read_text()")
    (project.folder / "more.txt").write_text(", untracked")
    project.run("git add stages/train.py")
    project.replace("params.yaml", "0.1", "0.2")
    before = project.run("git status --porcelain && git diff && git diff --cached && git stash list")
    printed = project.run("python -m sweep -S train.seed=3,4 --workers 1")
    assert project.run("git status --porcelain && git diff && git diff --cached && git stash list") == before
    assert project.trained() == ["0.2 3", "0.2 4"]
    assert "validation accuracy 0.9870 (1 of 2," in printed
    found = commits(project)
    assert project.run(f"git show {next(iter(found.values()))}:more.txt") == ", untracked"
    name = project.experiments()[0]
    project.run(f"git checkout -qf main && rm more.txt && dvc exp apply {name}")
    assert project.read("model").endswith("data, untracked")


def test_the_same_command_runs_no_trial_again_and_another_value_runs_alone(project: Project) -> None:
    project.run("python -m sweep -S train.rate=0.2,0.3")
    project.run("python -m sweep -S train.rate=0.2,0.3")
    project.run("python -m sweep -S train.rate=0.2,0.3,0.4")
    assert sorted(project.trained()) == ["0.2 0", "0.3 0", "0.4 0"]
    # Each experiment has its own parameters, though params.yaml keeps its size, and a trial takes less than a second.
    assert len(project.experiments()) == len(commits(project)) == 3


def test_a_failed_trial_is_listed_with_the_line_of_its_stage_and_the_others_end(project: Project) -> None:
    done = project.attempt("python -m sweep -S train.rate=0.2,7,0.3")
    assert done.returncode == 1
    assert done.stderr == "sweep: train.rate=7 failed: train: no memory\n"
    assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith("not compared")] == ["0.3", "0.2"]
    assert sorted(project.trained()) == ["0.2 0", "0.3 0"]
    assert len(project.experiments()) == 2


def test_an_interrupted_sweep_leaves_what_ended_and_no_process_and_goes_on(project: Project) -> None:
    project.run("python -m sweep -S train.rate=0.25")
    process = project.start(SIX)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert printed.endswith("sweep: interrupted; the trials that ended are kept, and the same command goes on\n")
    assert "Traceback" not in printed
    assert project.is_quiet()
    assert len(project.experiments()) == 1
    project.hold.unlink()
    project.run(f"python -m sweep {SIX}")
    assert len(project.experiments()) == 7
    assert len(project.trained()) == 7


def test_a_killed_sweep_leaves_no_process(project: Project) -> None:
    process = project.start(SIX)
    process.kill()
    process.communicate()
    assert project.is_quiet()
    assert project.experiments() == []


def test_a_trial_of_another_revision_runs_here_and_forced_stages_run_again(project: Project) -> None:
    project.run("git tag old")
    project.replace("stages/train.py", 'EXTRA = ""', 'EXTRA = ", new"')
    project.commit("New code")
    script = """
from trials.engine import Engine
from trials.git import snapshot
from trials.trial import Trial
with Engine() as engine:
    for trial in (Trial(*snapshot("old"), ("train.seed=5",)), Trial(*snapshot("old"), (), "again", forced="train")):
        ((_, revision, reason),) = engine.run([trial])
        print(revision, reason)
"""
    printed = project.run(f"python -c '{script}'").split()
    assert printed[1::2] == ["None", "None"]
    assert project.trained() == ["0.1 5", "0.1 0"]
    assert project.run(f"git rev-parse {printed[0]}^ old").split()[0] in project.run("git rev-parse old")
    assert 'EXTRA = ""' in project.run(f"git show {printed[0]}:stages/train.py")


def test_two_sweeps_at_once_in_one_folder_do_not_disturb_each_other(project: Project) -> None:
    started = [
        subprocess.Popen(
            ["bash", "-c", f"exec python -m sweep -S train.rate={rates}"],
            cwd=project.folder,
            env=project.environment,
        )
        for rates in ("0.1,0.2,0.3,0.4", "0.3,0.4,0.5,0.6")
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    assert len(project.experiments()) == 6


def test_a_search_proposes_the_same_after_an_interruption(project: Project, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    search = "-S 'train.rate=log(0.01, 1)' -S train.names=a,b --search 6"
    process = project.start(search)
    project.hold.unlink()
    while len(project.trained()) < 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    begun = project.trained()
    project.run(f"python -m sweep {search}")
    found = commits(project)
    assert len(found) == len(project.experiments()) == 6
    project.run(f"python -m sweep {search}")
    assert commits(project) == found
    assert project.trained()[:3] == begun[:3]
    # A search from the start has the same trials.
    other = Project(tmp_path / "other/project")
    other.make()
    printed = other.run(f"python -m sweep {search}")
    assert sorted(commits(other)) == sorted(found)
    assert float(next(line for line in printed.splitlines() if "compared" in line).split()[0]) == pytest.approx(
        0.3, abs=0.2
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-S train.depth=1", "-S train.depth=1: expected KEY=VALUE of a parameter in params.yaml: Could not override"),
        ("-S train.rate=0.1,-1", "params.yaml: train.rate must be a number greater than 0, got -1"),
        ("-S train.names=a,c", "params.yaml: train.names must be a or b, got 'c'"),
        ("-S train.rate", "expected -S KEY=VALUES, as in train.shift=0,1: Error parsing override 'train.rate'"),
        ("-S train.rate=1 -S train.rate=2", "-S train.rate is given twice: write all values into one, as in"),
        ("-S 'train.rate=log(0, 1)' --search 2", "params.yaml: train.rate must be a number greater than 0, got 0"),
        ("-S train.seed=1 --seeds 2", "-S train.seed and --seeds exclude each other"),
        ("", "nothing to vary: -S KEY=VALUES or --seeds N"),
    ],
)
def test_a_sweep_of_what_a_stage_would_refuse_does_not_start(project: Project, arguments: str, message: str) -> None:
    done = project.attempt(f"python -m sweep {arguments}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"sweep: {message}")
    assert done.stderr.count("\n") == 1
    assert project.trained() == []


def test_without_optuna_a_search_says_what_installs_it(project: Project) -> None:
    (project.folder / "optuna.py").write_text("raise ImportError\n")
    done = project.attempt("python -m sweep -S train.rate=1,2 --search 2")
    assert done.stderr == "sweep: --search needs Optuna: `make extra` installs it\n"


def test_a_cluster_runs_trials_as_experiments_of_the_remote(shared: Project) -> None:
    with shared.cluster(workers=2) as address:
        printed = shared.run(f"python -m sweep --scheduler {address} {SIX}")
        assert sorted(shared.trained()) == sorted(f"{rate} {seed}" for rate in (0.2, 0.3, 0.4) for seed in (0, 1))
        assert shared.experiments("../git") == shared.experiments()
        assert len(shared.experiments()) == len(commits(shared)) == 6
        assert "6 of 6" in printed
        # A colleague's clone gets the model of an experiment from the remotes.
        shared.run("git clone -q -b main ../git ../colleague && cd ../colleague && dvc pull -q")
        name = shared.experiments()[-1]
        shared.run(f"cd ../colleague && dvc exp pull origin {name} && dvc exp apply {name} && dvc status -q")
        before = shared.trained()
        shared.run(f"python -m sweep --scheduler {address} {SIX}")
        assert shared.trained() == before
    assert shared.is_quiet()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_cluster_runs_trials_over_tls_and_refuses_who_has_no_certificate(shared: Project) -> None:
    home = shared.folder.parent
    shared.run(f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=cluster -keyout {home}/key -out {home}/cert")
    without, tls = dict(shared.environment), "DASK_DISTRIBUTED__COMM__TLS__"
    shared.environment |= {f"{tls}CA_FILE": f"{home}/cert", "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        shared.environment |= {f"{tls}{role}__CERT": f"{home}/cert", f"{tls}{role}__KEY": f"{home}/key"}
    with shared.cluster(protocol="tls") as address:
        assert address.startswith("tls://")
        assert "1 of 1" in shared.run(f"python -m sweep --scheduler {address} -S train.rate=0.2")
        with_tls, shared.environment = shared.environment, without
        for refused, environment in ((address, {}), (address.replace("tls", "tcp"), with_tls)):
            done = shared.attempt(f"python -m sweep --scheduler {refused} -S train.rate=0.3", **environment)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(f"sweep: Dask's settings do not fit {refused}: ")
            assert done.stderr.count("\n") == 1
    assert shared.trained() == ["0.2 0"]


def test_the_trials_of_a_killed_worker_run_on_another(shared: Project) -> None:
    with shared.cluster(workers=2, options="--nthreads=1 --no-nanny") as address:
        process = shared.start(f"--scheduler {address} -S train.rate=0.2,0.3,0.4")
        shared.dask[1].kill()
        shared.hold.unlink()
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 0, printed
        assert len(shared.experiments("../git")) == 3
    assert shared.is_quiet()


def test_an_interrupted_sweep_leaves_no_trial_on_the_cluster(shared: Project) -> None:
    with shared.cluster() as address:
        workers = {each.pid for each in shared.processes()}
        process = shared.start(f"--scheduler {address} {SIX}")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
        for each in shared.processes():
            if each.pid not in workers:
                each.wait(timeout=10)
        assert shared.experiments("../git") == []


def change_a_file(project: Project) -> None:
    project.replace("params.yaml", "0.1", "0.2")


def commit_only(project: Project) -> None:
    change_a_file(project)
    project.run("dvc repro -q")
    project.ran_file.unlink()
    project.commit("Not pushed")


def push_code_only(project: Project) -> None:
    commit_only(project)
    project.run("git push -q origin main")


def install_a_package_here(project: Project) -> None:
    """Only the user's Python finds packages in the folder."""
    (project.folder / "tool-1.0.dist-info").mkdir()
    (project.folder / "tool-1.0.dist-info/METADATA").write_text("Name: Tool\nVersion: 1.0\n")
    (project.folder / "requirements.txt").write_text("tool==1.0\n")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (change_a_file, "--nthreads=1", "params.yaml is not as committed, and a cluster runs commits"),
        (commit_only, "--nthreads=1", "is not at origin: `git push` first"),
        (push_code_only, "--nthreads=1", "model is not in the DVC remote: `dvc push` first"),
        (lambda project: project.run("dvc remote remove store"), "--nthreads=1", ".dvc/config is not as committed"),
        (lambda project: project.run("git remote remove origin"), "--nthreads=1", "No such remote 'origin'"),
        (install_a_package_here, "--nthreads=1", "has tool not, expected 1.0 as here"),
        (Project.trained, "--nthreads=2", "has 2 threads: start it with --nthreads 1"),
    ],
)
def test_a_cluster_that_could_not_run_the_trials_is_refused_in_one_line(
    shared: Project, change: object, options: str, message: str
) -> None:
    with shared.cluster(options=options) as address:
        assert callable(change)
        change(shared)
        done = shared.attempt(f"python -m sweep --scheduler {address} -S train.rate=0.2")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert shared.trained() == []


def test_a_cluster_without_a_worker_and_one_that_is_gone_are_refused_in_one_line(shared: Project) -> None:
    with shared.cluster(workers=0) as address:
        done = shared.attempt(f"python -m sweep --scheduler {address} -S train.rate=0.2")
        assert done.stderr == f"sweep: {address} has no worker: `dask worker {address} --nthreads 1` starts one\n"
    done = shared.attempt(f"python -m sweep --scheduler {address} -S train.rate=0.2")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Timed out trying to connect" in done.stderr
