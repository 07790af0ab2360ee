"""The command on the embedded digits, with stages that really train, and with stages made here."""

import hashlib
import json
import re
import subprocess
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from review.noise import identity, main
from tests.clone import Clone
from tests.conftest import REPOSITORY
from tests.review.repository import OLD, noise

SECTIONS = "expected the sections of a params.yaml, download with the key dataset"
COMMAND = "python -m review.noise --seeds 2"


@pytest.mark.slow
def test_a_recipe_is_measured_and_the_pipelines_outputs_stay(clone: Clone) -> None:
    output = clone.run(COMMAND)
    assert clone.run("git status --porcelain --untracked-files=all").split() == ["M", "evaluation/seed_noise.json"]
    assert "up to date" in clone.run("dvc status")
    *others, found = json.loads(clone.read("evaluation/seed_noise.json"))["recipes"]
    assert others == json.loads(clone.run("git show HEAD:evaluation/seed_noise.json"))["recipes"]
    assert found["dataset"] == "mnist-5k"
    assert found["parameters"]["train.epochs"] == 1
    assert "train.seed" not in found["parameters"]
    first, second = found["seeds"]
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["model"] != second["model"]
    accuracies = [run["test"]["accuracy"] for run in found["seeds"]]
    assert f"test accuracy {mean(accuracies):.4f} ± {stdev(accuracies):.4f} over 2 seeds" in output
    assert "noise: seed 1 of 0 to 1: accuracy validation 0." in output
    # The committed run is that of seed 0 as well.
    lock = YAML(typ="safe").load(clone.read("dvc.lock"))["stages"]["train"]
    assert found["training"] == {dep["path"]: dep["md5"] for dep in lock["deps"]}
    assert first["model"] in [out["md5"] for out in lock["outs"]]
    metrics = json.loads(clone.read("metrics.json"))
    for split in ("validation", "test"):
        assert first[split] == {name: metrics[split][name] for name in ("accuracy", "loss")}
    provenance = json.loads(clone.read("models/provenance.json"))
    assert found["environment"]["kernels"] == provenance["kernels"]
    assert found["environment"]["versions.keras"] == provenance["versions"]["keras"]

    clone.run("git checkout -q -B noise")
    clone.commit("Noise")
    told = clone.run("python -m review.compare main")
    assert "seeds: the noise measured for head is used for base too, whose own file has none" in told
    assert "seeds: the noise of their one recipe was measured\n" in clone.run("python -m review.compare noise")

    (kept,) = (clone.folder / ".dvc/tmp/noise").glob("*/")
    (kept / "seed-1.json").unlink()
    again = clone.run(COMMAND)  # as after a run that was cut off
    assert [line for line in again.splitlines() if line.endswith("training")] == ["noise: seed 1 of 0 to 1: training"]
    assert clone.run("git status --porcelain") == ""


@pytest.mark.slow
def test_a_stage_that_refuses_is_told_in_its_own_words_and_nothing_is_kept(clone: Clone) -> None:
    clone.set("train.batch_size", 0)
    done = clone.attempt(COMMAND)
    assert done.returncode == 1
    expected = "train: params.yaml: train.batch_size must be a whole number of at least 1, got 0"
    assert done.stderr.splitlines() == [f"noise: {expected}"]
    assert clone.run("git status --porcelain").split() == ["M", "params.yaml"]


def test_runs_are_kept_apart_by_all_that_they_depend_on_but_not_by_seed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stages/train.py", "data/raw/dataset.json", "data/raw/mnist.npz"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")

    def named(epochs: int = 5, seed: int = 0, paths: tuple[str, ...] = ("stages/train.py",)) -> str:
        return identity({"train": {"epochs": epochs, "seed": seed}}, list(paths))

    found = [named()]
    assert named(seed=3) == found[0]
    found += [named(epochs=6), named(paths=("stages/train.py", "classifier/model/architecture.py"))]
    for name in ("stages/train.py", "data/raw/dataset.json", "data/raw/mnist.npz"):
        Path(name).write_text("{ }")
        found.append(named())
    for target, value in (
        ("review.noise.version", lambda _: "9"),
        ("classifier.model.runtime.threads", lambda: 99),
        ("classifier.model.runtime.level", lambda _: "avx9"),
    ):
        monkeypatch.setattr(target, value)
        found.append(named())
    assert len(set(found)) == len(found) == 9


# Stages without TensorFlow: a model is its seed. Training waits until there is the file that GATE names.
PREPROCESS = """\
from pathlib import Path

Path("data/processed").mkdir(parents=True, exist_ok=True)
Path("data/processed/train_images.npy").write_bytes(Path("data/raw/mnist.npz").read_bytes())
"""
TRAIN = """\
import json, os, re, time
from pathlib import Path
from classifier.running.processes import end_with_starter

end_with_starter("train")
seed = re.search("seed: ([0-9]+)", Path("params.yaml").read_text())[1]
while not Path(os.environ["GATE"]).exists():
    Path(os.environ["GATE"] + ".waits").write_text(str(os.getpid()))
    time.sleep(0.02)
environment = {"kernels": "avx512_core" if seed == os.environ.get("ELSEWHERE") else "avx2"}
Path("models").mkdir(exist_ok=True)
Path("models/model.keras").write_text(seed)
provenance = {"dataset": "mnist", "images": {"train": 1}, **environment}
Path("models/provenance.json").write_text(json.dumps(provenance))
"""
EVALUATE = """\
import json
from pathlib import Path

accuracy = 0.5 + int(Path("models/model.keras").read_text()) / 10
Path("metrics.json").write_text(json.dumps({"test": {"accuracy": accuracy, "loss": 0.5, "errors": 1}}))
"""
PIPELINE = """\
stages:
  train:
    cmd: python -m stages.train
    deps: [data/processed/train_images.npy, stages/train.py]
    params: [train]
    outs: [models/model.keras]
"""
DRIVER = "import sys\nfrom review.noise import main\nsys.exit(main(sys.argv[1:]))\n"


class Project(Clone):
    """A folder with such stages, in which the command runs as a process of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = folder.parent / "gate"
        self.environment |= {"PYTHONPATH": str(REPOSITORY), "GATE": str(self.gate)}
        (folder.parent / "driver.py").write_text(DRIVER)  # outside, where `stages` is that of the project itself
        for path, text in {
            ".dvc/config": (REPOSITORY / ".dvc/config").read_text(),
            "stages/__init__.py": "",
            "classifier/running/processes.py": (REPOSITORY / "classifier/running/processes.py").read_text(),
            "stages/preprocess.py": PREPROCESS,
            "stages/train.py": TRAIN,
            "stages/evaluate.py": EVALUATE,
            "dvc.yaml": PIPELINE,
            "params.yaml": "download: {dataset: mnist}\ntrain: {epochs: 5, seed: 7}\n",
            "data/raw/mnist.npz": "images",
            "data/raw/dataset.json": json.dumps({"dataset": "mnist", "requested": "mnist"}),
            "evaluation/seed_noise.json": noise(OLD),
        }.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self.run("git init -q -b main")

    command = "python ../driver.py --seeds 3"

    def start(self) -> subprocess.Popen[str]:
        """Start the command, and return once training waits."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {self.command}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while not self.waiting() and process.poll() is None:
            time.sleep(0.02)
        return process

    def waiting(self) -> int | None:
        """The process of the stage that waits, if one does."""
        told = Path(f"{self.gate}.waits")
        text = told.read_text() if told.exists() else ""
        return int(text) if text else None

    def records(self) -> Any:
        return json.loads(self.read("evaluation/seed_noise.json"))["recipes"]


@pytest.fixture
def stand_in(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_each_seed_is_kept_with_its_model_and_what_trained_it(stand_in: Project) -> None:
    stand_in.gate.touch()
    assert "noise: test accuracy 0.6000 ± 0.1000 over 3 seeds -> evaluation/seed_noise.json" in stand_in.run(
        stand_in.command
    )
    old, found = stand_in.records()
    assert old == OLD
    assert (found["dataset"], found["parameters"], found["environment"]) == (
        "mnist",
        {"train.epochs": 5},
        {"kernels": "avx2"},
    )
    assert found["training"] == {
        "data/processed/train_images.npy": md5("images"),
        "stages/train.py": md5(TRAIN),
    }
    assert found["seeds"] == [
        {"seed": seed, "model": md5(str(seed)), "test": {"accuracy": 0.5 + seed / 10, "loss": 0.5}} for seed in range(3)
    ]


def test_of_two_measurements_of_one_recipe_at_once_one_runs_and_the_other_names_it(
    stand_in: Project,
) -> None:
    first = stand_in.start()
    second = stand_in.attempt(stand_in.command)
    assert second.returncode == 1
    told = rf"noise: process {first.pid} \(noise\) is still running in \.dvc/tmp/noise/\w+; "
    assert re.fullmatch(told + "wait until it ends, or end it\n", second.stderr)
    stand_in.gate.touch()
    printed = first.communicate(timeout=60)[0]
    assert first.returncode == 0, printed
    _, found = stand_in.records()
    assert [run["test"]["accuracy"] for run in found["seeds"]] == [0.5, 0.6, 0.7]
    assert [run["model"] for run in found["seeds"]] == [md5("0"), md5("1"), md5("2")]


def test_a_stage_ends_with_the_measurement_that_started_it_and_the_next_one_goes_on(
    stand_in: Project,
) -> None:
    first = stand_in.start()
    orphan = psutil.Process(stand_in.waiting())
    first.kill()
    first.communicate(timeout=20)
    psutil.wait_procs([orphan], timeout=10)
    assert not orphan.is_running()
    stand_in.gate.touch()
    stand_in.run(stand_in.command)
    _, found = stand_in.records()
    assert [run["test"]["accuracy"] for run in found["seeds"]] == [0.5, 0.6, 0.7]


def test_a_stage_whose_measurement_was_gone_before_refuses(stand_in: Project) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    done = stand_in.attempt("python -m stages.train", STAGE_STARTER=str(gone.pid), PYTHONPATH="")
    assert done.returncode == 1
    assert "ProcessLookupError: the noise that started this stage cannot be found" in done.stderr


def test_seeds_of_two_environments_make_no_record(stand_in: Project) -> None:
    stand_in.gate.touch()
    stand_in.environment["ELSEWHERE"] = "1"
    done = stand_in.attempt(stand_in.command)
    assert done.returncode == 1
    (folder,) = (stand_in.folder / ".dvc/tmp/noise").glob("*/")
    assert done.stderr == (
        f"noise: {folder.relative_to(stand_in.folder)} has runs that differ in their environment (`kernels`): remove "
        "this folder to measure all of them anew\n"
    )
    assert stand_in.records() == [OLD]
    stand_in.run(f"rm -r {folder}")
    del stand_in.environment["ELSEWHERE"]
    stand_in.run(stand_in.command)
    assert len(stand_in.records()) == 2


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("arguments", "source", "message"),
    [
        ([], None, "data/raw/dataset.json is missing: `dvc repro download` fetches the data set first"),
        ([], "mnist-5k", "data/raw holds mnist-5k, the recipe asks for mnist: `dvc repro download` first"),
        (["nowhere.yaml"], "mnist", "nowhere.yaml: no such file; it must be a params.yaml"),
        (["pyproject.toml"], "mnist", f"pyproject.toml: {SECTIONS}"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], source: str | None, message: str
) -> None:
    Path("pyproject.toml").write_text("[]")
    if source:
        Path("data/raw").mkdir(parents=True)
        Path("data/raw/dataset.json").write_text(json.dumps({"dataset": source, "requested": source}))
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"noise: {message}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((f"download: {section}\ntrain: {{}}", SECTIONS) for section in ("null", "{}", "mnist", "2026-01-31")),
        ("download: {dataset: mnist}", SECTIONS),
        ("download: {dataset: 2026-01-31}\ntrain: {}", "expected texts, numbers, lists and true, false or null: "),
        ("download: {dataset: mnist}\ntrain: {begun: 2026-01-31}", "expected texts, numbers, lists and true, false"),
        ("download: {dataset: mnist}\ntrain: {epochs: .nan}", "expected texts, numbers, lists and true, false"),
        ("train: ]", "while parsing"),
    ],
)
def test_a_recipe_of_another_form_is_refused_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    Path("recipe.yaml").write_text(text)
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/dataset.json").write_text(json.dumps({"dataset": "mnist", "requested": "mnist"}))
    assert main(["recipe.yaml"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"noise: recipe.yaml: {message}")
    assert printed.count("\n") == 1


def test_one_seed_has_no_deviation_and_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--seeds", "1"])
    assert stopped.value.code == 2
    assert "a standard deviation takes at least 2 seeds" in capsys.readouterr().err
