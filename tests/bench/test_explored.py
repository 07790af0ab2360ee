"""The search of recipes: its tables are those of its figures, and it says what it lacks."""

import json

import pytest

from bench import explore, explored
from tests.conftest import REPOSITORY


def test_the_tables_of_the_groups_are_those_of_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    document, figures = explored.DOCUMENT.read_text(), json.loads(explored.FIGURES.read_text())
    assert {each["group"] for each in figures} == set(explored.GROUPS)
    for group in explored.GROUPS:
        rows = explored.table([each for each in figures if each["group"] == group])
        assert explored.replace(document, group, rows) == document


def test_a_row_has_the_settings_and_mean_and_deviation_of_its_runs() -> None:
    figures = [
        {"settings": {}, "validation": [0.98, 0.99], "test": [0.97, 0.97]},
        {"settings": {"epochs": 1, "precision": "float32"}, "validation": [0.99, 0.99], "test": [0.98, 0.98]},
    ]
    assert explored.table(figures).splitlines()[2:] == [
        "| `epochs: 1`, `precision: float32` | 2 | 0.99000 ± 0.00000 | 0.98000 ± 0.00000 |",
        "| nothing | 2 | 0.98500 ± 0.00707 | 0.97000 ± 0.00000 |",
    ]


def test_the_copy_is_compared_only_with_the_record_of_the_same_recipe() -> None:
    parameters = {f"train.{name}": value for name, value in explored.DEFAULT.items() if name != "crop"}
    record = {
        "dataset": "mnist",
        "parameters": {**parameters, "preprocess.validation_images": 5000},
        "environment": {"precision": "mixed_bfloat16"},
        "images": {"validation": 10, "test": 10},
        "seeds": [{"validation": {"misread": [1] * count}, "test": {"misread": []}} for count in (1, 3)],
    }
    figures = [
        {"group": "default", "settings": settings, "validation": [0.9, 0.9], "test": [0.9, 0.9]}
        for settings in ({}, {"epochs": 3}, {"crop": 24})
    ]
    rows = explored.agreement(figures, [record]).splitlines()[2:]
    assert len(rows) == 1
    assert rows[0].startswith("| nothing | 0.90000 ± 0.00000 over 2 runs | 0.80000 ± 0.14142 over 2 runs |")


def test_without_pytorch_the_search_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(explore, "torch", None)
    assert explore.main(["configurations.json"]) == 1
    assert capsys.readouterr().err == "explore: this needs PyTorch with CUDA, which no lock of the project has\n"
