"""bench.run compares runs of one round, refuses what it would not measure, and ignores the user's DVC settings."""

import os
from pathlib import Path

import pytest

from bench import run
from bench.run import DEFAULT, NOTEBOOK, Run


def test_a_ratio_is_the_median_of_the_ratios_within_each_round() -> None:
    # A machine that becomes slower; the ratio of the medians would be 12 / 20 = 0.6.
    rounds = [
        {NOTEBOOK: Run(10.0, 0.98), DEFAULT: Run(4.0, 0.99), "once.yaml": Run(30.0, 0.97)},
        {NOTEBOOK: Run(20.0, 0.98), DEFAULT: Run(12.0, 0.99)},
        {NOTEBOOK: Run(40.0, 0.98), DEFAULT: Run(22.0, 0.99)},
    ]
    assert run.table(rounds)[1:] == [
        [NOTEBOOK, "20.00", "1.000", "0.9800"],
        [DEFAULT, "12.00", "0.550", "0.9900"],
        ["once.yaml", "30.00", "3.000", "0.9700"],
    ]


def test_an_archive_that_is_not_here_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for mirror in ("absent.npz", "https://example.org/mnist.npz"):  # a download would be timed
        assert run.main(["--mirror", mirror]) == 1
        assert capsys.readouterr().err.startswith("bench: [Errno 2] No such file")


def test_a_change_outside_bench_is_refused_and_one_in_bench_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "REPOSITORY", tmp_path)
    (tmp_path / "bench").mkdir()
    for name in ("bench/run.py", "params.yaml"):
        (tmp_path / name).write_text("old\n")
    run.git("init", "--quiet")
    run.git("add", "--all")
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    run.git(*author, "commit", "--quiet", "--message", "Both")
    (tmp_path / "bench/run.py").write_text("new\n")
    assert run.measured_commit() == run.git("rev-parse", "--short", "HEAD")[0]
    (tmp_path / "params.yaml").write_text("new\n")
    with pytest.raises(ValueError, match=r"this folder differs: .*params\.yaml; commit or stash"):
        run.measured_commit()


@pytest.mark.parametrize("expected", [["download", "train"], []])
def test_a_pipeline_that_fails_or_runs_other_stages_than_expected_is_not_measured(
    expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "run_command", lambda *_: (["Running stage 'train':", "> python"], 1.0))
    with pytest.raises(ValueError, match=r"ran the stages \['train'\], expected"):
        run.repro(tmp_path, {}, expected)
    monkeypatch.undo()
    with pytest.raises(OSError, match=r"exited with 3: why$"):
        run.run_command(["python", "-c", "print('why'); exit(3)"], tmp_path, os.environ)


def test_the_users_dvc_settings_and_caches_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_CACHE_DIR", "theirs")
    environment = run.environment_in(tmp_path, tmp_path / "mnist.npz")
    settings = {name: value for name, value in environment.items() if name.startswith("DVC_")}
    assert len(settings) == 3
    assert all(value.startswith(str(tmp_path)) for value in settings.values())
    assert environment["DATASET_MIRROR"] == str(tmp_path / "mnist.npz")
