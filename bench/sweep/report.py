"""The figures of sweeps on a cluster as a document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from classifier.files import markdown_table

MACHINES = 1000  # of the estimate
TRIAL = 60.0  # seconds of a trial there
LOGINS = 3  # by SSH for a trial: to look for its experiment, to push the outputs, to push the experiment
LINE = 115  # bytes of an experiment in the answer to `git ls-remote`


@dataclass(frozen=True)
class Figures:
    """One sweep. Times are in seconds; `cpu` is the processor time a trial of each kind of host."""

    workers: int
    trials: int
    seconds: float
    wall: float
    pauses: list[float]
    starts: int
    kills: int
    commands: int
    busy: float
    cpu: Mapping[str, float]

    @property
    def overhead(self) -> float:
        """What a worker takes for a trial beside its stage, with the start and the end of the sweep."""
        return self.wall * self.workers / self.trials - self.seconds


@dataclass(frozen=True)
class Results:
    """Short sweeps, a long one, how many of its trials are one experiment, and the times of commands after it."""

    facts: Mapping[str, str]
    short: Sequence[Figures]
    long: Figures
    once: int
    shown: Mapping[str, float]


def document(results: Results) -> str:
    long, shown = results.long, results.shown
    heading = ["workers", "trials", "whole sweep", "between stages", "9 of 10 below", "overhead a trial", "busy"]
    rows = [heading, *(_row(each) for each in [*results.short, long])]
    kinds = ["workers", *(str(each.workers) for each in [*results.short, long])]
    costs = [kinds, *([name, *(f"{each.cpu[name]:.2f} s" for each in [*results.short, long])] for name in long.cpu)]
    facts = "\n".join(f"- {name}: {value}" for name, value in results.facts.items())
    return f"""\
# Sweeps on several machines: what they cost

`python -m bench.sweep` wrote this page. Each host is a set of Linux namespaces with a network address, processes and
a home of its own, and no folder in common with the others. One host has the Git remote and the DVC remote behind
OpenSSH, one has Dask's scheduler, one is the user's, and each other one has a worker of one thread. The one stage
sleeps {long.seconds:g} s. All hosts share the processors of one machine:

{facts}

## A trial's overhead

{markdown_table(rows, "---:")}

"Between stages" is the median time from the end of a stage to the start of the next on the same worker: commit and push
of one trial, and checkout of the next. "Overhead a trial" is the time of the whole sweep, with its start and its table
at the end, times workers, divided by trials, less the stage. "Busy" is the share of the machine's processors that was
in use, by these hosts and by anything else.

Processor time a trial, by kind of host:

{markdown_table(costs, "---:")}

## {long.trials:,} trials while workers are killed

{long.kills} times, at random moments, a worker was killed by SIGKILL and started again by its supervisor.

| | |
| --- | ---: |
| trials that are exactly one experiment in the Git remote | {results.once:,} of {long.trials:,} |
| commands that it took | {long.commands} |
| starts of the stage | {long.starts:,} |
| time of the sweep | {long.wall:,.0f} s |
| of which stages that sleep | {long.trials * long.seconds / long.workers:,.0f} s |
| `dvc exp show --csv` in the user's clone, the first time | {shown["first"]:.1f} s |
| again | {shown["again"]:.1f} s |
| `dvc exp list --name-only` | {shown["list"]:.1f} s |
| the same sweep again, in which nothing is left to run | {shown["sweep"]:.1f} s |

{_on_paper(long)}
"""


def _row(each: Figures) -> list[str]:
    ninth = quantiles(each.pauses, n=10)[-1]
    times = [f"{each.wall:,.0f} s", f"{median(each.pauses):.2f} s", f"{ninth:.2f} s", f"{each.overhead:.2f} s"]
    return [str(each.workers), f"{each.trials:,}", *times, f"{each.busy:.0%}"]


def _on_paper(long: Figures) -> str:
    rate = MACHINES / (TRIAL + median(long.pauses))
    need = {name: f"{rate * each:.1f} processors" for name, each in long.cpu.items()}
    limit = {name: f"{1 / each:.0f} trials a second" for name, each in long.cpu.items()}
    megabytes = 10_000 * LINE / 1e6
    return f"""\
## On paper: {MACHINES:,} machines

With trials of {TRIAL:g} s, {MACHINES:,} machines end {rate:.0f} trials a second. From the processor times above:

- The storage host needs {need["storage"]} for SSH, Git and DVC. There are {rate * LOGINS:.0f} logins a second,
  {LOGINS} for each trial. OpenSSH refuses some of more than 10 at a time. The workers try again, but set a higher
  `MaxStartups`.
- The scheduler is one process and needs {need["head"]}. Its limit is {limit["head"]}.
- The user's command is one process and needs {need["user"]}. Its limit is {limit["user"]}.
- Each trial asks the origin for its experiments, about {LINE} bytes each: with 10,000 experiments {megabytes:.1f} MB a
  trial and {rate * megabytes:.0f} MB/s. `dvc exp remove --git-remote origin NAME` removes those that nobody needs.
- The time of `dvc exp show` grows with the number of experiments."""
