from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bench.peers import __main__ as command
from bench.peers import recipe, report
from bench.peers.report import OURS, Results, Round, Run
from classifier.model import learning
from tests.conftest import REPOSITORY

RECIPE = recipe.Recipe((2,), 3, (4,), 1.0, 0.05, 0.01, 0.1, 2, 4, 7)


def test_the_peers_have_the_learning_rates_of_the_stage(keras: ModuleType) -> None:
    rate = learning.rate("cosine", 0.01, 0.1, 55)
    expected = [float(np.asarray(rate(step))) for step in range(55)]
    assert list(recipe.learning_rates(RECIPE, 55)) == pytest.approx(expected, abs=1e-8)


def test_an_epoch_has_each_image_once_in_an_order_of_its_own() -> None:
    first, second = (recipe.order(RECIPE, 10, epoch) for epoch in (0, 1))
    assert [len(rows) for rows in first] == [4, 4, 2]
    assert sorted(np.concatenate(first)) == sorted(np.concatenate(second)) == list(range(10))
    assert list(np.concatenate(first)) != list(np.concatenate(second))
    assert recipe.steps(RECIPE, 10) == 6


def test_shifts_reach_the_limit_in_both_directions_and_not_more() -> None:
    drawn = recipe.shifts(RECIPE, 1000, 0)
    assert drawn.shape == (2, 1000)
    assert -1 <= drawn.min() < -0.95
    assert 0.95 < drawn.max() <= 1


def test_a_ratio_is_taken_within_a_round_and_the_accuracy_is_a_mean() -> None:
    rounds = [
        Round(seed, 0.0, {OURS: Run(ours, 1, 0.01, 0.99), "peer": Run(2 * ours + seed, 3, 0.04, accuracy)})
        for seed, ours, accuracy in ((0, 10.0, 0.99), (1, 20.0, 0.98), (2, 1.0, 0.94))
    ]
    page = report.as_markdown(Results("command", "abc1234", {"processor": "one"}, {"torch": "2"}, rounds))
    line = next(line for line in page.splitlines() if line.startswith("| peer |"))
    assert [cell.strip() for cell in line.strip("|").split("|")][1:] == [
        *("20.0 (4.0 to 41.0)", "2.05 (2.00 to 4.00)", "3.0 (3.0 to 3.0)", "3.00 (3.00 to 3.00)"),
        *("40.00 (40.00 to 40.00)", "4.00 (4.00 to 4.00)", "0.9700 (0.9400 to 0.9900)"),
    ]


def test_the_peers_get_the_parameters_of_the_default_recipe() -> None:
    assert command.peer_recipe().filters == (32, 64, 64)
    assert command.peer_recipe().batch_size == 100


def test_a_recipe_that_the_peers_do_not_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (REPOSITORY / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("rotation: 0.0", "rotation: 5.0"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"params\.yaml: the peers do not have train\.rotation: 5\.0"):
        command.peer_recipe()


def test_an_environment_without_python_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "head", lambda: "abc1234")
    (tmp_path / "mnist.npz").touch()
    assert command.main(["--environment", str(tmp_path), "--mirror", str(tmp_path / "mnist.npz")]) == 1
    assert capsys.readouterr().err == (
        f"bench: {tmp_path}/bin/python: no such file; bench/README.md says how to make the environment\n"
    )
