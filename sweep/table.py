"""The trials of a sweep by recipe, each judged against the recipe of this folder by validation."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import mean, stdev

from classifier.paths import METRICS
from review.comparison import Comparison, compare_results, holding_records, readings_of
from review.escaping import quote, spread
from review.lock import stage_findings
from review.results import Results, parse_metrics
from review.revision import read_file, read_results
from review.seeds import differing_keys
from review.statistics import ALPHA, Readings, estimate, judge
from review.text import Table
from sweep.proposals import Changes

SPLIT = "validation"
PICTURE, MOST_DRAWN = Path("report/sweep.png"), 30  # recipes
Compared = tuple[Comparison, Readings, bool]  # of the first seed with base; of all seeds; whether their machines differ


def accuracies_of(commits: Sequence[str]) -> list[float]:
    """The validation accuracies in metrics.json of the commits that have one."""
    accuracies = []
    for commit in commits:
        with suppress(OSError, ValueError, KeyError):
            accuracies.append(parse_metrics(read_file(commit, METRICS).decode())[f"{SPLIT}.accuracy"])
    return accuracies


def rank(trials: Mapping[Changes, Sequence[str]]) -> dict[Changes, list[float]]:
    """Return the validation accuracies of each recipe that has one, by seed; the best mean is first."""
    tried = {changes: accuracies_of(commits) for changes, commits in trials.items()}
    best_first = sorted(filter(tried.get, tried), key=lambda changes: -mean(tried[changes]))
    return {changes: tried[changes] for changes in best_first}


def judge_trials(trials: Mapping[Changes, Sequence[str]]) -> tuple[Table, str, dict[str, Readings]]:
    """Judge each recipe against the results of this folder by the commits of its seeds.

    Return a row for each recipe that has a validation accuracy, the best first: its parameters, its mean accuracy, and
    the verdict; a sentence on what the verdicts rest on; and, of base and the best recipes compared with it, what their
    seeds misread.
    """
    base = None
    with suppress(OSError, ValueError):
        if not any(stage_findings(None).values()):
            base = read_results(None)
    compared = {
        changes: judged
        for changes, commits in trials.items()
        if base and commits and (judged := _compare(base, commits))
    }
    # Other recipes that were judged against base on these images before count as well.
    others = [comparison.recipes for comparison, *_ in compared.values() if not comparison.one_recipe]
    comparisons = max(1, len(others) + max(others, default=1) - 1)
    ranked = rank(trials)
    keys = dict.fromkeys(change.partition("=")[0] for changes in ranked for change in changes)
    table = [[*map(quote, keys), "validation accuracy", "against base"]]
    for changes, accuracies in ranked.items():
        values = {key: value for key, _, value in (change.partition("=") for change in changes)}
        accuracy = f"{mean(accuracies):.4f}"
        if len(accuracies) > 1:
            accuracy += f" ± {stdev(accuracies):.4f} over {len(accuracies)} seeds"
        verdict = _verdict(compared.get(changes), comparisons)
        table.append([*(quote(values.get(key, "unchanged")) for key in keys), accuracy, verdict])
    if base is None or SPLIT not in base.predictions:
        stale = "base: none, because dvc.lock of this folder does not match its results; `dvc repro` writes them"
        return table, stale, {}
    of_base = readings_of(base, holding_records(base, base)[0], SPLIT)
    level = f"p < {ALPHA:g} / {comparisons} = {ALPHA / comparisons:.2g} (Bonferroni)"
    grounds = f"base: this folder, validation accuracy {spread(of_base)}; better than base takes {level}"
    drawn = [changes for changes in ranked if changes in compared][:MOST_DRAWN]
    recipes = {" ".join(changes) or "unchanged": compared[changes][1] for changes in drawn}
    return table, f"{grounds}; each seed: {PICTURE}", {"base": of_base} | recipes


def _compare(base: Results, commits: Sequence[str]) -> Compared | None:
    """Compare the first seed of a recipe with base, and read what all seeds misread; None if they do not compare."""
    with suppress(OSError, ValueError):
        results = [read_results(commit) for commit in commits]
        comparison = compare_results(base, results[0])
        if comparison.decided_by == SPLIT:
            misread = [seed.predictions[SPLIT].misread() for seed in results]
            machines = any(differing_keys(results[0].environment, seed.environment) for seed in results)
            return comparison, Readings.of(misread, comparison.splits[SPLIT].base.images), machines
    return None


def _verdict(compared: Compared | None, comparisons: int) -> str:
    if compared is None:
        return "not compared"
    comparison, readings, machines = compared
    base = comparison.splits[SPLIT].base
    if comparison.one_recipe:
        verdict = "base"
    elif base.seeds == readings.seeds == 1:
        verdict = "undecided"
    else:
        verdict = judge(estimate(base, readings), comparisons=comparisons)
    return f"{verdict}, different machines" if machines else verdict
