"""The recipes of a sweep: a grid as DVC reads it, and Optuna's proposals."""

import pytest

from sweep.proposals import Search, grid


def test_a_grid_has_each_combination_of_the_values() -> None:
    assert grid(["train.rate=0.1,1e-5", "train.filters=[8,16],[4]"]) == [
        ("train.rate=0.1", "train.filters=[8,16]"),
        ("train.rate=0.1", "train.filters=[4]"),
        ("train.rate=1e-05", "train.filters=[8,16]"),
        ("train.rate=1e-05", "train.filters=[4]"),
    ]
    assert grid(["train.seed=range(1,4)"]) == [("train.seed=1",), ("train.seed=2",), ("train.seed=3",)]
    assert grid([]) == [()]


def test_a_search_proposes_within_its_ranges_and_the_same_each_time() -> None:
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
