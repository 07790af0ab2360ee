"""No output is lost if stages or dvc are killed at random times, if the disk is full, or if two runs start at once."""

import hashlib
import random
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.clone import Clone

pytestmark = [pytest.mark.faults, pytest.mark.slow]

OUTPUTS = {
    "download": ["data/raw/mnist.npz", "data/raw/dataset.json"],
    "preprocess": [
        f"data/processed/{split}_{kind}.npy"
        for split in ("train", "validation", "test")
        for kind in ("images", "labels")
    ],
    "train": ["models/model.keras", "models/provenance.json", "evaluation/history.csv"],
    "export": ["models/model.onnx", "evaluation/export.json", "page/index.html"],
    "evaluate": [
        "metrics.json",
        "evaluation/predictions.csv",
        "evaluation/per_class.csv",
        "evaluation/confusion_matrix.png",
        "evaluation/misclassified.png",
    ],
}
VICTIMS = ("stage", "dvc", "both")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS = 32
KILLED_TRAININGS = 20  # in one training, until it ends


def start(clone: Clone, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=clone.folder,
        env=clone.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def stage_process(dvc: subprocess.Popen[str], within: float = 20) -> psutil.Process | None:
    """Wait for the stage that dvc starts and return its process; None if dvc ends first or starts none."""
    for _ in range(int(within / 0.02)):
        if dvc.poll() is not None:
            return None
        for child in psutil.Process(dvc.pid).children(recursive=True):
            try:
                if any(argument.startswith("stages.") for argument in child.cmdline()):
                    return child
            except psutil.Error:
                continue
        time.sleep(0.02)
    return None


def recover(clone: Clone) -> None:
    """Do what docs/guarantees.md says about a dvc that was killed while it wrote a file of its own."""
    (clone.folder / ".git/index.lock").unlink(missing_ok=True)
    if "git checkout dvc.lock" in clone.attempt("python -m review.verify").stderr:
        clone.run("git checkout dvc.lock")
    with suppress(FileNotFoundError):  # docs/guarantees.md: no dvc command is running
        (clone.folder / ".dvc/tmp/rwlock").unlink()


def partial_files(clone: Clone) -> list[Path]:
    return [path for top in ("data", "models", "evaluation") for path in (clone.folder / top).rglob(".partial-*")]


@pytest.fixture(scope="module")
def seconds() -> dict[str, float]:
    """The time that each stage takes if nothing disturbs it; the first test that runs the stage measures it."""
    return {}


@pytest.mark.parametrize("number", range(KILLS))
def test_after_a_kill_at_any_time_outputs_are_whole_and_the_next_run_succeeds(
    clone: Clone, seconds: dict[str, float], number: int
) -> None:
    chance = random.Random(number)
    stage = list(OUTPUTS)[number % len(OUTPUTS)]
    victim, sent = chance.choice(VICTIMS), chance.choice(SIGNALS)
    whole = {path: (clone.folder / path).read_bytes() for path in OUTPUTS[stage]}
    if stage not in seconds:
        began = time.monotonic()
        clone.run(f"python -m stages.{stage}")
        seconds[stage] = time.monotonic() - began
    old = {path: b"an older " + path.encode() for path in OUTPUTS[stage]}
    for path, content in old.items():
        (clone.folder / path).unlink()
        (clone.folder / path).write_bytes(content)

    dvc = start(clone, f"dvc repro --force --single-item {stage}")
    process = stage_process(dvc)
    time.sleep(chance.uniform(0, seconds[stage]))
    if victim in ("dvc", "both") and dvc.poll() is None:
        dvc.send_signal(sent)
    if victim in ("stage", "both") and process is not None and process.is_running():
        process.send_signal(sent)
    dvc.communicate(timeout=60)
    if process is not None and process.is_running():
        process.wait(timeout=10 if victim != "dvc" or sent != signal.SIGINT else 60)

    for path in OUTPUTS[stage]:
        file = clone.folder / path
        # dvc moves an output into its cache and links it back; killed in between, it leaves the file in the cache only.
        if file.exists() or victim == "stage":
            assert file.read_bytes() in (old[path], whole[path]), path
    if victim != "stage":
        recover(clone)
    clone.run("dvc repro")
    assert {path: (clone.folder / path).read_bytes() for path in OUTPUTS[stage]} == whole
    assert clone.run("git status --porcelain") == ""
    assert partial_files(clone) == []


def test_a_training_that_is_killed_20_times_ends_with_the_bytes_of_one_that_was_not(clone: Clone) -> None:
    chance = random.Random(0)
    clone.set("train.epochs", 20)
    clone.set("train.filters", "[8]")
    began = time.monotonic()
    whole = clone.run("python -m stages.train")
    seconds = time.monotonic() - began
    fitted = float(whole.split(" s -> ")[0].split()[-1])
    expected = {path: (clone.folder / path).read_bytes() for path in OUTPUTS["train"]}
    checkpoints = clone.folder / ".dvc/tmp/checkpoints"
    kills, last, passed = 0, 0, set()
    while kills < KILLED_TRAININGS:
        for path in OUTPUTS["train"]:
            (clone.folder / path).write_bytes(b"old")
        training = start(clone, "python -m stages.train")
        assert training.stdout
        printed, epochs = "", chance.randrange(4)  # whole epochs before the kill
        while printed.count("train: epoch ") < epochs and (line := training.stdout.readline()):
            printed += line
        time.sleep(chance.uniform(0, fitted / 20 if epochs else seconds - fitted))
        if training.poll() is None:
            training.kill()
            kills += 1
        printed += training.communicate(timeout=20)[0]
        if ended := re.findall(r"epoch (\d+) of 20", printed):
            if last:  # no epoch that was printed is trained again
                assert f" goes on after epoch {ended[0]} " in printed
                assert int(ended[0]) >= last
            passed.add(last)
            last = int(ended[-1])
        found = {path: (clone.folder / path).read_bytes() for path in OUTPUTS["train"]}
        assert training.returncode in (0, -signal.SIGKILL), printed
        if last and not list(checkpoints.glob("*.checkpoint")):  # removed when all outputs are written
            assert found == expected
            last = 0
        else:
            assert training.returncode != 0
            assert all(content in (b"old", expected[path]) for path, content in found.items())
    clone.run("python -m stages.train")
    assert {path: (clone.folder / path).read_bytes() for path in OUTPUTS["train"]} == expected
    assert len(passed) >= 5  # it went on after that many different epochs
    assert list(checkpoints.iterdir()) == []


def test_an_experiment_elsewhere_goes_on_where_a_killed_one_ended(clone: Clone) -> None:
    command = "dvc exp run --temp -S train.epochs=20 -S 'train.filters=[8]'"
    checkpoints = clone.folder / ".dvc/tmp/checkpoints"
    dvc = start(clone, f"{command} --name killed")
    process = stage_process(dvc, within=60)
    assert process is not None
    while not list(checkpoints.glob("[!.]*.checkpoint")):
        assert dvc.poll() is None, dvc.communicate()[0]
        time.sleep(0.02)
    process.kill()
    dvc.communicate(timeout=60)
    assert "train: an interrupted training goes on after epoch " in clone.run(f"{command} --name again")
    assert list(checkpoints.iterdir()) == []
    clone.set("train.epochs", 20)
    clone.set("train.filters", "[8]")
    clone.run("python -m stages.train")
    lock = clone.run("git show $(git for-each-ref --format='%(refname)' | grep '/again$'):dvc.lock")
    assert hashlib.md5((clone.folder / "models/model.keras").read_bytes()).hexdigest() in lock


def test_a_stage_ends_with_the_dvc_that_started_it(clone: Clone) -> None:
    before = (clone.folder / "models/model.keras").read_bytes()
    clone.set("train.epochs", 2)
    dvc = start(clone, "dvc repro")
    orphan = stage_process(dvc)
    assert orphan is not None
    time.sleep(1)
    dvc.kill()
    printed = dvc.communicate(timeout=20)[0]
    assert f"train: dvc (process {dvc.pid}) has ended, so this stage ends too" in printed
    assert not orphan.is_running()
    clone.run("git checkout -q params.yaml")
    assert clone.ran(clone.run("dvc repro")) == []
    assert (clone.folder / "models/model.keras").read_bytes() == before


def test_of_two_dvc_repro_at_once_the_second_is_refused_and_names_the_first(clone: Clone) -> None:
    clone.set("train.epochs", 3)
    first = start(clone, "dvc repro")
    assert stage_process(first) is not None
    second = clone.attempt("dvc repro")
    assert second.returncode != 0
    assert str(first.pid) in second.stderr
    assert "Traceback" not in second.stderr
    printed = first.communicate(timeout=60)[0]
    assert first.returncode == 0, printed
    assert "up to date" in clone.run("dvc status")


def test_a_stage_started_by_hand_while_another_runs_is_refused_and_names_it(clone: Clone) -> None:
    clone.set("train.epochs", 500)  # runs longer than the test
    first = start(clone, "python -m stages.train")
    holder = clone.folder / ".dvc/tmp/stage.holder"
    while not (holder.exists() and str(first.pid) in holder.read_text()) and first.poll() is None:
        time.sleep(0.05)
    second = clone.attempt("python -m stages.preprocess")
    assert second.returncode == 1
    assert f"preprocess: process {first.pid} (stage train) is still running in this folder" in second.stderr
    first.kill()
    first.communicate(timeout=20)
    clone.run("python -m stages.preprocess")  # a killed stage no longer holds the lock


@pytest.mark.parametrize("stage", OUTPUTS)
def test_on_a_full_disk_a_stage_fails_with_one_line_and_changes_no_output(clone: Clone, stage: str) -> None:
    done = clone.attempt(f"ulimit -f 1 && python -m stages.{stage}")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "warning" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"{stage}: ")
    assert " could not be written: " in lines[0]
    assert partial_files(clone) == []
    assert clone.run("git status --porcelain") == ""
    assert "up to date" in clone.run("dvc status")


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(clone: Clone) -> None:
    """A file is in the place of the folder: this stops root too, unlike permissions."""
    folder = clone.folder / "evaluation"
    kept = folder.rename(clone.folder / "kept")
    folder.write_text("not a folder")
    try:
        done = clone.attempt("python -m stages.evaluate")
    finally:
        folder.unlink()
        kept.rename(folder)
    assert done.returncode == 1
    assert "evaluate: evaluation/predictions.csv could not be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert clone.run("git status --porcelain") == ""
