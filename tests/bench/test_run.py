import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bench import machine, run, sandbox
from bench.report import Training
from classifier.model import runtime
from tests.conftest import REPOSITORY


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the bench, which must exit with 1, and return its message on stderr."""

    def refused(*arguments: str) -> str:
        assert run.main(list(arguments)) == 1
        return capsys.readouterr().err

    return refused


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "mnist.npz"
    path.touch()
    return path


def test_an_archive_must_be_named(refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATASET_MIRROR", raising=False)
    assert refuse() == "bench: no archive to read: name a copy of mnist.npz with --mirror or DATASET_MIRROR\n"


def test_an_archive_must_be_a_file_on_this_machine(refuse: Callable[..., str]) -> None:
    message = refuse("--mirror", "absent/mnist.npz")
    assert message == "bench: absent/mnist.npz: no such file; expected a copy of mnist.npz on this machine\n"


def test_two_recipes_with_the_same_name_are_refused(refuse: Callable[..., str], archive: Path, tmp_path: Path) -> None:
    recipes = [tmp_path / folder / "quick.yaml" for folder in ("a", "b")]
    for recipe in recipes:
        recipe.parent.mkdir()
        recipe.touch()
    message = refuse("--mirror", str(archive), *(word for each in recipes for word in ("--recipe", str(each))))
    assert (
        message == f"bench: --recipe and --once: the names of the files must differ, got {recipes[0]}, {recipes[1]}\n"
    )


def test_the_number_of_rounds_must_be_at_least_1(
    refuse: Callable[..., str], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "head", lambda: "abc1234")
    message = refuse("--mirror", str(archive), "--rounds", "0")
    assert message == "bench: --rounds must be at least 1, got 0\n"


def test_a_change_outside_bench_is_refused_but_a_change_inside_is_not(
    refuse: Callable[..., str], archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    monkeypatch.setattr(sandbox, "REPOSITORY", repository)
    for name in ("bench/results.md", "params.yaml"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("old\n")
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    sandbox.git("init", "--quiet")
    sandbox.git("add", "--all")
    sandbox.git(*author, "commit", "--quiet", "--message", "Both")

    (repository / "bench/results.md").write_text("new\n")
    assert run.head() == sandbox.git("rev-parse", "--short", "HEAD").strip()
    (repository / "params.yaml").write_text("new\n")
    assert refuse("--mirror", str(archive)) == (
        "bench: the bench measures HEAD, but these files differ from it: params.yaml; commit or stash them\n"
    )


def test_the_error_about_a_failed_command_has_its_last_line(archive: Path, tmp_path: Path) -> None:
    here = sandbox.prepare(tmp_path / "sandbox", archive)
    with pytest.raises(OSError, match=r"^`python -c print\('why'\); exit\(3\)` exited with 3: why$"):
        sandbox.run_command(here, ["python", "-c", "print('why'); exit(3)"], tmp_path)


def test_the_peak_of_a_process_does_not_include_the_process_that_started_it(archive: Path, tmp_path: Path) -> None:
    here = sandbox.prepare(tmp_path / "sandbox", archive)
    (tmp_path / "large.py").write_text("block = bytearray(64 * 2**20)\n")
    (tmp_path / "small.py").write_text("")
    peaks = {}
    for module, options in {"large": ["-E", "-m"], "small": ["-m"]}.items():
        sandbox.run_command(here, ["python", *options, module], tmp_path)
        peaks[module] = sandbox.recorded(here)[module].peak_mib
    # The process of the tests, with everything that they import, is many times as large as either.
    assert peaks["small"] < 40
    assert 60 < peaks["large"] - peaks["small"] < 70


def test_the_users_dvc_settings_and_caches_are_not_used(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_CACHE_DIR", "theirs")
    here = sandbox.prepare(tmp_path / "sandbox", archive)
    settings = {name: value for name, value in here.environment.items() if name.startswith("DVC_")}
    assert settings
    assert all(value.startswith(str(here.folder)) for value in settings.values())


def test_the_exit_status_of_a_killed_command_is_the_one_that_shells_report(tmp_path: Path) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    record = tmp_path / "record"
    done = subprocess.run(
        [sys.executable, "-IS", REPOSITORY / "bench/measure.py", record, sys.executable, "-c", script], check=False
    )
    assert done.returncode == 137
    assert json.loads(record.read_text())["command"] == [sys.executable, "-c", script]


def test_the_time_of_an_epoch_is_from_one_line_about_an_epoch_to_the_next() -> None:
    stage = [(1.0, "train: starts"), (5.0, "train: epoch 1 of 3: loss 1"), (8.0, "train: epoch 2 of 3: loss 1")]
    notebook = [
        (2.0, "Epoch 1/5"),
        (2.5, "600/600 loss: 1"),
        (6.0, "Epoch 2/5"),
        (9.0, "Epoch 3/5"),
        (15.0, "Epoch 4/5"),
    ]
    assert run.seconds_an_epoch(stage) == 3.0
    assert run.seconds_an_epoch(notebook) == 4.0
    assert run.seconds_an_epoch(stage[:2]) is None


def test_the_machine_has_the_level_of_its_kernels_not_each_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "instruction_sets", lambda: frozenset({"avx", "avx2", "fma", "sse4_1"}))
    assert machine.describe()["kernels of oneDNN"] == "avx2"


def test_the_floor_has_as_many_stages_as_the_pipeline_and_all_have_run(archive: Path, tmp_path: Path) -> None:
    floor = sandbox.make_floor(sandbox.prepare(tmp_path / "sandbox", archive))
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    assert list(yaml.safe_load((floor / "dvc.lock").read_text())["stages"]) == list(stages)
    assert (floor / str(len(stages))).read_text() == f"{len(stages)}\n"


def test_the_steps_and_operations_of_a_training_follow_from_its_parameters_and_images(tmp_path: Path) -> None:
    for name in ("params.yaml", "models/provenance.json", "data/raw/dataset.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    recipe = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(recipe.replace("batch_size: 100", "batch_size: 300"))
    provenance = json.loads((tmp_path / "models/provenance.json").read_text())
    provenance |= {"precision": "mixed_bfloat16", "images": {"train": 1000, "validation": 0}}
    (tmp_path / "models/provenance.json").write_text(json.dumps(provenance))
    # Each of 2 epochs has 3 full batches and one of 100; architecture.py has the sizes of the layers.
    assert run.describe_training(tmp_path) == Training("bfloat16", 2 * 4, 2 * 1000 * 3 * 11_454_720)
