"""A project whose one stage takes no time, for sweeps on this machine and on the hosts of cluster.py."""

import shutil
import subprocess
import time
from pathlib import Path

import psutil

from tests.clone import PATIENCE, Clone
from tests.conftest import PARAMS, REPOSITORY

# In the home of its user, the stage appends its learning rate and seed to `started`, waits while there is `hold`, and
# fails if `broken` names its rate. The model of seed s misreads image s; the accuracy is highest at the rate 0.3.
STAGE = """\
import json, os, re, sys, time
from pathlib import Path

home, text = Path(os.environ["HOME"]), Path("params.yaml").read_text().partition("\\ntrain:\\n")[2]
rate, seed = (re.search(rf"(?m)^  {key}: *([^ #\\n]+)", text)[1] for key in ("learning_rate", "seed"))
sys.stdin.read()  # there is nothing to read
with (home / "started").open("a") as log:
    log.write(f"{rate} {seed}\\n")
while (home / "hold").exists():
    time.sleep(0.02)
if (home / "broken").exists() and rate in (home / "broken").read_text().split():
    sys.exit(f"first line\\ntrain: learning rate {rate} does not work on this machine")
for folder in ("models", "evaluation"):
    Path(folder).mkdir(exist_ok=True)
Path("models/model.keras").write_text(f"{rate} {seed}{Path('data.txt').read_text()}")
Path("models/provenance.json").write_text(json.dumps({"dataset": "mnist", "images": {"train": 1}}))
rows = [f"validation,{image},1,{1 + (image == int(seed))},0.5" for image in range(10)]
Path("evaluation/predictions.csv").write_text("\\n".join(["split,image,actual,predicted,confidence", *rows, ""]))
score = {"accuracy": 1 - abs(float(rate) - 0.3) / 10 - int(seed) / 1000, "loss": float(rate)}
Path("metrics.json").write_text(json.dumps({"validation": score}))
"""
PIPELINE = """\
stages:
  train:
    cmd: python fake_stage.py
    deps: [data.txt, fake_stage.py]
    params: [train]
    outs:
      - models/model.keras
      - models/provenance.json: {cache: false}
      - evaluation/predictions.csv: {cache: false}
    metrics: [metrics.json: {cache: false}]
"""
# Arguments of Python for a sweep that soon says that no worker is left.
IMPATIENT = "-c 'from trials import engine; engine.SILENCE = 0.2; from sweep.__main__ import main; exit(main())'"
FILES = {
    ".dvc/config": (REPOSITORY / ".dvc/config").read_text(),
    ".gitignore": "/.dvc/.gitignore\n/.dvc/config.local\n/.dvc/cache\n/.dvc/tmp\n__pycache__\n/report/\n",
    "dvc.yaml": PIPELINE,
    "params.yaml": PARAMS.read_text(),
    "fake_stage.py": STAGE,
    "data.txt": ", data",
    "data/raw/dataset.json": '{"dataset": "mnist", "requested": "mnist"}',
    "requirements.txt": (REPOSITORY / "requirements.txt").read_text(),
}


def fill(folder: Path) -> None:
    """Write the files of the project."""
    for path, text in FILES.items():
        Clone(folder).put(path, text)


class Project(Clone):
    """Such a project with committed results, in which `python -m sweep` runs as a process of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.home = folder.parent
        self.environment["PYTHONPATH"] = str(REPOSITORY)

    def make(self) -> None:
        fill(self.folder)
        self.run("git init -q -b main && dvc add -q data.txt && dvc repro -q")
        self.commit("A project")

    def trained(self) -> list[str]:
        """The learning rate and the seed of each training, in order."""
        log = self.home / "started"
        return log.read_text().splitlines() if log.exists() else []

    def experiments(self) -> dict[str, str]:
        """The subject of each experiment, which has its changes, and its commit."""
        listed = self.run("git for-each-ref --format='%(objectname) %(subject)' 'refs/exps/*/*/sweep-*'")
        return {subject: commit for commit, _, subject in (line.partition(" ") for line in listed.splitlines())}

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command, and return once a trial waits."""
        (self.home / "hold").touch()
        begun = len(self.trained())
        process = super().start(command)
        while len(self.trained()) == begun and process.poll() is None:
            time.sleep(0.05)
        return process

    def is_quiet(self) -> bool:
        """Whether all processes in a folder of this project end."""
        end = time.monotonic() + PATIENCE
        while (busy := any(map(self._runs_here, psutil.process_iter()))) and time.monotonic() < end:
            time.sleep(0.1)
        return not busy

    def _runs_here(self, process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()).is_relative_to(self.home) and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False


def copy_code(folder: Path) -> None:
    """Give a project on a host the code of this checkout."""
    for code in ("classifier", "review", "stages", "sweep", "trials"):
        shutil.copytree(REPOSITORY / code, folder / code, ignore=shutil.ignore_patterns("__pycache__"))
