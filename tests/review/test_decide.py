"""Seeds are trained until it is decided: which looks take place, what is trained, what is printed."""

import re
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import convert

from review import decide
from review.results import Record
from review.statistics import PLAN
from tests.review.repository import record
from tests.review.stand_in import trained

FLIPS = [{30}, {31, 32}, {33}, {34, 35}, {36}, {37}, {38, 30}, {31}, {32, 34}, {39}]  # images that one seed misreads


def misread(count: int) -> list[set[int]]:
    """Ten seeds of a recipe, all of which misread the images below `count`."""
    return [set(range(count)) | flips for flips in FLIPS]


class Trainings:
    """What review.training would do: the seeds of each revision, and which were asked for."""

    def __init__(self) -> None:
        self.seeds: dict[str | None, Sequence[Any]] = {"main": misread(10), "head": misread(11), None: misread(1)}
        self.asked: list[tuple[str | None, int]] = []
        self.dataset = "mnist"
        self.place: dict[str, Any] = {}

    def load_recipe(self, revision: str | None) -> SimpleNamespace:
        return SimpleNamespace(revision=revision, dataset=self.dataset)

    def measure(self, recipe: SimpleNamespace, seeds: range, **place: Any) -> Record:
        self.asked.append((recipe.revision, len(seeds)))
        self.place = place
        epochs = 5 if recipe.revision == "main" else 8
        return convert(record(*self.seeds[recipe.revision][: len(seeds)], epochs=epochs), Record)


@pytest.fixture
def trainings(repository, monkeypatch) -> Trainings:
    """On main and on the branch head is one run of a recipe each, of seed 0; nothing is measured."""
    trainings = Trainings()
    for name in ("load_recipe", "measure"):
        monkeypatch.setattr(decide, name, getattr(trainings, name))
    repository.write(seed=0)
    repository.commit("seed 0")
    repository.branch("head", epochs=8, seed=0)
    return trainings


@pytest.mark.parametrize(
    ("head", "looks", "verdict", "status"),
    [(1, [3], "better", 0), (20, [3], "worse", 1), (4, [3, 5], "better", 0), (14, [3, 5, 10], "undecided", 0)],
)
def test_looks_go_on_until_one_decides_and_no_further(trainings, run, head, looks, verdict, status):
    trainings.seeds["head"] = misread(head)
    ended, (*lines, last), stderr = run("main", "head", "--workers", "3", "--wait", "7")
    assert (ended, stderr, trainings.place) == (status, "", {"scheduler": None, "workers": 3, "wait": 7})
    assert trainings.asked == [(name, seeds) for seeds in looks for name in ("main", "head")]
    assert re.fullmatch(rf"verdict: (`head` is )?{verdict} .*, by validation, {looks[-1]} seeds each", last)
    assert len(lines) == 2 * len(looks)
    for number, (before, seeds) in enumerate(pairwise([0, *looks])):
        look, alpha = f"decide: look {number + 1} of 3: ", PLAN[number][1]
        announced, seen = lines[2 * number :][:2]
        assert announced == f"{look}{seeds} seeds each, {2 * (seeds - before)} to train"
        decided = verdict if seeds == looks[-1] else "undecided"
        p = re.findall(rf"{look}[-+]0\.\d{{4}} \(95 %: .* to .*\), p = (.*); {decided} at p < {alpha:g}$", seen)
        assert (float(*p) < alpha) == (decided != "undecided")
    if verdict == "undecided":
        assert any(float(p) < 0.05 for p in re.findall(r"p = ([\d.]+)", " ".join(lines)))  # which decides nothing


def test_what_cannot_be_decided_is_refused_before_anything_is_trained(repository, trainings, run):
    repository.branch("other", dataset="mnist-5k")
    line = "decide: `main` is of the data set mnist and `other` of mnist-5k, whose accuracies "
    assert run("main", "other")[2].startswith(line)
    assert run("main", "no-such-branch") == (2, [], "decide: unknown Git revision 'no-such-branch'\n")
    trainings.dataset = "digits"
    line = "decide: data/raw holds digits, the results are of mnist: `dvc repro download` first\n"
    assert run("main", "head") == (2, [], line)
    assert trainings.asked == []


def test_runs_that_do_not_match_the_committed_results_give_no_verdict(repository, trainings, run):
    other = {"data/processed/train_images.npy": "e" * 32}

    def retrained() -> None:
        repository.write(epochs=8, seed=0)
        repository.keep(md5="f" * 32, training=other)

    repository.on("head", retrained)
    status, lines, stderr = run("main", "head")
    why = "it was measured with other files: data/processed/train_images.npy, stages/train.py"
    assert (status, stderr) == (2, f"decide: the runs do not match the results of `head`: {why}\n")
    assert not any("verdict" in line for line in lines)


def test_two_runs_of_one_recipe_take_no_training(repository, trainings, run):
    repository.measure({0}, {1})
    repository.commit("measured")
    repository.run("git branch -f head main")
    verdict = "verdict: `head` is no worse than `main`: both are runs of one recipe"
    assert run("main", "head") == (0, [verdict], "")
    assert trainings.asked == []


@pytest.mark.parametrize(
    ("base", "head", "announced", "looks"),
    [
        (5, 4, "look 2 of 3: 5 seeds each, 1 to train", [5, 10]),
        (5, 5, "look 2 of 3: 5 seeds each, 0 to train", [5, 10]),
        (10, 10, "look 3 of 3: 10 seeds each, 0 to train", [10]),
    ],
)
def test_looks_that_were_taken_before_are_not_repeated(repository, trainings, run, base, head, announced, looks):
    more = [] if base < 10 else [{1}, {2}]  # more seeds than the plan has
    repository.measure(*misread(10)[:base], *more)
    repository.commit("measured")
    repository.on("head", lambda: repository.measure(*misread(11)[:head], *more, epochs=8))
    assert run("main", "head")[1][0] == f"decide: {announced}"
    assert trainings.asked == [(name, seeds) for seeds in looks for name in ("main", "head")]


def test_a_branch_and_this_folder_are_trained_with_three_seeds_each_and_once_only(here, run):
    here.replace("stages/evaluate.py", '"validation": {seed}', '"validation": {*range(9), seed}')
    here.run("dvc repro -q")
    here.commit("Most images are misread")
    here.replace("stages/evaluate.py", '"validation": {*range(9), seed}', '"validation": {seed}')
    here.run("dvc repro -q")
    status, lines, stderr = run("main")
    assert status == 0
    assert trained("\n".join(lines)) == [0, 2, 0, 2]  # the results are those of seed 1
    assert lines[-1].startswith("verdict: this folder is better than `main`: 8,000 fewer misread in 10,000 (95 %: ")
    assert stderr == "decide: commit evaluation/noise, which has the seeds of this folder\n"
    (*_, kept) = here.records()
    assert [seed["validation"]["misread"] for seed in kept["seeds"]] == [[0], [1], [2]]
    again = run("main")
    assert trained("\n".join(again[1])) == []
    assert again[1][-2:] == lines[-2:]
