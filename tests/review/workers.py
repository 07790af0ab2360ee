"""Trials without Dask: one after another in the process of the tests, which has imported DVC already."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr
from pathlib import Path

from trials.engine import Ended, Engine
from trials.trial import Trial, run


class InProcess(Engine):
    """The engine of one local worker, but for Dask and the child process of each trial."""

    def __init__(self, scheduler: str | None = None, workers: int = 2) -> None:
        assert scheduler is None
        self.workers, self.scheduler = workers, None
        self.origin, self.cache = str(Path.cwd()), str(Path(".dvc/cache").resolve())
        self.folder = tempfile.TemporaryDirectory()

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def run(self, trials: Iterable[Trial]) -> Iterator[Ended]:
        for trial in trials:
            reason = self.carry(trial)
            yield trial, self.fetch([trial]).get(trial), reason

    def carry(self, trial: Trial) -> str | None:
        home, environment, stderr = Path.cwd(), dict(os.environ), os.dup(2)
        os.chdir(self.folder.name)
        try:
            with Path("log").open("w") as log, redirect_stderr(log):
                os.dup2(log.fileno(), 2)
                run(trial, self.origin, self.cache)
            return None
        except SystemExit:
            return (Path(self.folder.name) / "log").read_text().splitlines()[-1]
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.chdir(home)
            os.environ.clear()
            os.environ.update(environment)
