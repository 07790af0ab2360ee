"""The model of `make repro` reads pictures made by hand, and is not sure of noise: `make slow ONLY=model`."""

import numpy as np
import pytest

from predict.digits import normalize
from predict.model import MODEL, Model, load_model
from predict.reading import read
from tests.classifier.data.pictures import encoded
from tests.conftest import REPOSITORY
from tests.predict.hand import draw, line, on_paper, photographed

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model() -> Model:
    if not (REPOSITORY / MODEL).exists():
        pytest.skip(f"there is no {MODEL}: run `make repro` first")
    model = load_model(REPOSITORY / MODEL)
    if model.normalization != "mnist":
        pytest.skip(f"{MODEL} is of {model.dataset}, and the pictures are of digits")
    return model


def by_hand() -> list[tuple[int, np.ndarray]]:
    """Twenty pictures with their digits: thin and thick pens, tilted, off centre, photographed, light on dark."""
    random = np.random.default_rng(20)
    made = []
    for digit, time in np.ndindex(10, 2):
        height = random.uniform(80, 190)
        centre = (random.uniform(100, 180), random.uniform(110, 170))
        pen = height * (0.04, 0.08, 0.12, 0.2)[(digit + 2 * time) % 4]
        ink = draw(digit, random, (280, 280), centre, height, pen, tilt=random.uniform(-15, 15))
        looks = (on_paper(ink), photographed(ink, random, noise=15), on_paper(ink, paper=25, pen=210))
        made.append((digit, looks[(digit + time) % 3]))
    return made


def classes(picture: np.ndarray, model: Model) -> str:
    return "".join(digit["class"] for digit in read(encoded(picture), model))


def test_of_twenty_pictures_made_by_hand_at_most_one_is_misread(model):
    answers = [(str(digit), classes(picture, model)) for digit, picture in by_hand()]
    assert sum(digit != answer for digit, answer in answers) <= 1, answers


def test_a_photographed_line_is_read(model):
    photo = photographed(line("2026198", (900, 220), height=120, pen=12), np.random.default_rng(0))
    assert classes(photo, model) == "2026198"


def test_the_model_is_uncertain_of_most_that_it_reads_in_noise(model):
    random = np.random.default_rng(0)
    images = [digit.image for _ in range(20) for digit in normalize(random.integers(0, 256, (120, 160), np.uint8))]
    largest = model.predict(np.stack(images)[..., np.newaxis]).max(axis=1)
    assert (largest < model.floor).mean() >= 0.8
