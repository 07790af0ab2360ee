"""The model of `make repro` reads pictures made by hand, and is not sure of noise: `make slow ONLY=model`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from predict import pictures
from predict.model import MODEL, Model, load
from predict.normalization import normalize
from predict.reading import read
from tests.conftest import REPOSITORY
from tests.predict.hand import draw, on_paper, photographed
from tests.predict.test_predict import LOADED

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model() -> Model:
    if not (REPOSITORY / MODEL).exists():
        pytest.skip(f"there is no {MODEL}: run `make repro` first")
    found = load(REPOSITORY / MODEL)
    if found.normalization != "mnist":
        pytest.skip(f"{MODEL} is of {found.dataset}, and the pictures are of digits")
    return found


def by_hand() -> list[tuple[int, np.ndarray]]:
    """Twenty pictures with their digits: thin and thick pens, tilted, off centre, photographed, light on dark."""
    random = np.random.default_rng(20)
    made = []
    for digit in range(10):
        for way in (0, 1):
            height = random.uniform(80, 190)
            ink = draw(
                digit,
                way,
                random,
                centre=(random.uniform(100, 180), random.uniform(110, 170)),
                height=height,
                pen=height * (0.04, 0.08, 0.12, 0.2)[(digit + 2 * way) % 4],
                tilt=random.uniform(-15, 15),
            )
            looks = (on_paper(ink), photographed(ink, random, noise=15), on_paper(ink, paper=25, pen=210))
            made.append((digit, looks[(digit + way) % 3]))
    return made


def test_of_twenty_pictures_made_by_hand_at_most_one_is_misread(model: Model, tmp_path: Path) -> None:
    misread = []
    for number, (digit, picture) in enumerate(by_hand()):
        path = tmp_path / f"{number}.{'jpg' if number % 2 else 'png'}"
        Image.fromarray(picture).save(path)
        found = "".join(each["class"] for each in read(path.read_bytes(), model))
        if found != str(digit):
            misread.append((digit, found))
    assert len(misread) <= 1, misread


def test_a_photographed_line_is_read(model: Model, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ink = sum(
        draw(digit, 0, random, (900, 220), (90 + 120 * place, 110), 120, 12)
        for place, digit in enumerate((2, 0, 2, 6, 1, 9, 8))
    )
    Image.fromarray(photographed(np.minimum(ink, 1), random)).save(tmp_path / "line.jpg")
    assert "".join(each["class"] for each in read((tmp_path / "line.jpg").read_bytes(), model)) == "2026198"


def test_the_model_is_uncertain_of_most_that_it_reads_in_noise(model: Model) -> None:
    assert model.floor is not None
    random = np.random.default_rng(0)
    images = [digit.image for _ in range(20) for digit in normalize(random.integers(0, 256, (120, 160), np.uint8))]
    largest = model.predict(np.stack(images)[..., np.newaxis]).max(axis=1)
    assert (largest < model.floor).mean() >= 0.8


def test_the_command_takes_less_than_120_mb(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(by_hand()[1][1]).resize((4000, 4000)).save(path)
    assert pictures.decode(path.read_bytes())[0].size == (1000, 1000)
    command = [sys.executable, "-c", LOADED, str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    status, heavy, peak = done.stdout.splitlines()[-1].split(" ")
    assert (status, heavy) == ("0", "[]")
    if Path("/proc/self/status").exists():
        assert 20_000 < int(peak) * 1.024 < 120_000  # kB
