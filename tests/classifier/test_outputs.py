"""What becomes of outputs: of one file, and of those of a stage whose inputs are edited while it runs."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from shutil import copy2

import pytest

from classifier.command import run
from classifier.files import remove, whole_file
from classifier.inputs import SMALL

OUTPUTS = [Path("models/model"), Path("metrics.json"), Path("curve.csv")]
STAGE = {
    "deps": ["code.py", "late.txt", "images.npy"],
    "params": ["train"],
    "outs": [{str(OUTPUTS[0]): {"persist": True}}],
    "metrics": [{str(OUTPUTS[1]): {"cache": False}}],
    "plots": [str(OUTPUTS[2])],
}
CODE = "print('a stage')\n"


def write(path: str, text: str) -> Callable[[], object]:
    return lambda: Path(path).write_text(text)


def fail() -> None:
    raise ValueError("a reason")


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (write("code.py", "2"), "code.py changed while the stage ran, so its outputs stay the old ones"),
        (lambda: Path("code.py").unlink(), "code.py changed"),
        (write("late.txt", ""), "late.txt changed"),
        (write("images.npy", "1" * (SMALL + 1)), "images.npy changed"),
        (lambda: Path(copy2("images.npy", "same.npy")).rename("images.npy"), "images.npy changed"),
        (write("params.yaml", "train: {epochs: 4}"), "params.yaml (section train) changed"),
        (write("params.yaml", "]"), "params.yaml (section train) changed"),
        (fail, "a reason"),
        (write("params.yaml", "train: {epochs: 1}\ndownload: {seed: 1}"), None),
        (write("code.py", CODE), None),
    ],
)
def test_an_input_that_changes_while_a_stage_runs_is_named_and_no_output_changes(project, refusal, edit, line):
    Path("models").mkdir()
    for path, text in {"code.py": CODE, "images.npy": "0" * (SMALL + 1), "params.yaml": "train: {epochs: 1}"}.items():
        Path(path).write_text(text)
        os.utime(path, (0, 0))  # an edit has another time, however soon it comes
    Path("dvc.yaml").write_text(json.dumps({"stages": {"train": STAGE}}))
    for path in [*OUTPUTS, Path("checkpoint")]:
        path.write_text("old")

    def main() -> None:
        for path in [*OUTPUTS, Path("training.csv")]:
            with whole_file(path) as partial:
                partial.write_text("new")
        remove(Path("checkpoint"))
        assert Path("training.csv").exists()  # which is no output: it is read while the network trains
        assert {path.read_text() for path in OUTPUTS} == {"old"}
        edit()

    if line:
        assert refusal("train", main).startswith(f"train: {line}")
    else:
        run("train", main)
    assert {path.read_text() for path in OUTPUTS} == {"old" if line else "new"}
    assert Path("checkpoint").exists() == bool(line)
    assert not list(Path().rglob(".partial-*"))
    with whole_file(OUTPUTS[0]) as partial:
        partial.write_text("later")
    assert OUTPUTS[0].read_text() == "later"  # after the stage, at once


def test_if_the_disk_is_full_a_line_says_so_and_only_the_old_file_remains(tmp_path):
    target = tmp_path / "output"
    target.write_text("old")

    def fail_halfway() -> None:
        with whole_file(target) as path:
            path.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=f"^{target} could not be written: No space left on device$"):
        fail_halfway()
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
    assert target.read_text() == "old"


def test_the_bytes_are_on_the_disk_before_the_file_gets_its_name(tmp_path, monkeypatch):
    target, synced = tmp_path / "output", []

    def note(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, target.exists()))

    monkeypatch.setattr(os, "fsync", note)
    with whole_file(target) as path:
        path.write_text("new")
    assert synced == [(3, False)]


def test_the_file_of_a_killed_run_is_overwritten_and_a_hard_link_keeps_the_old_bytes(tmp_path):
    target, cached = tmp_path / "output", tmp_path / "cached"
    target.write_text("old")
    cached.hardlink_to(target)
    (tmp_path / ".partial-output").write_text("written by a run that was killed")
    with whole_file(target) as path:
        path.write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"output": "new", "cached": "old"}
