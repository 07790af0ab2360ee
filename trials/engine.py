"""Trials on workers of Dask: those of this machine, or of a cluster."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from classifier.command import one_line
from trials import git as git_module
from trials import trial as trial_module
from trials import worker as worker_module
from trials.git import git
from trials.trial import Trial
from trials.worker import carry, versions

TRIES = 3  # of a trial after an error that is not a stage's; Dask gives up a trial that lost as many workers
WORKERS = 2  # trials at a time on this machine: one alone leaves processors idle (docs/sweeps.md)
HIDDEN = "127.0.0.1:0"  # Dask's pages about a local run, on a free port of this machine alone
LOCAL = {"threads_per_worker": 1, "processes": False, "memory_limit": None, "local_directory": ".dvc/tmp/sweep"} | {
    "dashboard_address": HIDDEN,
    "worker_dashboard_address": HIDDEN,
}
LOCKS = ("requirements.txt", "requirements-extra.txt")


@dataclass(frozen=True)
class Ended:
    """A trial that ended: the commit of its experiment in this repository, or the reason why there is none."""

    trial: Trial
    revision: str | None
    reason: str | None


class Engine(AbstractContextManager["Engine"]):
    """Workers of Dask for the block of a `with`: local ones, or those of the scheduler at an address.

    Raises:
        OSError: the scheduler cannot be reached. ValueError: its workers cannot run trials; the message says why.
    """

    def __init__(self, scheduler: str | None = None, workers: int = WORKERS) -> None:
        import cloudpickle
        import dask
        from distributed import Client, LocalCluster

        dask.config.set({"distributed.scheduler.worker-saturation": 1.0})  # no trial waits at a worker that is busy
        for module in (git_module, trial_module, worker_module):
            cloudpickle.register_pickle_by_value(module)
        for logger in ("distributed", "distributed.client", "asyncio"):
            logging.getLogger(logger).setLevel(logging.CRITICAL)  # `run` tells what ends a trial
        self.workers, self.dashboard = workers, ""
        self.cluster: Any = None
        self.trials: dict[Any, Trial] = {}
        if scheduler:
            self.origin, self.cache, self.packages = git("remote", "get-url", "origin"), None, locked_versions()
            try:
                self.client = Client(scheduler, timeout=10)
            except (TypeError, RuntimeError) as error:
                raise ValueError(f"Dask's settings do not fit {scheduler}: {one_line(error)}") from None
            self.dashboard = self.client.dashboard_link
            self.workers = self.check_workers(scheduler)
        else:
            self.origin, self.packages = str(Path.cwd()), {}
            self.cache = str(cache_folder())
            self.cluster = LocalCluster(n_workers=workers, **LOCAL)
            self.client = Client(self.cluster)

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # the scheduler may have gone
            self.client.cancel(list(self.trials), force=True)
        self.client.close()
        if self.cluster:
            self.cluster.close()

    def run(self, trials: Iterable[Trial]) -> Iterator[Ended]:
        """Yield each trial when it has ended; those whose experiment exists are not run again.

        Raises:
            ValueError: the workers of a cluster could not get the commit or its data. OSError: the scheduler has gone.
        """
        from distributed import as_completed

        trials = list(trials)
        if not self.cluster:
            for commit, tree in {(trial.commit, trial.tree) for trial in trials}:
                check_shared(commit, tree)
        there = self.fetch(trials)
        for trial in trials:
            if trial in there:
                yield Ended(trial, there[trial], None)
            else:
                # Dask sends a lambda by value, and what it calls.
                call = (lambda *call: carry(*call), trial, self.origin, self.cache, self.packages)
                key = f"{trial.name}-{uuid4().hex[:8]}"
                self.trials[self.client.submit(*call, key=key, retries=TRIES - 1)] = trial
        for batch in as_completed(list(self.trials)).batches():
            ended = {self.trials.pop(future): future for future in batch}
            if any(future.cancelled() for future in batch):
                raise ConnectionError("the scheduler has gone; the trials that ended are kept")
            there = self.fetch(ended)
            for trial, future in ended.items():
                error = future.exception()
                yield Ended(trial, there.get(trial), one_line(error) if error else future.result())

    def fetch(self, trials: Iterable[Trial]) -> dict[Trial, str]:
        """Return the commits of the experiments that exist, in this repository; those of a cluster are fetched."""
        listed = [line.split() for line in git("ls-remote", self.origin, "refs/exps/*/sweep-*").splitlines()]
        found = {ref.rpartition("/")[2]: (commit, ref) for commit, ref in listed}
        there = {trial: found[trial.name] for trial in trials if trial.name in found}
        if there and not self.cluster:
            git("fetch", "--quiet", "origin", *(f"{ref}:{ref}" for _, ref in there.values()))
        return {trial: commit for trial, (commit, _) in there.items()}

    def check_workers(self, scheduler: str) -> int:
        """Return the number of workers.

        Raises:
            ValueError: there is none, or one has several threads, another Python or another version of a package.
        """
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise ValueError(f"{scheduler} has no worker: `dask worker {scheduler} --nthreads 1` starts one")
        found = self.client.run(versions)
        for address, worker in workers.items():
            if worker["nthreads"] != 1:
                raise ValueError(f"the worker {address} has {worker['nthreads']} threads: start it with --nthreads 1")
            for name, version in self.packages.items():
                if (other := found[address].get(name)) != version:
                    raise ValueError(f"the worker {address} has {name} {other or 'not'}, expected {version} as here")
        return len(workers)


def cache_folder() -> Path:
    """Return the folder of DVC's cache."""
    from dvc.config import Config

    return Path(Config(".dvc")["cache"].get("dir") or ".dvc/cache").resolve()


def locked_versions() -> dict[str, str]:
    """Return the versions here of Python and of the installed packages of the lock."""
    text, here = "".join(Path(lock).read_text() for lock in LOCKS if Path(lock).exists()), versions()
    return {name: here[name] for name in ["python", *re.findall(r"(?m)^([a-z0-9-]+)==", text)] if name in here}


def check_shared(commit: str, tree: str) -> None:
    """Check that the workers of a cluster can get the commit and its data.

    Raises:
        ValueError: a file is changed, or the commit or its data are not where a worker looks for them.
        OSError: there is no Git remote `origin`, or it cannot be reached. DvcException: there is no DVC remote.
    """
    from dvc.repo import Repo

    if tree != git("rev-parse", f"{commit}^{{tree}}"):
        changed = git("diff", "--name-only", commit, tree).split("\n")[0]
        raise ValueError(
            f"{changed} is not as committed, and a cluster runs commits: `git commit` and `git push` first"
        )
    heads = {line.split()[0] for line in git("ls-remote", "--heads", "--tags", "origin").splitlines()}
    here = heads & set(git("rev-list", "--all").split())
    if not here or git("rev-list", "--max-count=1", commit, "--not", *here):
        raise ValueError(f"the commit {commit[:10]} is not at origin: `git push` first")
    with Repo(rev=commit) as repo:
        # "deleted" is in the remote and not here, which is no harm.
        missing = sorted(path for path, state in repo.status(cloud=True).items() if state != "deleted")
    if missing:
        raise ValueError(f"{missing[0]} is not in the DVC remote: `dvc push` first")
