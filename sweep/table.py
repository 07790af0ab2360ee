"""The trials of a sweep by recipe, each judged against the recipe of this folder by validation."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import mean, stdev

from classifier.paths import METRICS
from review.comparison import Comparison, compare_results
from review.escaping import quote
from review.lock import stage_findings
from review.results import Results, parse_metrics
from review.revision import read_file, read_results
from review.seeds import differing_keys
from review.statistics import ALPHA, Readings, estimate, judge
from review.text import Table
from sweep.proposals import Changes

SPLIT = "validation"


def accuracies_of(commits: Sequence[str]) -> list[float]:
    """The validation accuracies in metrics.json of the commits that have one."""
    accuracies = []
    for commit in commits:
        with suppress(OSError, ValueError, KeyError):
            accuracies.append(parse_metrics(read_file(commit, METRICS).decode())[f"{SPLIT}.accuracy"])
    return accuracies


def judge_trials(trials: Mapping[Changes, Sequence[str]]) -> tuple[Table, str]:
    """Judge each recipe against the results of this folder by the commits of its seeds.

    Return a row for each recipe that has a validation accuracy, the best first: its parameters, its mean accuracy, and
    the verdict. And say in a sentence what the verdicts rest on.
    """
    base = None
    with suppress(OSError, ValueError):
        if not any(stage_findings(None).values()):
            base = read_results(None)
    compared = {changes: _compare(base, commits) for changes, commits in trials.items() if base and commits}
    # Other recipes that were judged against base on these images before count as well.
    others = [judged[0].recipes for judged in compared.values() if judged and not judged[0].one_recipe]
    comparisons = max(1, len(others) + max(others, default=1) - 1)
    tried = {changes: accuracies for changes in trials if (accuracies := accuracies_of(trials[changes]))}
    best_first = sorted(tried, key=lambda changes: -mean(tried[changes]))
    keys = dict.fromkeys(change.partition("=")[0] for changes in best_first for change in changes)
    table = [[*map(quote, keys), "validation accuracy", "against base"]]
    for changes in best_first:
        values = {key: value for key, _, value in (change.partition("=") for change in changes)}
        accuracies, accuracy = tried[changes], f"{mean(tried[changes]):.4f}"
        if len(accuracies) > 1:
            accuracy += f" ± {stdev(accuracies):.4f} over {len(accuracies)} seeds"
        verdict = _verdict(compared.get(changes), comparisons)
        table.append([*(quote(values.get(key, "unchanged")) for key in keys), accuracy, verdict])
    of_base = base.metrics.get(f"{SPLIT}.accuracy") if base else None
    if of_base is None:
        return table, "base: none, because dvc.lock of this folder does not match its results; `dvc repro` writes them"
    level = f"p < {ALPHA:g} / {comparisons} = {ALPHA / comparisons:.2g} (Bonferroni)"
    return table, f"base: this folder, validation accuracy {of_base:.4f}; better than base takes {level}"


def best_trial(trials: Mapping[Changes, Sequence[str]]) -> str:
    """Return the commit of the first seed of the recipe whose mean validation accuracy is the highest."""
    accuracies = {changes: accuracies_of(commits) for changes, commits in trials.items()}
    best = max((changes for changes in trials if accuracies[changes]), key=lambda changes: mean(accuracies[changes]))
    return trials[best][0][:10]


def _compare(base: Results, commits: Sequence[str]) -> tuple[Comparison, list[Results]] | None:
    """Compare the first seed of a recipe with base, and return the results of all; None if they do not compare."""
    with suppress(OSError, ValueError):
        results = [read_results(commit) for commit in commits]
        comparison = compare_results(base, results[0])
        if comparison.decided_by == SPLIT:
            return comparison, results
    return None


def _verdict(compared: tuple[Comparison, list[Results]] | None, comparisons: int) -> str:
    if compared is None:
        return "not compared"
    comparison, results = compared
    base, first = comparison.splits[SPLIT].base, results[0]
    readings = Readings.of([seed.predictions[SPLIT].misread() for seed in results], base.images)
    if comparison.one_recipe:
        verdict = "base"
    elif base.seeds == readings.seeds == 1:
        verdict = "undecided"
    else:
        verdict = judge(estimate(base, readings), comparisons=comparisons)
    machines = any(differing_keys(first.environment, seed.environment) for seed in results)
    return f"{verdict}, different machines" if machines else verdict
