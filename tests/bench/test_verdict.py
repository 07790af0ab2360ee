import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.verdict import __main__ as verdict
from review.results import parse_parameters, recipe_of
from tests.conftest import REPOSITORY


def record(seeds: int, misread: int, **changes: Any) -> dict[str, Any]:
    """A record of the recipe in params.yaml with these changes: 200 images, of which 20 are hard."""
    parameters = recipe_of(parse_parameters((REPOSITORY / "params.yaml").read_text())) | changes
    random = np.random.default_rng(misread)
    return {
        "dataset": "mnist",
        "parameters": parameters,
        "environment": {},
        "training": {"stages/train.py": "0" * 32},
        "images": {"validation": 200},
        "looks": [seeds],
        "seeds": [
            {
                "seed": seed,
                "model": f"{seed:032x}",
                "validation": {"loss": 0.1, "misread": sorted(random.choice(20, misread, replace=False).tolist())},
            }
            for seed in range(seeds)
        ],
    }


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "seed_noise.json"
    path.write_text(json.dumps({"recipes": [record(5, 8), record(5, 12, **{"train.epochs": 1})]}))
    return path


def test_the_same_runs_give_the_same_document(tmp_path: Path, noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    written = []
    for name in ("one.md", "other.md"):
        assert verdict.main(["--worlds", "2", "--noise", str(noise), "--output", str(tmp_path / name)]) == 0
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert b"| params.yaml, 5 seeds | real | 0.96000 |" in written[0]


def test_runs_of_two_recipes_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    noise = tmp_path / "seed_noise.json"
    noise.write_text(json.dumps({"recipes": [record(5, 8), record(4, 12, **{"train.epochs": 1})]}))
    assert verdict.main(["--noise", str(noise)]) == 1
    expected = "expected 5 seeds or more of the recipe in params.yaml and of another"
    assert capsys.readouterr().err == f"bench: {noise}: {expected}\n"
