"""What stdout may do to a command: be closed, be full, or be of few characters."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.review.repository import Repository

Run = Callable[..., subprocess.CompletedProcess[str]]

NAMES = ("compare", "report", "verify", "noise")
ARGUMENTS = {"compare": "main", "report": "main", "verify": "", "noise": "--seeds 2"}

NOISE = """\
import sys
from review import noise
from review.seeds import parse_record

seeds = [
    {"seed": seed, "model": "0" * 32, "test": {"loss": 0.5, "misread": list(range(5 - seed))}} for seed in (0, 1)
]
record = {"dataset": "mnist", "parameters": {}, "environment": {}, "training": {"x": "0" * 32}, "seeds": seeds}
record |= {"images": {"test": 10}, "looks": [2]}
noise.measure = lambda *_: parse_record(record, "the record")
sys.exit(noise.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def run(repository_of_module: Repository) -> Run:
    """Run a command as a program through the shell; noise without the training."""
    repository = repository_of_module
    repository.put("dvc.lock", "schema: '2.0'\nstages:\n  train:\n    cmd: echo 1\n")
    repository.put("dvc.yaml", "stages:\n  train:\n    cmd: echo 1\n")
    repository.put("noise.py", NOISE)
    repository.put("params.yaml", "download: {dataset: mnist}\ntrain: {epochs: 5, café: 1}\n")
    (repository.folder / "data/raw").mkdir(parents=True)
    repository.put("data/raw/dataset.json", '{"dataset": "mnist", "requested": "mnist"}')
    (repository.folder / "stages").mkdir()

    def run(name: str, after: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = f"{shlex.quote(sys.executable)} " + ("noise.py" if name == "noise" else f"-m review.{name}")
        return repository.attempt(
            f"set -o pipefail; {program} {ARGUMENTS[name]} {after}", PYTHONPATH=str(REPOSITORY), **environment
        )

    return run


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_that_goes_away_ends_a_command_quietly(run: Run, name: str) -> None:
    done = run(name, "| true")
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
@pytest.mark.parametrize("name", ["compare", "noise"])  # what they share is tested above with all four
def test_output_that_cannot_be_written_is_one_line_and_a_failure(run: Run, name: str) -> None:
    done = run(name, "> /dev/full")
    expected = f"{name}: the output could not be written: [Errno 28] No space left on device\n"
    assert (done.returncode, done.stderr) == ({"compare": 2, "noise": 1}[name], expected)


@pytest.mark.parametrize("name", ["compare", "noise"])
def test_what_the_encoding_of_stdout_lacks_is_replaced(run: Run, name: str) -> None:
    done = run(name, "", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("0.5500 ? 0.0707" if name == "noise" else "train.caf?") in done.stdout
