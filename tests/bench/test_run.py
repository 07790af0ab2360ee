"""bench.run compares runs of one round, refuses what it would not measure, and ignores the user's DVC settings."""

import os

import pytest

from bench import run
from bench.run import DEFAULT, NO_OP, NOTEBOOK, TRIVIAL, Run, git


@pytest.mark.parametrize(("precision", "goals"), [("mixed_bfloat16", ("0.30", "1.15")), ("float32", ("", ""))])
def test_a_ratio_is_the_median_of_those_of_each_round_and_goals_are_for_bfloat16(
    tmp_path, monkeypatch, capsys, precision, goals
):
    # A machine that becomes slower; the ratio of the medians would be 12 / 20 = 0.6.
    idle = {NO_OP: Run(3.0), TRIVIAL: Run(2.0)}
    rounds = [
        {NOTEBOOK: Run(10.0, 0.98), DEFAULT: Run(4.0, 0.99), "once.yaml": Run(30.0, 0.97)} | idle,
        {NOTEBOOK: Run(20.0, 0.98), DEFAULT: Run(12.0, 0.99)} | idle,
        {NOTEBOOK: Run(40.0, 0.98), DEFAULT: Run(22.0, 0.99)} | idle,
    ]
    measured = iter(rounds)
    monkeypatch.setattr(run, "measured_commit", lambda: "abc")
    monkeypatch.setattr(run, "measure", lambda *_: (next(measured), {"kernels": "some", "precision": precision}))
    assert run.main(["--mirror", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"\nCommit abc; some, {precision}; rounds: 3; medians:\n" in printed
    assert [[cell.strip() for cell in line[1:-1].split("|")] for line in printed.splitlines()[-5:]] == [
        [NOTEBOOK, "20.00", "1.000", "", "0.9800"],
        [DEFAULT, "12.00", "0.550", goals[0], "0.9900"],
        ["once.yaml", "30.00", "3.000", "", "0.9700"],
        [NO_OP, "3.00", "1.500", goals[1], ""],
        [TRIVIAL, "2.00", "0.100", "", ""],
    ]


def test_trivial_stages_have_the_settings_of_this_project_and_not_those_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_CACHE_DIR", "theirs")
    environment = run.environment_in(tmp_path, tmp_path / "mnist.npz")
    settings = [value for name, value in environment.items() if name.startswith("DVC_")]
    assert sum(value.startswith(str(tmp_path)) for value in settings) == len(settings) == 3
    assert environment["DATASET_MIRROR"] == str(tmp_path / "mnist.npz")
    clone = run.trivial_pipeline(tmp_path / "clone", ["one", "two"], environment)
    assert (clone / ".dvc/config").read_bytes() == (run.REPOSITORY / ".dvc/config").read_bytes()
    assert run.repro(clone, environment, []) > 0


def test_an_archive_that_is_not_here_is_refused(capsys):
    for mirror in ("absent.npz", "https://example.org/mnist.npz"):  # a download would be timed
        assert run.main(["--mirror", mirror]) == 1
        assert capsys.readouterr().err.endswith(": No such file or directory\n")


def test_a_change_outside_bench_is_refused_and_one_in_bench_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench").mkdir()
    for name in ("bench/run.py", "params.yaml"):
        (tmp_path / name).write_text("old\n")
    git("init", "--quiet")
    git("add", "--all")
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    git(*author, "commit", "--quiet", "--message", "Both")
    (tmp_path / "bench/run.py").write_text("new\n")
    assert run.measured_commit() == git("rev-parse", "--short", "HEAD")[0]
    (tmp_path / "params.yaml").write_text("new\n")
    with pytest.raises(ValueError, match=r"this folder differs: .*params\.yaml; commit or stash"):
        run.measured_commit()


@pytest.mark.parametrize("expected", [["download", "train"], []])
def test_a_pipeline_that_fails_or_runs_other_stages_than_expected_is_not_measured(expected, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "run_command", lambda *_: (["Running stage 'train':", "> python"], 1.0))
    with pytest.raises(ValueError, match=r"ran the stages \['train'\], expected"):
        run.repro(tmp_path, {}, expected)
    monkeypatch.undo()
    with pytest.raises(OSError, match=r"exited with 3: why$"):
        run.run_command(["python", "-c", "print('why'); exit(3)"], tmp_path, os.environ)
