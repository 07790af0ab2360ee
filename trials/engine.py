"""Trials on workers of Dask: those of this machine, or of a cluster."""

import json
import logging
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from dvc.repo import Repo

from trials import worker as worker_module
from trials.git import git
from trials.trial import Trial
from trials.worker import carry, versions

TRIES = 3  # of a trial after an error that is not a stage's; Dask gives up a trial that lost as many workers
WORKERS = 2  # trials at a time on this machine: one alone leaves processors idle (docs/sweeps.md)
LOCAL = {"threads_per_worker": 1, "processes": False, "memory_limit": None, "local_directory": ".dvc/tmp/sweep"}
PAGES = dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0")  # for this machine alone

Ended = tuple[Trial, str | None, str | None]  # the commit of its experiment here, or the reason why there is none


class Engine(AbstractContextManager["Engine"]):
    """Workers of Dask for the block of a `with`: local ones, or those of the scheduler at an address.

    Raises OSError if the scheduler cannot be reached, and ValueError if its workers cannot run trials.
    """

    def __init__(self, scheduler: str | None = None, workers: int = WORKERS) -> None:
        import cloudpickle
        import dask
        from distributed import Client

        logging.disable(logging.CRITICAL)  # `run` tells what ends a trial, `check_workers` what they lack
        warnings.filterwarnings("ignore", module="distributed")
        dask.config.set({"distributed.scheduler.worker-saturation": 1.0})  # no trial waits at a worker that is busy
        cloudpickle.register_pickle_by_value(worker_module)
        if workers < 1:
            raise ValueError(f"expected at least 1 worker, got {workers}")
        self.scheduler, self.workers = scheduler, workers
        self.origin = git("remote", "get-url", "origin") if scheduler else str(Path.cwd())
        self.packages: dict[str, str] = {}  # the versions that workers must have
        options: Any = {"n_workers": workers, **LOCAL, **PAGES}
        try:
            self.client = Client(scheduler, timeout=10) if scheduler else Client(**options)
        except (TypeError, RuntimeError) as error:
            raise ValueError(f"Dask's settings do not fit {scheduler}: {' '.join(str(error).split())}") from None
        if scheduler:
            self.check_workers()

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def run(self, trials: Iterable[Trial]) -> Iterator[Ended]:
        """Yield each trial when it has ended; those whose experiment exists are not run again.

        Raises ValueError if workers could not get the commit or its data, and OSError if the scheduler has gone.
        """
        from distributed import as_completed

        trials = list(trials)
        for commit, tree in {(trial.commit, trial.tree) for trial in trials if self.scheduler}:
            check_shared(commit, tree)
        experiments = self.fetch(trials)
        yield from ((trial, commit, None) for trial, commit in experiments.items())
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
        for batch in as_completed(list(futures)).batches():
            if any(future.cancelled() for future in batch):
                raise ConnectionError("the scheduler has gone; the trials that ended are kept")
            experiments = self.fetch(futures[future] for future in batch)
            for future in batch:
                trial, error = futures[future], future.exception()
                reason = " ".join(str(error).split()) if error else future.result()
                yield trial, experiments.get(trial), None if trial in experiments else reason

    def fetch(self, trials: Iterable[Trial]) -> dict[Trial, str]:
        """Return the commits of the experiments that exist, in this repository; those of a cluster are fetched."""
        listed = [line.split() for line in git("ls-remote", self.origin, "refs/exps/*/sweep-*").splitlines()]
        refs = {ref.rpartition("/")[2]: (commit, ref) for commit, ref in listed}
        there = {trial: refs[trial.name] for trial in trials if trial.name in refs}
        if there and self.scheduler:
            git("fetch", "--quiet", "origin", *(f"{ref}:{ref}" for _, ref in there.values()))
        return {trial: commit for trial, (commit, _) in there.items()}

    def check_workers(self) -> None:
        """Count the workers of the cluster, which need Python and locked packages as here, or raise ValueError."""
        locked, here = re.findall(r"(?m)^([a-z0-9-]+)==", Path("requirements.txt").read_text()), versions()
        self.packages = {name: here[name] for name in ["python", *locked] if name in here}
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise ValueError(f"{self.scheduler} has no worker: `dask worker {self.scheduler} --nthreads 1` starts one")
        installed = self.client.run(versions)
        for address, worker in workers.items():
            if worker["nthreads"] != 1:
                raise ValueError(f"the worker {address} has {worker['nthreads']} threads: start it with --nthreads 1")
            for name, version in self.packages.items():
                if (other := installed[address].get(name)) != version:
                    raise ValueError(f"the worker {address} has {name} {other or 'not'}, expected {version} as here")
        self.workers = len(workers)


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
