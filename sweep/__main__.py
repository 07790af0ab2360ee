"""Run the pipeline with each combination of parameters, here or on a cluster; each trial ends as a DVC experiment.

    python -m sweep -S train.learning_rate=0.003,0.01 -S train.shift=0,1 --seeds 3
    python -m sweep -S 'train.learning_rate=log(0.001, 0.03)' --search 30
    python -m sweep -S train.shift=0,1 --scheduler tcp://HOST:8786
    python -m sweep --again main~1

The files of the folder stay as they are. Trials that exist are not run again, so the same command goes on.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from classifier.command import command
from classifier.files import save
from classifier.parameters import read_section
from classifier.paths import PARAMS
from review.drawing import draw_seeds
from review.text import as_columns, wrap
from review.training import add_places, changed_params, place_of
from stages import download, preprocess, train
from sweep.proposals import Changes, Search, grid, tried_at
from sweep.table import PICTURE, SPLIT, accuracies_of, judge_trials, rank
from trials.engine import Engine
from trials.git import snapshot
from trials.trial import Trial

STAGES = {"download": download, "preprocess": preprocess, "train": train}  # with parameters


@command("sweep", refused=2, interrupted="the trials that ended are kept, and the same command goes on")
def main(arguments: list[str] | None = None) -> int:
    """Run the trials and print the table; return 0, or 1 if a trial failed, or 2 if nothing was run."""
    parser = argparse.ArgumentParser(prog="python -m sweep", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-S", action="append", default=[], dest="given", metavar="KEY=VALUES", help="as in KEY=1,2")
    parser.add_argument("--seeds", type=int, metavar="N", help="train each recipe with the seeds 0 to N-1")
    parser.add_argument("--search", type=int, metavar="N", help="try N recipes that Optuna proposes")
    parser.add_argument("--again", metavar="REVISION", help="try what the experiments at this revision changed")
    add_places(parser)
    options = parser.parse_args(arguments)
    search = Search(options.given) if options.search else None
    plan = planned(options, search)
    check_changes(change for changes, seeds in plan.items() for change in sum(seeds, changes))
    with Engine(**place_of(options)) as engine:
        if search:
            (seeds, *_) = plan.values()
            sweep = Sweep(engine, options.search * len(seeds))
            while (left := options.search - len(search.study.trials)) > 0:
                search.tell(sweep.run(dict.fromkeys(search.ask(min(left, max(1, engine.count()))), seeds)))
        else:
            sweep = Sweep(engine, sum(map(len, plan.values())))
            sweep.run(plan)
    for line in sweep.failed:
        print(f"sweep: {line}", file=sys.stderr)
    table, grounds, recipes = judge_trials(sweep.ended)
    if len(table) > 1:
        first_seed = sweep.ended[next(iter(rank(sweep.ended)))][0]
        print(f"\n{as_columns(table)}\n\n{wrap(grounds)}\n\nthe best recipe: dvc exp apply {first_seed[:10]}")
    if recipes:
        save(PICTURE, draw_seeds(recipes, SPLIT))
    return 1 if sweep.failed else 0


def planned(options: argparse.Namespace, search: Search | None) -> dict[Changes, list[Changes]]:
    """Return the recipes to try, each with its seeds; for a search, the changes that are the ends of its ranges."""
    if options.seeds and any(change.startswith("train.seed=") for change in options.given):
        raise ValueError("-S train.seed and --seeds exclude each other")
    if options.again and (options.given or search):
        raise ValueError("--again repeats the changes that were tried: leave out -S and --search")
    if not options.given and (search or not (options.seeds or options.again)):
        raise ValueError("nothing to vary: -S KEY=VALUES, --seeds N or --again REVISION")
    tried = tried_at(options.again) if options.again else {}
    if tried and not options.seeds:
        return tried
    seeds: list[Changes] = [(f"train.seed={seed}",) for seed in range(options.seeds or 0)] or [()]
    return dict.fromkeys(tried or ([(bound,) for bound in search.bounds] if search else grid(options.given)), seeds)


def check_changes(changes: Iterable[str]) -> None:
    """Check each change of a parameter as its stage would. Raises ValueError if the stage would refuse it."""
    for change in sorted(set(changes)):
        section = change.partition(".")[0]
        with changed_params(PARAMS, [change]) as path:
            try:
                if section in STAGES:
                    read_section(section, STAGES[section].Parameters, path)
            except ValueError as error:
                raise ValueError(str(error).replace(str(path), str(PARAMS))) from None


class Sweep:
    """The trials of a sweep as they end: the commits of each recipe by seed, and a line for each that failed."""

    def __init__(self, engine: Engine, total: int) -> None:
        self.engine, self.total, self.start = engine, total, snapshot()
        self.ended: dict[Changes, list[str]] = {}
        self.failed: list[str] = []
        self.done = 0

    def run(self, plan: Mapping[Changes, Sequence[Changes]]) -> list[float | None]:
        """Run each recipe with its seeds, and return their mean validation accuracies; None where no trial ended."""
        trials = {Trial(*self.start, (*changes, *seed)): changes for changes, seeds in plan.items() for seed in seeds}
        commits: dict[Trial, str] = {}
        for trial, commit, reason in self.engine.run(trials):
            self.done += 1
            name, accuracies = " ".join(trial.changes), accuracies_of([commit] if commit else [])
            outcome = f"validation accuracy {accuracies[0]:.4f}" if accuracies else "ended"
            print(f"sweep: {name}: {reason or outcome} ({self.done} of {self.total})", flush=True)
            if commit:
                commits[trial] = commit
            else:
                self.failed.append(f"{name} failed: {reason}")
        for changes in plan:
            self.ended[changes] = [commits[trial] for trial in trials if trials[trial] == changes and trial in commits]
        judged = [accuracies_of(self.ended[changes]) for changes in plan]
        return [mean(accuracies) if accuracies else None for accuracies in judged]


if __name__ == "__main__":
    sys.exit(main())
