"""`python -m sweep` on this machine, as a user types it."""

import json
import signal
import time

import pytest

from tests.clone import PATIENCE, Clone

pytestmark = [pytest.mark.sweeps, pytest.mark.slow]

SIX = "-S train.learning_rate=0.2,0.3,0.4 --seeds 2"


def test_six_trials_of_the_real_pipeline_are_listed_and_one_is_applied_and_verified(clone):
    state = "git status --porcelain && git rev-parse HEAD && git stash list"
    before = clone.run(state)
    printed = clone.run("python -m sweep -S train.learning_rate=0.003,0.01,0.03 --seeds 2")
    assert clone.run(state) == before
    table = [line.split() for line in printed.splitlines() if "over 2 seeds" in line]
    assert sorted(row[0] for row in table) == ["0.003", "0.01", "0.03"]
    assert [row[1] for row in table] == sorted((row[1] for row in table), reverse=True)
    assert [row[-1] for row in table if row[0] == "0.01"] == ["base"]
    assert "better than base takes p < 0.05 / 2 = 0.025 (Bonferroni)" in " ".join(printed.split())
    assert "test" not in printed
    rows = json.loads(clone.run("dvc exp show --json"))[1]["experiments"]
    train = {row["name"]: row["revs"][0]["data"]["params"]["params.yaml"]["data"]["train"] for row in rows}
    assert len(train) == 6
    name = next(name for name, values in train.items() if (values["learning_rate"], values["seed"]) == (0.03, 1))
    assert "train.learning_rate" in clone.run(f"python -m review.compare main {name}")
    # The noise of the recipe has the same bytes when it is measured again.
    clone.run("python -m review.noise --seeds 2")
    hashes = "git hash-object evaluation/noise/*"
    noise = clone.run(hashes)
    clone.run("python -m review.noise --seeds 2 --anew")
    assert clone.run(hashes) == noise
    assert "matches all 5 stages" in clone.run("python -m review.verify")
    clone.run(f"git checkout -q evaluation && {printed.splitlines()[-1].removeprefix('the best recipe: ')}")
    assert "matches all 5 stages" in clone.run("python -m review.verify")
    assert f"learning_rate: {table[0][0]}" in clone.read("params.yaml")


def test_trials_have_the_files_of_the_folder_as_they_are_and_run_once(project):
    project.replace("fake_stage.py", "data.txt').read_text()", "data.txt').read_text() + Path('more.txt').read_text()")
    (project.folder / "more.txt").write_text(", untracked")
    project.run("git add fake_stage.py")
    project.set("train.learning_rate", 0.2)
    state = "git status --porcelain && git diff && git diff --cached && git stash list"
    before = project.run(state)
    printed = project.run("python -m sweep -S train.seed=3,4 --workers 1")
    assert project.run(state) == before
    assert project.trained() == ["0.2 3", "0.2 4"]
    assert "sweep: train.seed=3: validation accuracy 0.9870 (1 of 2)\n" in printed
    commit = project.experiments()["sweep: train.seed=4"]
    assert project.run(f"git show {commit}:more.txt") == ", untracked"
    project.run("python -m sweep -S train.seed=3,4,5")
    assert project.trained()[2:] == ["0.2 5"]
    project.run(f"git checkout -qf main && rm more.txt && dvc exp apply {commit}")
    assert project.read("models/model.keras") == "0.2 4, data, untracked"


def test_what_was_tried_on_one_commit_is_tried_again_on_another(project):
    project.run("python -m sweep -S train.learning_rate=0.2,0.3 --seeds 2")
    project.run("dvc exp run -q --temp -S train.schedule=constant -S 'train.filters=[8,16]'")
    before = project.trained()
    project.set("train.epochs", 3)
    project.run("dvc repro -q")
    project.commit("Another recipe")
    printed = project.run("python -m sweep --again HEAD~1")
    assert sorted(project.trained()[len(before) + 1 :]) == sorted(before)
    rows = sorted(sorted(line.split()[:3]) for line in printed.splitlines() if "unchanged" in line)
    two = [[rate, "unchanged", "unchanged"] for rate in ("0.2", "0.3")]
    assert rows == [['"constant"', "[8,16]", "unchanged"], *two]
    assert (project.folder / "report/sweep.png").read_bytes().startswith(b"\x89PNG")
    assert printed.count(" ± ") == 2  # of two seeds
    experiment = project.experiments()['sweep: train.filters=[8,16] train.schedule="constant"']
    params = project.run(f"git show {experiment}:params.yaml")
    assert all(text in params for text in ("epochs: 3", "schedule: constant"))
    project.run("python -m sweep --again HEAD~1 --seeds 3")
    assert project.trained()[-1].split()[1] == "2"


def test_a_failed_trial_is_listed_with_the_line_of_its_stage_and_the_others_end(project):
    (project.home / "broken").write_text("7")
    done = project.attempt("python -m sweep -S train.learning_rate=0.2,7,0.3")
    line = "train: learning rate 7 does not work on this machine"
    assert (done.returncode, done.stderr) == (1, f"sweep: train.learning_rate=7 failed: {line}\n")
    assert [row.split()[0] for row in done.stdout.splitlines() if row.endswith("undecided")] == ["0.3", "0.2"]
    assert len(project.experiments()) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_ends_early_leaves_no_process_and_goes_on(project, number):
    project.run("python -m sweep -S train.learning_rate=0.25")
    process = project.start(f"python -m sweep {SIX}")
    process.send_signal(number)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in printed
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert printed.endswith("sweep: interrupted; the trials that ended are kept, and the same command goes on\n")
    assert project.is_quiet()
    assert len(project.experiments()) == 1
    (project.home / "hold").unlink()
    project.run(f"python -m sweep {SIX}")
    assert len(project.experiments()) == 7


def test_a_measurement_that_ends_early_leaves_no_process_and_keeps_the_runs_that_ended(project):
    command = "python -m review.noise --workers 1 --seeds"  # the committed results are those of seed 0
    project.run(f"{command} 2")
    before = project.run("cat evaluation/noise/*")
    process = project.start(f"{command} 3")
    second = project.attempt(f"{command} 3")
    running = f"noise: process {process.pid} (noise) is still running in this folder; wait until it ends, or end it\n"
    assert (second.returncode, second.stderr) == (1, running)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert printed.endswith("noise: interrupted; the runs that ended are kept, and the same command goes on\n")
    assert project.is_quiet()
    assert project.run("cat evaluation/noise/*") == before
    (project.home / "hold").unlink()
    assert "training seeds 2\n" in project.run(f"{command} 3")


def test_two_sweeps_at_once_in_one_folder_do_not_disturb_each_other(project):
    started = [Clone.start(project, f"python -m sweep -S train.seed={seeds}") for seeds in ("1,2,3", "2,3,4")]
    assert [process.wait(timeout=PATIENCE) for process in started] == [0, 0]
    assert len(project.experiments()) == 4


def test_a_search_proposes_the_same_after_an_interruption(project):
    pytest.importorskip("optuna")
    search = "-S 'train.learning_rate=log(0.01, 1)' -S train.batch_size=50,100 --search 6"
    process = project.start(f"python -m sweep {search}")
    (project.home / "hold").unlink()
    while len(project.trained()) < 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    printed = project.run(f"python -m sweep {search}")
    assert len(project.experiments()) == 6
    best = next(line for line in printed.splitlines() if line.endswith("undecided"))
    assert float(best.split()[0]) == pytest.approx(0.3, abs=0.2)
    before = len(project.trained())
    project.run(f"python -m sweep {search}")  # proposes the same
    assert len(project.trained()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-S train.depth=1", "-S train.depth=1: expected KEY=VALUE of a parameter in params.yaml: Could not override"),
        ("-S train.learning_rate=0.1,-1", "Expected `float` > 0.0 - at `train.learning_rate`"),
        ("-S train.zoom", "expected -S KEY=VALUES, as in train.shift=0,1: Error parsing override 'train.zoom'"),
        ("-S train.zoom=0 -S train.zoom=0.1", "-S train.zoom is given twice: write all values into one, as in"),
        ("-S 'train.learning_rate=log(0, 1)' --search 2", "Expected `float` > 0.0 - at `train.learning_rate`"),
        ("-S train.seed=1 --seeds 2", "-S train.seed and --seeds exclude each other"),
        ("", "nothing to vary: -S KEY=VALUES, --seeds N or --again REVISION"),
        ("--again HEAD", "`HEAD` has no experiments in this repository: see `dvc exp list --all-commits`"),
        ("--again HEAD -S train.zoom=0", "--again repeats the changes that were tried: leave out -S and --search"),
        ("-S train.zoom=0.1 --workers 0", "expected at least 1 worker, got 0"),
    ],
)
def test_a_sweep_of_what_a_stage_would_refuse_does_not_start(project, arguments, message):
    done = project.attempt(f"python -m sweep {arguments}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("sweep: ")
    assert message in done.stderr
    assert "/tmp/" not in done.stderr
    assert project.trained() == []


def test_without_optuna_a_search_says_what_installs_it(project):
    (project.folder / "optuna.py").write_text("raise ImportError\n")
    done = project.attempt("python -m sweep -S train.zoom=0,0.1 --search 2")
    assert done.stderr == "sweep: --search needs Optuna: `make extra` installs it\n"
