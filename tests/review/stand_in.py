"""A project whose stages take no time, and trials of it without Dask."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import chdir, redirect_stderr
from pathlib import Path
from typing import Any

from review.results import name_recipe
from tests.clone import Clone
from tests.conftest import REPOSITORY
from trials.engine import Ended, Engine
from trials.trial import Trial, run

IMAGES = 10  # of each split
FILE = f"evaluation/noise/{name_recipe('mnist', {'train.epochs': 5})}.json"

PREPROCESS = """\
from pathlib import Path

Path("data/processed").mkdir(parents=True, exist_ok=True)
Path("data/processed/train_images.npy").write_bytes(Path("data/raw/mnist.npz").read_bytes())
"""
# A model is its seed. The seeds ELSEWHERE train as another machine would.
TRAIN = """\
import json, os, re
from pathlib import Path

seed = re.search("seed: +([0-9]+)", Path("params.yaml").read_text())[1]
environment = {"kernels": "avx512_core" if seed in os.environ.get("ELSEWHERE", "").split() else "avx2"}
Path("models").mkdir(exist_ok=True)
Path("models/model.keras").write_text(seed)
provenance = {"dataset": "mnist", "images": {"train": 1}, **environment}
Path("models/provenance.json").write_text(json.dumps(provenance))
"""
# The model of seed s misreads the image s of both splits, and the last test image.
EVALUATE = """\
import json
from pathlib import Path

seed = int(Path("models/model.keras").read_text())
misread = {"validation": {seed}, "test": {seed, 9}}
rows = [f"{split},{image},1,{1 + (image in misread[split])},0.5" for split in misread for image in range(10)]
Path("evaluation").mkdir(exist_ok=True)
header = "split,image,actual,predicted,confidence"
Path("evaluation/predictions.csv").write_text("\\n".join([header, *rows]) + "\\n")
metrics = {split: {"accuracy": 1 - len(images) / 10, "loss": 0.5 + seed} for split, images in misread.items()}
Path("metrics.json").write_text(json.dumps(metrics))
"""
PIPELINE = """\
stages:
  preprocess:
    cmd: python -m stages.preprocess
    deps: [data/raw/mnist.npz, stages/preprocess.py]
    outs:
      - data/processed/train_images.npy: {persist: true}
  train:
    cmd: python -m stages.train
    deps: [data/processed/train_images.npy, stages/train.py]
    params: [train]
    outs:
      - models/model.keras: {persist: true}
      - models/provenance.json: {cache: false, persist: true}
  evaluate:
    cmd: python -m stages.evaluate
    deps: [models/model.keras, stages/evaluate.py]
    outs:
      - evaluation/predictions.csv: {cache: false, persist: true}
      - metrics.json: {cache: false, persist: true}
"""


class Project(Clone):
    """A repository with such stages."""

    def make(self) -> None:
        for path, text in {
            ".dvc/config": (REPOSITORY / ".dvc/config").read_text(),
            ".gitignore": "/.dvc/.gitignore\n/.dvc/cache\n/.dvc/tmp\n__pycache__\n",
            "stages/__init__.py": "",
            "stages/preprocess.py": PREPROCESS,
            "stages/train.py": TRAIN,
            "stages/evaluate.py": EVALUATE,
            "dvc.yaml": PIPELINE,
            "params.yaml": "download: {dataset: mnist}\ntrain: {epochs: 5, seed: 1}\n",
            "data/raw/mnist.npz": "images",
            "data/raw/dataset.json": json.dumps({"dataset": "mnist", "requested": "mnist"}),
        }.items():
            self.put(path, text)
        self.init("A project")

    def records(self) -> Any:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("evaluation/noise/*"))]

    def runs(self) -> list[str]:
        """The seeds of the experiments that are here, in the order in which they ended, as texts."""
        listed = self.run("git for-each-ref --sort=committerdate --format='%(subject)' refs/exps")
        return [line.rpartition("train.seed=")[2] for line in listed.splitlines()]


def trained(output: str) -> list[int]:
    """The seeds that the command trained, in the order in which they ended."""
    return [int(seed) for seed in re.findall(r"(?m)^noise: seed ([0-9]+): ", output)]


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def seeds_of(*seeds: int) -> list[dict[str, Any]]:
    """What is kept of runs with these seeds."""
    return [
        {
            "seed": seed,
            "model": md5(str(seed)),
            "validation": {"loss": 0.5 + seed, "misread": [seed]},
            "test": {"loss": 0.5 + seed, "misread": sorted({seed, 9})},
        }
        for seed in seeds
    ]


class InProcess(Engine):
    """Trials one after another in the process of the tests, which has imported DVC already."""

    def __init__(self, scheduler: str | None = None, **_: int) -> None:
        assert scheduler is None
        self.scheduler = None
        self.origin, self.cache = str(Path.cwd()), str(Path(".dvc/cache").resolve())
        self.folder = tempfile.TemporaryDirectory()

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def run(self, trials: Iterable[Trial]) -> Iterator[Ended]:
        for trial in trials:
            reason = self.carry(trial)
            yield trial, self.fetch([trial]).get(trial), reason

    def carry(self, trial: Trial) -> str | None:
        log, stderr = Path(self.folder.name) / "log", os.dup(2)
        with chdir(self.folder.name), log.open("w") as file, redirect_stderr(file):
            os.dup2(file.fileno(), 2)
            try:
                run(trial, self.origin, self.cache)
            except SystemExit:
                return log.read_text().splitlines()[-1]
            finally:
                os.dup2(stderr, 2)
                os.close(stderr)
        return None
