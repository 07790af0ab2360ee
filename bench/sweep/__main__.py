"""Measure what a sweep on a cluster costs beside its stages, kill workers meanwhile, and write bench/sweep/scale.md.

    sudo .venv/bin/python -m bench.sweep

Root is needed for the namespaces that are the hosts of the cluster.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psutil

from bench import machine
from bench.pages import save
from bench.sweep.cluster import PROJECT, Cluster, fill_project, kill_worker, share
from bench.sweep.hosts import Host, reason_to_skip
from bench.sweep.report import Figures, Results, document

SHORT = (1, 2, 4)  # workers of the short sweeps
POLL = 2.0  # seconds
COMMANDS = 3  # that a sweep may take; the same command ends one in which a trial failed
SHOWN = {
    "first": "dvc exp show --csv",
    "again": "dvc exp show --csv",
    "list": "dvc exp list --name-only",
    "metrics": "dvc metrics show",
}


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; return 0, or 1 if this machine cannot have hosts or a sweep fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="trials of the long sweep (1000)")
    parser.add_argument("--workers", type=int, default=8, help="workers of the long sweep (8)")
    parser.add_argument("--kills", type=int, default=40, help="workers that are killed in the long sweep (40)")
    parser.add_argument("--seconds", type=float, default=6.0, help="that a stage sleeps (6)")
    parser.add_argument("--rounds", type=int, default=8, help="trials a worker in the short sweeps (8)")
    parser.add_argument("--output", type=Path, default=Path("bench/sweep/scale.md"), help="a .json goes beside it")
    options = parser.parse_args(arguments)
    try:
        if reason := reason_to_skip():
            raise OSError(reason)
        with cluster(options.workers, options.seconds) as hosts:
            long = sweep(hosts, options.trials, options.seconds, options.kills)
            once = sum(count == 1 for count in rates(hosts).values())
            shown = {name: timed(hosts.user, command) for name, command in SHOWN.items()}
            shown["sweep"] = timed(hosts.user, command_of(hosts, options.trials))
        short = []
        for workers in SHORT:
            with cluster(workers, options.seconds) as hosts:
                short.append(sweep(hosts, options.rounds * workers, options.seconds, 0))
        results = Results(facts(), short, long, once, shown)
        save(options.output, document(results), results)
    except (ValueError, OSError) as error:
        print(f"bench.sweep: {error}", file=sys.stderr)
        return 1
    print(f"bench.sweep: {options.trials} trials on {options.workers} workers -> {options.output}")
    return 0


@contextmanager
def cluster(workers: int, seconds: float) -> Iterator[Cluster]:
    """Hosts with a worker each and a shared project whose stage sleeps."""
    with tempfile.TemporaryDirectory(prefix="hosts-") as folder:
        made = Cluster(Path(folder), workers)
        try:
            made.start()
            fill_project(made.user.path(PROJECT), seconds)
            share(made, ["dvc repro -q"])
            yield made
        finally:
            made.network.stop()


def command_of(hosts: Cluster, trials: int) -> str:
    values = ",".join(f"{number / 10_000:.4f}" for number in range(1, trials + 1))
    return f"python -m sweep --scheduler {hosts.scheduler()} -S train.learning_rate={values}"


def sweep(hosts: Cluster, trials: int, seconds: float, kills: int) -> Figures:
    """Run a sweep to its end, kill workers at random times meanwhile, and return the figures."""
    before = {host.name: host.cpu_seconds() for host in hosts.network.hosts.values()}
    psutil.cpu_percent()
    killed: list[str] = []
    done = threading.Event()
    if kills:
        mean_pause = trials * (seconds + 1) / len(hosts.workers) / (kills + 1)
        threading.Thread(target=kill_at_random, args=(hosts, kills, mean_pause, done, killed), daemon=True).start()
    began, users, commands = time.monotonic(), 0.0, 0
    ended = False
    while not ended:
        commands += 1
        running = hosts.user.start(command_of(hosts, trials), "sweep.log", PROJECT)
        while running.poll() is None:
            time.sleep(POLL)
            users = max(users, hosts.user.cpu_seconds() - before[hosts.user.name])
            print(f"{len(hosts.storage.experiments())} of {trials}, {time.monotonic() - began:.0f} s", flush=True)
        ended = not running.returncode
        if commands == COMMANDS and not ended:
            raise OSError(f"the sweep does not end: {hosts.user.path('sweep.log').read_text()[-2000:]}")
    wall = time.monotonic() - began
    done.set()
    spent = {host.name: host.cpu_seconds() - before[host.name] for host in hosts.network.hosts.values()}
    spent[hosts.user.name] = users  # the processes are gone by now
    works = sum(spent.pop(host.name) for host in hosts.workers)
    return Figures(
        workers=len(hosts.workers),
        trials=trials,
        seconds=seconds,
        wall=wall,
        pauses=[pause for host in hosts.workers for pause in pauses(host)],
        starts=sum(len(times(host, "started")) for host in hosts.workers),
        kills=len(killed),
        commands=commands,
        busy=psutil.cpu_percent() / 100,
        cpu={name: each / trials for name, each in {**spent, "workers": works}.items()},
    )


def kill_at_random(hosts: Cluster, kills: int, mean_pause: float, done: threading.Event, killed: list[str]) -> None:
    chance = random.Random(0)
    while len(killed) < kills and not done.wait(chance.expovariate(1 / mean_pause)):
        host = chance.choice(hosts.workers)
        kill_worker(host)
        killed.append(host.name)


def times(host: Host, event: str) -> dict[str, float]:
    """When the stage of each learning rate started or ended on a host, for the last time."""
    path = host.path(event)
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return {rate: float(moment) for rate, moment in lines}


def pauses(host: Host) -> list[float]:
    """The seconds from the end of each stage to the start of the next on this host."""
    ended, started = sorted(times(host, "ended").values()), sorted(times(host, "started").values())
    return [min(after) - end for end in ended if (after := [start for start in started if start > end])]


def rates(hosts: Cluster) -> Counter[str]:
    """How many experiments in the Git remote have each learning rate."""
    found = (json.loads(hosts.storage.read(each, "metrics.json")) for each in hosts.storage.experiments().values())
    return Counter(str(metrics["validation"]["loss"]) for metrics in found)


def facts() -> dict[str, str]:
    """What the times depend on."""
    names = ("processor", "cores", "memory", "system")
    here = machine.describe()
    return {name: here[name] for name in names} | {name: version(name) for name in ("dvc", "distributed")}


def timed(host: Host, command: str) -> float:
    began = time.monotonic()
    host.run(command, PROJECT, timeout=1800)
    return time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
