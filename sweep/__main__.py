"""Run the pipeline with each combination of parameters, here or on a cluster; each trial ends as a DVC experiment.

    python -m sweep -S train.learning_rate=0.003,0.01 -S train.shift=0,1 --seeds 3
    python -m sweep -S 'train.learning_rate=log(0.001, 0.03)' --search 30
    python -m sweep -S train.shift=0,1 --scheduler tcp://HOST:8786

The files of the folder stay as they are. Trials that exist are not run again, so the same command goes on.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from classifier.command import command
from review.text import as_columns, wrap
from review.training import add_places, at_least_one, check_parameters
from sweep.proposals import Search, grid
from sweep.table import Changes, about_trials, judge_trials, mean_accuracy, save_trials, table_of_trials
from trials.engine import Ended, Engine
from trials.git import snapshot
from trials.trial import Trial

REPORT = Path("report/sweep")  # report/ is not in Git


@command("sweep", refused=2, interrupted="the trials that ended are kept, and the same command goes on")
def main(arguments: list[str] | None = None) -> int:
    """Run the trials and print the table; return 0, or 1 if a trial failed, or 2 if nothing was run."""
    parser = argparse.ArgumentParser(prog="python -m sweep", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-S", action="append", default=[], dest="given", metavar="KEY=VALUES", help="as in KEY=1,2")
    parser.add_argument("--seeds", type=at_least_one, metavar="N", help="train each recipe with the seeds 0 to N-1")
    parser.add_argument("--search", type=at_least_one, metavar="N", help="try N recipes that Optuna proposes")
    add_places(parser)
    options = parser.parse_args(arguments)
    if options.seeds and any(each.startswith("train.seed=") for each in options.given):
        raise ValueError("-S train.seed and --seeds exclude each other")
    if not (options.given or options.seeds):
        raise ValueError("nothing to vary: -S KEY=VALUES or --seeds N")
    search = Search(options.given) if options.search else None
    recipes = [] if search else grid(options.given)
    seeds: list[Changes] = [(f"train.seed={seed}",) for seed in range(options.seeds or 0)] or [()]
    check_parameters([*(search.bounds if search else sum(recipes, ())), *sum(seeds, ())])
    with Engine(options.scheduler, options.workers) as engine:
        sweep = Sweep(engine, seeds, (options.search or len(recipes)) * len(seeds))
        if search:
            while left := options.search - len(search.study.trials):
                search.tell(sweep.run(search.ask(min(left, engine.workers))))
        else:
            sweep.run(recipes)
    for failed in sweep.failed:
        print(f"sweep: {' '.join(failed.trial.changes)} failed: {failed.reason}", file=sys.stderr)
    judged = judge_trials(sweep.ended)
    if judged.tried:
        print(f"\n{as_columns(table_of_trials(judged))}\n\n{wrap(about_trials(judged))}")
        save_trials(judged, REPORT)
        print(f"sweep: table.md and validation.png -> {REPORT}")
    return 1 if sweep.failed else 0


class Sweep:
    """The trials of a sweep as they end: the commits of each recipe by seed, and those that failed."""

    def __init__(self, engine: Engine, seeds: Sequence[Changes], total: int) -> None:
        self.engine, self.seeds, self.total, self.start = engine, seeds, total, snapshot()
        self.ended: dict[Changes, list[str]] = {}
        self.failed: list[Ended] = []
        self.began, self.done = time.monotonic(), 0

    def run(self, recipes: Sequence[Changes]) -> list[float | None]:
        """Run each recipe with each seed, and return their mean validation accuracies; None where no trial ended."""
        trials = {Trial(*self.start, (*changes, *seed)): changes for changes in recipes for seed in self.seeds}
        ended = {each.trial: each.revision for each in map(self.tell, self.engine.run(trials))}
        for changes in recipes:
            found = [ended[trial] for trial in trials if trials[trial] == changes]
            self.ended[changes] = [revision for revision in found if revision]
        return [mean_accuracy(self.ended[changes]) for changes in recipes]

    def tell(self, ended: Ended) -> Ended:
        """Print a line for a trial that has ended."""
        if ended.reason:
            self.failed.append(ended)
        if not self.done and self.engine.dashboard:
            print(f"sweep: {self.engine.workers} workers, dashboard at {self.engine.dashboard}")
        self.done += 1
        accuracy = mean_accuracy([ended.revision] if ended.revision else [])
        found = ended.reason or (f"validation accuracy {accuracy:.4f}" if accuracy is not None else "ended")
        seconds = time.monotonic() - self.began
        left = seconds / self.done * (self.total - self.done)
        progress = f"{self.done} of {self.total}, {seconds:.0f} s, about {left:.0f} s left"
        print(f"sweep: {' '.join(ended.trial.changes)}: {found} ({progress})", flush=True)
        return ended


if __name__ == "__main__":
    sys.exit(main())
