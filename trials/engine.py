"""Trials on workers of Dask: those of this machine, or of a cluster."""

import json
import logging
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from dvc.repo import Repo

from trials import worker as worker_module
from trials.git import git
from trials.trial import Trial
from trials.worker import carry, misfit, versions

TRIES = 3  # of a trial after an error that is not a stage's; Dask gives up a trial that lost as many workers
WORKERS = 2  # trials at a time on this machine: one alone leaves processors idle (docs/sweeps.md)
WAIT = 10  # minutes for the first worker of a cluster: its job may be pending
SILENCE = 30.0  # seconds without an ended trial, after which the workers are counted again
LOCAL = {"threads_per_worker": 1, "processes": False, "memory_limit": None, "local_directory": ".dvc/tmp/sweep"}
PAGES = dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0")  # for this machine alone

Ended = tuple[Trial, str | None, str | None]  # the commit of its experiment here, or the reason why there is none


class Engine(AbstractContextManager["Engine"]):
    """Workers of Dask for the block of a `with`: local ones, or those of the scheduler at an address.

    `wait` is how many minutes the first worker of a scheduler may take to come. Raises OSError if the scheduler cannot
    be reached.
    """

    def __init__(self, scheduler: str | None = None, workers: int = WORKERS, wait: int = WAIT) -> None:
        import cloudpickle
        import dask
        from distributed import Client

        logging.disable(logging.CRITICAL)  # `run` tells what ends a trial, `misfit` what a worker lacks
        warnings.filterwarnings("ignore", module="distributed")
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0})  # no trial waits at a worker that is busy
        cloudpickle.register_pickle_by_value(worker_module)
        if workers < 1:
            raise ValueError(f"expected at least 1 worker, got {workers}")
        self.scheduler, self.wait = scheduler, wait
        self.origin = git("remote", "get-url", "origin") if scheduler else str(Path.cwd())
        self.packages: dict[str, str] = {}  # the versions that workers must have
        options: Any = {"n_workers": workers, **LOCAL, **PAGES}
        try:
            self.client = Client(scheduler, timeout=10) if scheduler else Client(**options)
        except (TypeError, RuntimeError) as error:
            raise ValueError(f"Dask's settings do not fit {scheduler}: {' '.join(str(error).split())}") from None

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def run(self, trials: Iterable[Trial]) -> Iterator[Ended]:
        """Yield each trial when it has ended; those whose experiment exists are not run again.

        Raises ValueError if workers could not get the commit or its data, if there is no worker or one that cannot run
        trials, and OSError if the scheduler has gone.
        """
        trials = list(trials)
        for commit, tree in {(trial.commit, trial.tree) for trial in trials if self.scheduler}:
            check_shared(commit, tree)
        experiments = self.fetch(trials)
        yield from ((trial, commit, None) for trial, commit in experiments.items())
        if self.scheduler and not self.packages and len(experiments) < len(trials):
            self.check_workers()
        with Repo() as repo:
            cache = "" if self.scheduler else repo.cache.local_cache_dir
        code = {path.name: path.read_text() for path in Path(__file__).parent.glob("*.py")}
        futures = {}
        for trial in trials:
            if trial not in experiments:
                arguments = [json.dumps(asdict(trial)), self.origin, cache]
                # Dask sends a lambda by value, and what it calls.
                call = (lambda *call: carry(*call), arguments, code, self.packages)
                key = f"{trial.name}-{uuid4().hex[:8]}"
                futures[self.client.submit(*call, key=key, retries=TRIES - 1)] = trial
        known = self.count()
        while futures:
            if not (done := self.ended(futures, SILENCE)):
                if (count := self.count()) != known:
                    print(f"cluster: workers left: {count or 'none'}; trials left: {len(futures)}", flush=True)
                known = count
                continue
            experiments = self.fetch(futures[future] for future in done)
            for future in done:
                trial, error = futures.pop(future), future.exception()
                reason = " ".join(str(error).split()) if error else future.result()
                yield trial, experiments.get(trial), None if trial in experiments else reason

    def ended(self, futures: Collection[Any], seconds: float) -> Collection[Any]:
        """Wait until some of the futures have ended, and return these; none after so many seconds."""
        from distributed import wait

        try:
            return set(wait(list(futures), seconds, "FIRST_COMPLETED").done)
        except TimeoutError:
            return ()
        except CancelledError:
            raise ConnectionError("the scheduler has gone; the trials that ended are kept") from None

    def fetch(self, trials: Iterable[Trial]) -> dict[Trial, str]:
        """Return the commits of the experiments that exist, in this repository; those of a cluster are fetched."""
        listed = [line.split() for line in git("ls-remote", self.origin, "refs/exps/*/sweep-*").splitlines()]
        refs = {ref.rpartition("/")[2]: (commit, ref) for commit, ref in listed}
        there = {trial: refs[trial.name] for trial in trials if trial.name in refs}
        if there and self.scheduler:
            git("fetch", "--quiet", "origin", *(f"{ref}:{ref}" for _, ref in there.values()))
        return {trial: commit for trial, (commit, _) in there.items()}

    def count(self) -> int:
        """The number of workers now."""
        return len(self.client.scheduler_info(n_workers=-1)["workers"])

    def check_workers(self) -> None:
        """Wait for the first worker, and check those that there are; `carry` checks one that comes later."""
        locked, here = re.findall(r"(?m)^([a-z0-9-]+)==", Path("requirements.txt").read_text()), versions()
        if not self.count():
            print(f"cluster: workers: none yet; waiting {self.wait} minutes for the first", flush=True)
            # For a task, because an adaptive cluster starts its workers for tasks.
            if not self.ended([self.client.submit(int, pure=False)], 60 * self.wait):
                start = f"`dask worker {self.scheduler} --nthreads 1` starts one"
                raise ValueError(f"{self.scheduler} had no worker for {self.wait} minutes: {start}")
        self.packages = {name: here[name] for name in ["python", *locked] if name in here}
        faults = self.client.run(misfit, self.packages)
        for address, fault in faults.items():
            if fault:
                raise ValueError(f"the worker {address} {fault}")
        print(f"cluster: workers: {len(faults)}; dashboard: {self.client.dashboard_link}", flush=True)


def check_shared(commit: str, tree: str) -> None:
    """Check that the workers of a cluster can get the commit and its data, and raise ValueError if they cannot."""
    if changed := git("diff", "--name-only", commit, tree).splitlines():
        raise ValueError(f"{changed[0]} is not as committed, and a cluster runs commits: `git commit` it first")
    if not git("branch", "--remotes", "--list", "origin/*", "--contains", commit):
        raise ValueError(f"the commit {commit[:10]} is not at origin: `git push` first")
    with Repo(rev=commit) as repo:
        status = repo.status(cloud=True)
    for path in sorted(status):
        if status[path] != "deleted":  # which is in the remote and not here
            raise ValueError(f"{path} is not in the DVC remote: `dvc push` first")
