from pathlib import Path

import pytest

from bench import profile
from bench.onednn import Primitive


def test_the_processed_arrays_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert profile.main([]) == 1
    told = "profile: data/processed/train_images.npy is missing; run `dvc repro preprocess` first\n"
    assert capsys.readouterr().err == told


def test_at_least_one_step_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert profile.main(["--steps", "0"]) == 1
    assert capsys.readouterr().err == "profile: --steps must be at least 1, got 0\n"


def test_shares_are_of_the_traced_step_and_speeds_of_the_measured_peak() -> None:
    product, pooling = Primitive("matrix products", 4.0, 200_000_000), Primitive("pooling, forward", 1.0, 0)
    text = profile.as_markdown([profile.Profile("float32", 10, 100, 9.0, 10.0, 200.0, [product, pooling])])
    assert "| matrix products | 4.000 | 40.0% | 50.0 | 25% |" in text
    assert "| pooling, forward | 1.000 | 10.0% | - | - |" in text
    assert "| everything else | 5.000 | 50.0% | - | - |" in text
