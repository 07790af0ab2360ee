"""No stage uses damaged data: outputs that were edited in place, and cache objects with a changed byte."""

import hashlib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.clone import Clone

pytestmark = [pytest.mark.faults, pytest.mark.slow]

READER = {  # each output that DVC caches and a stage reads, and that stage
    "data/raw/mnist.npz": "preprocess",
    "data/processed/train_images.npy": "train",
    "data/processed/train_labels.npy": "train",
    "data/processed/validation_images.npy": "evaluate",
    "data/processed/validation_labels.npy": "evaluate",
    "data/processed/test_images.npy": "evaluate",
    "data/processed/test_labels.npy": "evaluate",
    "models/model.keras": "export",
    "models/model.onnx": "evaluate",
}
every_output_and_link = pytest.mark.parametrize(
    ("link", "path"), [(link, path) for link in ("copy", "hardlink", "symlink") for path in READER]
)


class Cached:
    """One output of a clone whose outputs are all copies, hard links or symbolic links of cache objects."""

    def __init__(self, clone: Clone, link: str, path: str) -> None:
        self.clone = clone
        clone.run(f"dvc config --local cache.type {link} && dvc checkout -q -f --relink")
        self.path = path
        self.output = clone.folder / path
        self.before = self.bytes()
        self.md5 = hashlib.md5(self.output.read_bytes()).hexdigest()
        self.object = clone.folder / ".dvc/cache/files/md5" / self.md5[:2] / self.md5[2:]

    def bytes(self) -> dict[str, bytes]:
        """The contents of every output of every stage."""
        lock = YAML(typ="safe").load(self.clone.read("dvc.lock"))
        paths = [out["path"] for entry in lock["stages"].values() for out in entry["outs"]]
        return {path: (self.clone.folder / path).read_bytes() for path in paths}

    def force_the_reader(self) -> str | None:
        """Run the stage that reads the output; return None if it succeeds, otherwise its error message."""
        done = self.clone.attempt(f"dvc repro --force --single-item {READER[self.path]}")
        if done.returncode == 0:
            return None
        (line,) = [line for line in done.stderr.splitlines() if line.startswith(READER[self.path])]
        return line

    def make_repro(self) -> None:
        self.clone.run("make --old-file=.venv/installed repro")


def flip_a_byte(path: Path) -> None:
    """Change the file in place; this changes every link to it too."""
    with path.open("r+b") as file:
        content = bytearray(file.read())
        content[len(content) // 2] ^= 1
        file.seek(0)
        file.write(content)


@pytest.fixture
def cached(clone: Clone, link: str, path: str) -> Cached:
    return Cached(clone, link, path)


@every_output_and_link
def test_an_output_edited_in_place_is_refused_and_made_again_by_the_named_command_or_make_repro(cached: Cached) -> None:
    flip_a_byte(cached.output)
    line = cached.force_the_reader()
    assert line is not None
    remedy = line.split("`")[1]
    assert f" wrote {cached.md5}; " in line  # the embedded digits have two equal files: the line names one of them
    assert remedy.startswith("dvc repro --force ")
    cached.clone.run(f"{remedy} && dvc repro")
    assert cached.bytes() == cached.before
    flip_a_byte(cached.output)
    cached.make_repro()
    assert cached.bytes() == cached.before
    assert cached.clone.run("git status --porcelain") == ""


@every_output_and_link
def test_no_result_is_made_from_a_damaged_cache_object(cached: Cached) -> None:
    """DVC itself trusts a read-only object, and restores a missing output from it."""
    cached.clone.run("dvc repro")
    flip_a_byte(cached.object)
    cached.output.unlink()
    cached.clone.run("dvc repro")
    if cached.bytes() != cached.before:
        line = cached.force_the_reader()
        assert line is not None
        assert f" wrote {cached.md5}; " in line
    cached.make_repro()
    assert cached.bytes() == cached.before
    assert hashlib.md5(cached.object.read_bytes()).hexdigest() == cached.md5
    assert cached.clone.run("git status --porcelain") == ""


@pytest.mark.parametrize("share", [0, 0.1, 0.6])
def test_an_incomplete_dvc_lock_is_reported_with_the_command_that_repairs_it(clone: Clone, share: float) -> None:
    before = clone.read("dvc.lock")
    for size in range(int(share * len(before)), len(before)):  # until the cut makes the file invalid
        (clone.folder / "dvc.lock").write_text(before[:size])
        done = clone.attempt("python -m classifier.running.integrity")
        if done.returncode:
            break
    assert done.stderr.startswith("integrity: dvc.lock is not a whole lock file, ")
    assert done.stderr.count("\n") == 1
    verified = clone.attempt("python -m review.verify")
    assert verified.returncode == 1
    assert verified.stderr == done.stderr.replace("integrity: ", "verify: ")
    refused = clone.attempt("make --old-file=.venv/installed repro")
    assert refused.returncode != 0
    assert "Running stage" not in refused.stdout
    clone.run(done.stderr.split("`")[1])
    assert clone.ran(clone.run("dvc repro")) == []
    assert clone.read("dvc.lock") == before


def test_an_incomplete_rwlock_is_reported_with_the_command_that_repairs_it(clone: Clone) -> None:
    (clone.folder / ".dvc/tmp/rwlock").write_text('{"write": {')
    assert clone.attempt("dvc repro").returncode != 0
    done = clone.attempt("python -m classifier.running.integrity")
    assert done.stderr.startswith("integrity: .dvc/tmp/rwlock is incomplete; ")
    clone.run(done.stderr.split("`")[1])
    assert clone.ran(clone.run("dvc repro")) == []
