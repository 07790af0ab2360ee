"""Which recipes a sweep tries: a grid, what was tried before, or what Optuna proposes."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from classifier.paths import PARAMS
from review.escaping import quote
from review.results import leaves
from review.revision import find_commit, read_yaml
from review.seeds import differing_keys
from trials.git import git

SEED = 0  # of Optuna's sampler, so that the same command proposes the same
NUMBER = r"\s*([-+.\deE]+)\s*"

Changes = tuple[str, ...]  # of parameters, as `dvc exp run -S` takes them


def grid(given: Sequence[str]) -> list[Changes]:
    """Return each combination of the values, which are written as for `dvc exp run -S`: "train.shift=0,1".

    Raises:
        ValueError: one is not written in this way.
    """
    from dvc.utils.hydra import get_hydra_sweeps
    from hydra.errors import HydraException

    keys = [each.partition("=")[0] for each in given]
    if repeated := next((key for key in keys if keys.count(key) > 1), None):
        raise ValueError(f"-S {repeated} is given twice: write all values into one, as in {repeated}=1,2")
    try:
        sweeps = get_hydra_sweeps({"params.yaml": list(given)})
    except HydraException as error:
        raise ValueError(f"expected -S KEY=VALUES, as in train.shift=0,1: {str(error).splitlines()[0]}") from None
    return [tuple(each["params.yaml"]) for each in sweeps]


def tried_at(revision: str) -> dict[Changes, list[Changes]]:
    """Return the recipes of the experiments at a revision, as changes of its parameters, each with its seeds.

    Raises ValueError if there is no such revision, or no experiment at it.
    """
    commit = str(find_commit(revision))
    experiments = git("for-each-ref", "--format=%(objectname)", f"refs/exps/{commit[:2]}/{commit[2:]}/").split()
    if not experiments:
        raise ValueError(f"{quote(revision)} has no experiments in this repository: see `dvc exp list --all-commits`")
    base, *others = [dict(leaves(read_yaml(each, PARAMS))) for each in (commit, *experiments)]
    tried: dict[Changes, list[Changes]] = {}
    for parameters in others:
        keys = [key for key in differing_keys(base, parameters) if key in parameters]
        changes = {key: f"{key}={json.dumps(parameters[key], separators=(',', ':'))}" for key in keys}
        seed = (changes.pop("train.seed"),) if "train.seed" in changes else ()
        seeds = tried.setdefault(tuple(changes.values()), [])
        if seed not in seeds:
            seeds.append(seed)
    return tried


class Search:
    """Optuna's proposals, asked for in batches and judged by validation accuracy; the same answers give the same."""

    def __init__(self, given: Sequence[str]) -> None:
        try:
            import optuna
        except ImportError:
            raise ValueError("--search needs Optuna: `make extra` installs it") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
        self.choices = {each.partition("=")[0]: _choice(each) for each in given}
        self.asked: list[Any] = []

    @property
    def bounds(self) -> list[str]:
        """The changes to check before the search: the ends of each range, and each value of a list."""
        return [f"{key}={value}" for key, (values, _) in self.choices.items() for value in values]

    def ask(self, count: int) -> list[Changes]:
        """Return the next recipes to try."""
        self.asked = [self.study.ask() for _ in range(count)]
        choices = [(key, suggest) for key, (_, suggest) in self.choices.items()]
        return [tuple(f"{key}={suggest(trial, key)}" for key, suggest in choices) for trial in self.asked]

    def tell(self, accuracies: Sequence[float | None]) -> None:
        """Report the accuracies of the last proposals in their order; None of one that failed."""
        import optuna

        for trial, accuracy in zip(self.asked, accuracies, strict=True):
            failed = optuna.trial.TrialState.FAIL if accuracy is None else None
            self.study.tell(trial, accuracy, state=failed)


def _choice(given: str) -> tuple[list[Any], Callable[[Any, str], Any]]:
    """Return the values to check of a parameter, and the function that has Optuna choose one."""
    _, _, text = given.partition("=")
    if found := re.fullmatch(rf"(log|interval)\({NUMBER},{NUMBER}\)", text.strip()):
        log, ends = found[1] == "log", found.groups()[1:]
        if all(re.fullmatch(r"[-+]?\d+", end) for end in ends):
            low, high = map(int, ends)
            return [low, high], lambda trial, key: trial.suggest_int(key, low, high, log=log)
        start, end = map(float, ends)
        # Four digits are enough for a parameter, and a table can show them.
        return [start, end], lambda trial, key: float(f"{trial.suggest_float(key, start, end, log=log):.4g}")
    values = [changes[0].partition("=")[2] for changes in grid([given])]
    return values, lambda trial, key: trial.suggest_categorical(key, values)
