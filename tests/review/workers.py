"""Trials without Dask: one after another in the process of the tests, which has imported DVC already."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr
from pathlib import Path

from trials.engine import Ended, Engine, cache_folder
from trials.trial import Trial, run


class InProcess(Engine):
    """The engine of one local worker, but for Dask and the child process of each trial."""

    def __init__(self, scheduler: str | None = None, workers: int = 2) -> None:
        assert scheduler is None
        self.workers = workers
        self.origin, self.cache = str(Path.cwd()), str(cache_folder())
        self.cluster = True
        self.folder = tempfile.TemporaryDirectory()

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def run(self, trials: Iterable[Trial]) -> Iterator[Ended]:
        for trial in trials:
            reason = self.carry(trial)
            yield Ended(trial, self.fetch([trial]).get(trial), reason)

    def carry(self, trial: Trial) -> str | None:
        home, environment, stderr = Path.cwd(), dict(os.environ), os.dup(2)
        os.chdir(self.folder.name)
        try:
            with Path("log").open("w") as log, redirect_stderr(log):
                os.dup2(log.fileno(), 2)
                failed = run(trial, self.origin, self.cache)
            return (Path(self.folder.name) / "log").read_text().splitlines()[-1] if failed else None
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.chdir(home)
            os.environ.clear()
            os.environ.update(environment)
