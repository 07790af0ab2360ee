"""No output is lost if a stage or dvc is killed at any moment, if the disk is full, or if two runs start at once."""

import random
import re
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.clone import PATIENCE, Clone
from tests.test_pipeline import STAGES, outputs

pytestmark = [pytest.mark.faults, pytest.mark.slow]

OUTPUTS = {stage: outputs(stage) for stage in STAGES}
SECONDS = {"download": 2, "preprocess": 0.5, "train": 6, "export": 4, "evaluate": 4}  # about as long as each takes
KILLED_TRAININGS = 4


def stage_process(dvc: subprocess.Popen[str]) -> psutil.Process | None:
    """Wait for the stage that dvc starts and return its process; None if dvc ends first."""
    while dvc.poll() is None:
        for child in psutil.Process(dvc.pid).children(recursive=True):
            try:
                if any(argument.startswith("stages.") for argument in child.cmdline()):
                    return child
            except psutil.Error:
                continue
        time.sleep(0.01)
    return None


def recover(clone: Clone) -> None:
    """Do what docs/guarantees.md says about a dvc that was killed while it wrote a file of its own."""
    (clone.folder / ".git/index.lock").unlink(missing_ok=True)
    if "git checkout dvc.lock" in clone.attempt("python -m review.verify").stderr:
        clone.run("git checkout dvc.lock")
    (clone.folder / ".dvc/tmp/rwlock").unlink(missing_ok=True)  # no dvc command is running


def partial_files(clone: Clone, stage: str) -> list[Path]:
    """The temporary files beside the outputs of a stage."""
    outputs = [clone.folder / path for path in OUTPUTS[stage]]
    return [path for output in outputs if (path := output.with_name(f".partial-{output.name}")).exists()]


def contents(clone: Clone, stage: str) -> dict[str, bytes]:
    """The outputs of a stage that are there."""
    files = {path: clone.folder / path for path in OUTPUTS[stage]}
    return {path: file.read_bytes() for path, file in files.items() if file.exists()}


def make_old(clone: Clone, stage: str) -> dict[str, bytes]:
    """Write other bytes in the place of each output, as if an older run had left them; return them."""
    old = {path: f"an older {path}".encode() for path in OUTPUTS[stage]}
    for path, content in old.items():
        (clone.folder / path).write_bytes(content)
    return old


@pytest.mark.parametrize("victim", ["stage", "writing stage", "dvc", "both"])
@pytest.mark.parametrize("stage", OUTPUTS)
def test_after_a_kill_outputs_are_whole_and_the_next_run_succeeds(clone, stage, victim):
    whole, old = contents(clone, stage), make_old(clone, stage)
    dvc = clone.start(f"dvc repro --force --single-item {stage}")
    process = stage_process(dvc)
    if victim == "writing stage":
        while dvc.poll() is None and not partial_files(clone, stage):
            time.sleep(0.001)
    else:
        time.sleep(random.Random(f"{stage} {victim}").uniform(0, SECONDS[stage]))
    if victim in ("dvc", "both"):
        dvc.kill()
    if victim != "dvc" and process is not None and process.is_running():
        process.kill()
    dvc.communicate(timeout=PATIENCE)
    if process is not None and process.is_running():
        process.wait(timeout=PATIENCE)  # it ends with its dvc

    left = contents(clone, stage)
    assert all(content in (old[path], whole[path]) for path, content in left.items())
    if victim in ("dvc", "both"):
        recover(clone)
    else:  # a killed dvc may have moved an output into its cache and not yet linked it back
        assert left.keys() == whole.keys()
    clone.run("dvc repro")
    assert contents(clone, stage) == whole
    assert clone.run("git status --porcelain") == ""
    assert partial_files(clone, stage) == []


def test_a_killed_training_goes_on_and_ends_with_the_bytes_of_one_left_alone(clone):
    chance = random.Random(0)
    clone.set("train.epochs", 20)
    seconds = float(clone.run("python -m stages.train").split(" s -> ")[0].split()[-1])
    expected, old = contents(clone, "train"), make_old(clone, "train")
    last = 0
    for _ in range(KILLED_TRAININGS):
        training = clone.start("python -m stages.train")
        assert training.stdout
        printed = ""
        while "train: epoch " not in printed and (line := training.stdout.readline()):
            printed += line
        time.sleep(chance.uniform(0, seconds / 20))
        training.kill()
        printed += training.communicate(timeout=PATIENCE)[0]
        epochs = [int(epoch) for epoch in re.findall(r"epoch (\d+) of 20", printed)]
        if last:  # no epoch that was printed is trained again
            assert f" goes on after epoch {epochs[0]} " in printed
            assert epochs[0] >= last
        last = epochs[-1] if training.returncode else 0  # it may have ended before the signal came
        assert all(content in (old[path], expected[path]) for path, content in contents(clone, "train").items())
    clone.run("python -m stages.train")
    assert contents(clone, "train") == expected
    assert list((clone.folder / ".dvc/tmp/checkpoints").iterdir()) == []


def test_while_dvc_runs_a_stage_others_are_refused_and_the_stage_ends_with_its_dvc(clone):
    before = contents(clone, "train")
    clone.set("train.epochs", 500)  # runs longer than the test
    dvc = clone.start("dvc repro")
    stage = stage_process(dvc)
    assert stage
    holder = clone.folder / ".dvc/tmp/stage.holder"
    while not (holder.exists() and str(stage.pid) in holder.read_text()):
        assert stage.is_running()
        time.sleep(0.01)
    other = clone.attempt("python -m stages.preprocess")
    assert other.returncode == 1
    assert f"preprocess: process {stage.pid} (stage train) is still running in this folder" in other.stderr
    assert str(dvc.pid) in clone.attempt("dvc repro").stderr

    dvc.kill()
    printed = dvc.communicate(timeout=PATIENCE)[0]  # returns when no process writes to it any more
    assert f"train: dvc (process {dvc.pid}) has ended, so this stage ends too" in printed
    clone.run("git checkout -q params.yaml")
    assert clone.ran(clone.run("dvc repro")) == []
    assert contents(clone, "train") == before


@pytest.mark.parametrize("stage", OUTPUTS)
def test_on_a_full_disk_a_stage_fails_with_one_line_and_changes_no_output(clone, stage):
    done = clone.attempt(f"ulimit -f 1 && python -m stages.{stage}")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "warning" not in line]
    assert re.match(f"{stage}: .* could not be written: ", line)
    assert partial_files(clone, stage) == []
    assert clone.run("git status --porcelain") == ""
    assert "up to date" in clone.run("dvc status")
