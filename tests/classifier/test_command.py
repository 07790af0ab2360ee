import io
import sys
from collections.abc import Callable

import pytest

from classifier import command

pytestmark = pytest.mark.usefixtures("project")  # its lock, not that of this checkout


def test_an_error_is_one_line_with_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise ValueError("what,\n  where")

    with pytest.raises(SystemExit) as stopped:
        command.run("train", refuse)
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "train: what, where\n"


def test_an_interrupted_stage_prints_one_line_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        command.run("train", interrupted)
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "train: interrupted; each output is either the old file or the complete new one\n"


def test_characters_that_stdout_cannot_encode_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    command.run("train", lambda: print("train: \u2502 conv_1", flush=True))
    assert stdout.buffer.getvalue() == b"train: ? conv_1\n"


def test_a_defect_keeps_its_traceback() -> None:
    def defective() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        command.run("train", defective)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NPY_DISABLE_CPU_FEATURES", "X86_V3"),
        ("NPY_ENABLE_CPU_FEATURES", "X86_V3"),
        ("GLIBC_TUNABLES", "glibc.malloc.check=1:glibc.cpu.hwcaps=-AVX2"),
    ],
)
def test_a_variable_that_changes_the_kernels_of_numpy_or_the_c_library_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    line = refusal("train", lambda: pytest.fail("the stage started"))
    assert line == f"train: the environment variable {name} is '{value}', which changes results; unset it"


def test_settings_of_the_c_library_that_do_not_change_results_are_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    command.run("train", lambda: None)
