"""How a stage and a command end: their exit status and line on stderr, and what stdout may do to them."""

import shlex
import sys
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from pygit2 import GitError
from ruamel.yaml import YAMLError
from scmrepo.exceptions import SCMError

from classifier import command
from tests.clone import REPOSITORY, finish

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


def program(kind: str, lines: object, after: str = "", python: str = "") -> tuple[int, str, str]:
    """Run a stage or a command that prints lines, through the shell; return its exit status, stdout and stderr."""
    Path("program.py").write_text(PROGRAM, encoding="utf-8")
    line = f"{shlex.quote(sys.executable)} {python} program.py {kind} {lines} {after}"
    environment = {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "ascii"}
    done = finish(["bash", "-o", "pipefail", "-c", line], environment)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("kind", "status"), [("run", 1), ("command", 2)])
def test_it_ends_with_at_most_one_line_whatever_happens_to_its_input_or_its_stdout(kind, status):
    assert program(kind, "bad") == (status, "", "name: what, where\\x1b[31m\\u202e\n")
    assert "Traceback" in program(kind, "bad", python="-X dev")[2]
    assert program(kind, 1) == (0, "0.55 ? 0.07\n\n", "")  # stdout cannot encode ±
    for lines in (1, 100_000):
        assert program(kind, lines, "| true") == (141, "", "")  # the reader goes away
        if Path("/dev/full").exists():  # on Linux
            full, _, error = program(kind, lines, "> /dev/full")
            assert (full, error.count("\n")) == (status, 1)
            assert error.startswith("name: ")
            assert "No space left" in error


@pytest.mark.parametrize("kind", [DvcException, SCMError, GitError, YAMLError, OSError])
def test_errors_of_dvc_git_yaml_and_the_system_are_refusals(capsys, kind):
    for error, line in ((kind("no"), "no"), (FileNotFoundError(2, "no such file", "x.npz"), "x.npz: no such file")):

        @command.command("name", refused=2)
        def main(_: list[str] | None, error: Exception = error) -> int:
            raise error

        assert main() == 2
        assert capsys.readouterr().err == f"name: {line}\n"


def test_a_defect_keeps_its_traceback_and_an_interrupt_is_one_line(capsys):
    def fail(error: BaseException) -> None:
        raise error

    with pytest.raises(KeyError):
        command.run("train", lambda: fail(KeyError("a bug")))
    with pytest.raises(SystemExit) as stopped:
        command.run("train", lambda: fail(KeyboardInterrupt()))
    assert stopped.value.code == 130
    assert capsys.readouterr().err.startswith("train: interrupted; each output is ")


@pytest.mark.parametrize("name", ["NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "GLIBC_TUNABLES"])
def test_a_variable_that_changes_the_kernels_of_numpy_or_the_c_library_is_refused(monkeypatch, refusal, name):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")  # which changes no result
    command.run("train", lambda: None)
    value = "glibc.malloc.check=1:glibc.cpu.hwcaps=-AVX2"
    monkeypatch.setenv(name, value)
    line = refusal("train", lambda: pytest.fail("the stage started"))
    assert line.startswith(f"train: the environment variable {name} is '{value}'")
    assert line.endswith("unset it")
