"""A project with one stage that takes no time, a Git and a DVC remote, and a Dask cluster on this machine."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import matplotlib
import psutil
from distributed import Client

from tests.clone import Clone
from tests.conftest import REPOSITORY

# The accuracy is highest at the learning rate 0.3. With rate 7 the stage fails; while there is the file HOLD, it waits.
STAGE = """\
import json, os, sys, time
from pathlib import Path

import yaml

if __name__ != "__main__":  # a worker does not have the packages of this repository
    from typing import Annotated, Literal

    from msgspec import Meta, Struct

    class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
        rate: Annotated[float, Meta(gt=0)]
        names: Literal["a", "b"]
        seed: Annotated[int, Meta(ge=0)]


def main():
    sys.stdin.read()  # there is nothing to read, and no other trial's input
    train = yaml.safe_load(Path("params.yaml").read_text())["train"]
    while Path(os.environ["HOLD"]).exists():
        Path(os.environ["HOLD"] + ".waits").touch()
        time.sleep(0.05)
    if train["rate"] == 7:
        sys.exit("first line\\ntrain: no memory")
    with Path(os.environ["HOLD"] + ".ran").open("a") as ran:
        ran.write(f"{train['rate']} {train['seed']}\\n")
    Path("model").write_text(json.dumps(train) + Path("data.txt").read_text() + EXTRA)
    accuracy = 1 - abs(train["rate"] - 0.3) / 10 - train["seed"] / 1000
    Path("metrics.json").write_text(json.dumps({"validation": {"accuracy": accuracy}}))


EXTRA = ""
if __name__ == "__main__":
    main()
"""
PIPELINE = """\
stages:
  train:
    cmd: python stages/train.py
    deps: [data.txt, stages/train.py]
    params: [train]
    outs: [model]
    metrics: [{metrics.json: {cache: false}}]
"""


class Project(Clone):
    """Such a project, in which `python -m sweep` runs as a process of its own."""

    dask: list[subprocess.Popen[bytes]]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hold = folder.parent / "hold"
        self.environment |= {
            "PYTHONPATH": str(REPOSITORY),
            "HOLD": str(self.hold),
            "MPLCONFIGDIR": matplotlib.get_cachedir(),
        }

    def make(self) -> None:
        for path, text in {
            ".dvc/config": (REPOSITORY / ".dvc/config").read_text(),
            ".gitignore": "/.dvc/.gitignore\n/.dvc/config.local\n/.dvc/cache\n/.dvc/tmp\n/report\n__pycache__\n",
            "dvc.yaml": PIPELINE,
            "params.yaml": "train:\n  rate: 0.1  # of learning\n  names: a\n  seed: 0\n",
            "stages/__init__.py": "",
            "stages/download.py": "",
            "stages/preprocess.py": "",
            "stages/train.py": STAGE,
            "data.txt": "data",
            "requirements.txt": "numpy==2\ndask==2\n",
        }.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.run("git init -q -b main && dvc add -q data.txt && dvc repro -q")
        self.commit("A project")
        self.ran_file.unlink()

    def share(self) -> None:
        """Push the project to a Git and to a DVC remote."""
        self.run("git init -q --bare ../git && git remote add origin ../git && dvc remote add -q -d store ../store")
        self.run(f"git remote set-url origin {self.folder.parent / 'git'} && dvc remote modify store verify true")
        self.run(f"dvc remote modify store url {self.folder.parent / 'store'}")
        self.commit("Remotes")
        self.run("git push -q origin main && dvc push -q")

    @property
    def ran_file(self) -> Path:
        return Path(f"{self.hold}.ran")

    def trained(self) -> list[str]:
        """The learning rate and the seed of each training, in order."""
        return self.ran_file.read_text().splitlines() if self.ran_file.exists() else []

    def experiments(self, folder: str = ".") -> list[str]:
        """The names of the experiments in a repository."""
        listed = self.run(f"git -C {folder} for-each-ref --format='%(refname)' 'refs/exps/*/*/sweep-*'")
        return sorted(line.rpartition("/")[2] for line in listed.splitlines())

    def start(self, arguments: str) -> subprocess.Popen[str]:
        """Start a sweep, and return once a trial waits at HOLD."""
        self.hold.touch()
        waits = Path(f"{self.hold}.waits")
        waits.unlink(missing_ok=True)
        process = subprocess.Popen(
            ["bash", "-c", f"exec python -m sweep {arguments}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be ignored where tests run
        )
        while not waits.exists() and process.poll() is None:
            time.sleep(0.05)
        return process

    def processes(self) -> list[psutil.Process]:
        """The processes that run in a folder of this project or of a worker."""
        home, found = self.folder.parent, []
        for each in psutil.process_iter():
            try:
                if Path(each.cwd()).is_relative_to(home) and each.status() != psutil.STATUS_ZOMBIE:
                    found.append(each)
            except (psutil.Error, OSError):
                continue
        return found

    def is_quiet(self) -> bool:
        """Whether all these processes end within 10 seconds."""
        end = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.1)
        return not left

    @contextmanager
    def cluster(self, workers: int = 1, options: str = "--nthreads=1", protocol: str = "tcp") -> Iterator[str]:
        """Start a scheduler, and workers with folders of their own and no package of this repository."""
        told = self.folder.parent / "scheduler.json"
        told.unlink(missing_ok=True)
        commands = [f"scheduler --host=127.0.0.1 --port=0 --protocol={protocol}"]
        commands += [f"worker {options} --protocol={protocol} --local-directory=worker{n}" for n in range(workers)]
        self.dask = [
            subprocess.Popen(
                [sys.executable, "-m", "dask", *command.split(), f"--scheduler-file={told}", "--no-dashboard"],
                cwd=self.folder.parent,
                env=self.environment | {"PYTHONPATH": ""},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for command in commands
        ]
        try:
            while not told.exists():
                time.sleep(0.05)
            settings = dask.config.merge(dask.config.config, dask.config.collect_env(self.environment))
            with dask.config.set(settings), Client(scheduler_file=str(told)) as client:
                if workers:
                    client.wait_for_workers(workers, timeout=60)
                address = client.scheduler.address
            yield address
        finally:
            for process in reversed(self.dask):  # a worker without a nanny hangs if its scheduler ends at the same time
                process.terminate()
                process.wait()
