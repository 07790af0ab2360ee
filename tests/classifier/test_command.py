"""How a stage and a command end: their exit status and line on stderr, and what stdout may do to them."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from dvc.exceptions import DvcException
from pygit2 import GitError
from scmrepo.exceptions import SCMError

from classifier import command
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.usefixtures("project")  # its lock, not that of this checkout

PROGRAM = """\
import sys
from classifier.command import command, run
name, lines = sys.argv[1:]
def main(*_):
    if lines == "bad": raise ValueError("what,\\n  where\\x1b[31m\\u202e")
    print("0.55 ± 0.07\\n" * int(lines))
    return 0
run("name", main) if name == "run" else sys.exit(command("name", refused=2)(main)())
"""


def program(kind: str, lines: object, after: str = "", python: str = "") -> subprocess.CompletedProcess[str]:
    """Run a stage or a command that prints lines, through the shell."""
    Path("program.py").write_text(PROGRAM, encoding="utf-8")
    line = f"{shlex.quote(sys.executable)} {python} program.py {kind} {lines} {after}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env={"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(("kind", "status"), [("run", 1), ("command", 2)])
def test_an_error_is_one_line_and_a_traceback_only_in_development_mode(kind: str, status: int) -> None:
    done = program(kind, "bad")
    assert (done.returncode, done.stderr) == (status, "name: what, where\\x1b[31m\\u202e\n")
    assert "Traceback" in program(kind, "bad", python="-X dev").stderr


@pytest.mark.parametrize(("kind", "status"), [("run", 1), ("command", 2)])
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_goes_away_ends_it_quietly_and_a_full_disk_is_one_line(
    kind: str, status: int, lines: int
) -> None:
    done = program(kind, lines, "| true")
    assert (done.returncode, done.stderr) == (141, "")
    if Path("/dev/full").exists():  # on Linux
        done = program(kind, lines, "> /dev/full")
        assert (done.returncode, done.stderr.count("\n")) == (status, 1)
        assert done.stderr.startswith("name: ")
        assert done.stderr.endswith("[Errno 28] No space left on device\n")


@pytest.mark.parametrize("kind", ["run", "command"])
def test_characters_that_stdout_cannot_encode_are_replaced(kind: str) -> None:
    assert program(kind, 1).stdout == "0.55 ? 0.07\n\n"


@pytest.mark.parametrize("kind", [DvcException, SCMError, GitError, yaml.YAMLError, OSError])
def test_errors_of_dvc_git_and_yaml_are_refusals(capsys: pytest.CaptureFixture[str], kind: type[Exception]) -> None:
    @command.command("name", refused=2)
    def main(_: list[str] | None) -> int:
        raise kind("no")

    assert main() == 2
    assert capsys.readouterr().err == "name: no\n"


def test_a_defect_keeps_its_traceback_and_an_interrupt_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(error: BaseException) -> None:
        raise error

    with pytest.raises(KeyError):
        command.run("train", lambda: fail(KeyError("a bug")))
    with pytest.raises(SystemExit) as stopped:
        command.run("train", lambda: fail(KeyboardInterrupt()))
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "train: interrupted; each output is either the old file or the complete new one\n"


@pytest.mark.parametrize("name", ["NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "GLIBC_TUNABLES"])
def test_a_variable_that_changes_the_kernels_of_numpy_or_the_c_library_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str], name: str
) -> None:
    value = "glibc.malloc.check=1:glibc.cpu.hwcaps=-AVX2"
    monkeypatch.setenv(name, value)
    line = refusal("train", lambda: pytest.fail("the stage started"))
    assert line == f"train: the environment variable {name} is '{value}', which changes results; unset it"


def test_settings_of_the_c_library_that_do_not_change_results_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    command.run("train", lambda: None)
