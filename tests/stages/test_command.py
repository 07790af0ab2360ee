import pytest

from stages import command


def test_a_refusal_is_one_line_and_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise ValueError("what,\n  where")

    with pytest.raises(SystemExit) as stopped:
        command.run("train", refuse)
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "train: what, where\n"


def test_an_interrupted_stage_says_so_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        command.run("train", interrupted)
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "train: interrupted; outputs are as they were, or whole\n"


def test_a_defect_keeps_its_traceback() -> None:
    def defective() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        command.run("train", defective)
