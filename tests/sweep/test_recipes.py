"""The recipes of a sweep: a grid as DVC reads it, Optuna's proposals, and the verdict on each by validation."""

import pytest

from sweep.proposals import Search, grid
from sweep.table import judge_trials, rank
from tests.review.repository import Repository


def seeds(repository: Repository, epochs: int, *wrong: int, machine: str = "avx2") -> list[str]:
    """Commit the results of seeds that misread so many validation images, and return the commits."""
    commits = []
    for seed, count in enumerate(wrong):
        environment = {"kernels": machine if seed else "avx2"}
        repository.write(set(range(count)), set(range(30)), epochs=epochs, seed=seed, environment=environment)
        repository.run(f"git checkout -q -B trial-{epochs}-{seed}")
        repository.commit("A trial")
        commits.append(repository.run("git rev-parse HEAD").strip())
        repository.run("git checkout -q main")
    return commits


def test_recipes_are_judged_by_validation_at_the_level_for_all_of_them(repository, monkeypatch):
    monkeypatch.setattr("sweep.table.stage_findings", lambda _: {})  # dvc.lock is made up as well
    repository.measure(*[set(range(20))] * 5, test=[set(range(30))] * 5)
    repository.commit("Base")
    trials = {
        ("train.epochs=6",): seeds(repository, 6, 39, 40, 38),
        ("train.epochs=7",): seeds(repository, 7, 0, 1, 0),
        ("train.epochs=5",): seeds(repository, 5, 20, 20),
        ("train.epochs=8", "train.zoom=0"): seeds(repository, 8, 21, 19, machine="avx512"),
        ("train.epochs=9",): [],
    }
    table, grounds, recipes = judge_trials(trials)
    assert table == [
        ["`train.epochs`", "`train.zoom`", "validation accuracy", "against base"],
        ["`7`", "`unchanged`", "0.9917 ± 0.0144 over 3 seeds", "better"],
        ["`5`", "`unchanged`", "0.5000 ± 0.0000 over 2 seeds", "base"],
        ["`8`", "`0`", "0.5000 ± 0.0354 over 2 seeds", "undecided, different machines"],
        ["`6`", "`unchanged`", "0.0250 ± 0.0250 over 3 seeds", "worse"],
    ]
    assert next(iter(rank(trials))) == ("train.epochs=7",)
    limit = "better than base takes p < 0.05 / 3 = 0.017 (Bonferroni); each seed: report/sweep.png"
    assert grounds == f"base: this folder, validation accuracy 0.5000 ± 0.0000 over 5 seeds; {limit}"
    drawn = {name: readings.errors.tolist() for name, readings in recipes.items()}
    assert list(drawn) == ["base", "train.epochs=7", "train.epochs=5", "train.epochs=8 train.zoom=0", "train.epochs=6"]
    assert (drawn["base"], drawn["train.epochs=6"]) == ([20] * 5, [39, 40, 38])


def test_without_results_of_the_folder_there_is_the_accuracy_alone(repository):
    trials = {("train.epochs=6",): seeds(repository, 6, 8), ("train.epochs=7",): seeds(repository, 7, 2)}
    table, grounds, recipes = judge_trials(trials)
    assert table[1:] == [["`7`", "0.9500", "not compared"], ["`6`", "0.8000", "not compared"]]
    assert grounds.startswith("base: none")
    assert recipes == {}


def test_a_grid_has_each_combination_of_the_values():
    assert grid(["train.rate=0.1,1e-5", "train.filters=[8,16],[4]"]) == [
        ("train.rate=0.1", "train.filters=[8,16]"),
        ("train.rate=0.1", "train.filters=[4]"),
        ("train.rate=1e-05", "train.filters=[8,16]"),
        ("train.rate=1e-05", "train.filters=[4]"),
    ]
    assert grid(["train.seed=range(1,4)"]) == [("train.seed=1",), ("train.seed=2",), ("train.seed=3",)]
    assert grid([]) == [()]


def test_a_search_proposes_within_its_ranges_and_the_same_each_time():
    pytest.importorskip("optuna")

    def proposals() -> list[tuple[str, ...]]:
        search = Search(["a.x=log(0.001, 0.1)", "a.n=interval(1,4)", "a.y=interval(-1.5, 2)", "a.z=[1,2],b"])
        assert search.bounds == ["a.x=0.001", "a.x=0.1", "a.n=1", "a.n=4", "a.y=-1.5", "a.y=2.0", "a.z=[1,2]", "a.z=b"]
        found = []
        for batch in range(4):
            found += search.ask(3)
            search.tell([0.5, None, batch / 10])
        return found

    found = proposals()
    assert found == proposals()
    for x, n, y, z in ([each.partition("=")[2] for each in changes] for changes in found):
        assert 0.001 <= float(x) <= 0.1
        assert int(n) in range(1, 5)
        assert -1.5 <= float(y) <= 2
        assert z in ("[1,2]", "b")
