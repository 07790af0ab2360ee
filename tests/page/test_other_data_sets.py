"""The page of other data sets, with random weights: it shows their classes and reads what Python reads."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.data.catalogue import FASHION_MNIST
from classifier.data.data_set import DataSet
from classifier.page import document
from tests.classifier.page.test_document import own, some_layers, some_misread
from tests.classifier.page.test_network import computed
from tests.page.conftest import Visit
from tests.page.digits import DIGITS
from tests.page.test_features import as_png, hand_over

pytestmark = [pytest.mark.slow, pytest.mark.model]

COUNTRIES = tuple(f"<b>country & {number}</b>" for number in range(20))


@pytest.mark.parametrize(
    ("data_set", "shown"),
    [
        (FASHION_MNIST, 10),
        (own((32, 32, 3), COUNTRIES), 10),
        (own((96, 64, 3), ("a cat", "a dog")), 2),
        (own((8, 8), tuple("0123456789")), 10),
    ],
    ids=["fashion-mnist", "twenty colours", "photographs", "small digits"],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_dropped_picture_has_the_probabilities_that_python_computes(
    tmp_path: Path, visit: Visit, data_set: DataSet, shown: int, scheme: str
) -> None:
    layers = some_layers(data_set)
    path = tmp_path / "page.html"
    document.write(path, layers, data_set, some_misread(data_set, 5), "resize", 0.0)
    page = visit(path, 390, scheme)

    height, width, channels = data_set.image_shape
    picture = np.kron(np.random.default_rng(2).integers(0, 256, (5, 6, 3)), np.ones((30, 20, 1))).astype(np.uint8)
    resized = Image.fromarray(picture).convert("L" if channels == 1 else "RGB").resize((width, height), Image.BILINEAR)
    images = (np.asarray(resized) / np.float32(255)).reshape(1, height, width, channels)
    expected = computed(layers, images)[0]

    hand_over(page, "drop", "picture.png", as_png(picture))
    assert page.answer == data_set.classes[expected.argmax()]
    lines = page.tab.locator("#bars li")
    found = {line.locator("span").first.inner_text(): line.locator(".value").inner_text() for line in lines.all()}
    assert len(found) == shown
    for name, probability in found.items():
        assert abs(float(probability) - expected[data_set.classes.index(name)]) < 0.02  # a grey level more or less
    assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
    page.draw(DIGITS[3])
    assert page.answer in data_set.classes
    page.tab.locator("#mistakes button").first.click()
    page.settle()
    assert page.said.startswith(f"A test image of {data_set.classes[0]}, which it reads as ")


def test_a_network_without_errors_has_no_gallery(tmp_path: Path, visit: Visit) -> None:
    path = tmp_path / "page.html"
    document.write(path, some_layers(FASHION_MNIST), FASHION_MNIST, [], "resize", 0.0)
    page = visit(path)
    assert page.tab.get_by_role("heading", name="What it misreads").count() == 0
