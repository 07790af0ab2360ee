import errno
import os

import pytest

from classifier.files import whole_file


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
