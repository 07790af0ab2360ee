"""The page as a file: it loads nothing, and its policy allows only its own script."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.data.catalogue import MNIST
from classifier.data.data_set import NAMES, Array, DataSet
from classifier.model.layers import Layer
from classifier.page import document
from classifier.page.document import Misread


def some_layers(data_set: DataSet = MNIST) -> list[Layer]:
    """A network without hidden layers, with random weights."""
    random = np.random.default_rng(0)
    inputs, classes = int(np.prod(data_set.image_shape)), len(data_set.classes)
    kernel, bias = random.normal(size=(inputs, classes)), random.normal(size=classes)
    dense = Layer("dense", data_set.noun, kernel.astype(np.float32), bias.astype(np.float32))
    return [Layer("flatten", "flatten"), dense, Layer("softmax", data_set.noun)]


def own(shape: tuple[int, ...], classes: tuple[str, ...]) -> DataSet:
    """A description of a user's own data."""
    return DataSet("own.npz", classes, {name: Array((10, *shape), "") for name in NAMES})


def some_misread(data_set: DataSet, count: int) -> list[Misread]:
    images = np.random.default_rng(1).integers(0, 256, (count, *data_set.image_shape)).astype(np.float32) / 255
    return [(image, 0, 1, 0.9 - 0.001 * place) for place, image in enumerate(images)]


def write(path: Path, data_set: DataSet = MNIST, misread: int = 3) -> str:
    wrong, opening = some_misread(data_set, misread), (np.ones(data_set.image_shape), 1)
    description = document.describe(some_layers(data_set), data_set, wrong, "resize", 0.5, opening)
    assert document.write(path, description) == path.stat().st_size
    return path.read_text(encoding="utf-8")


def elements(html: str, tag: str) -> list[str]:
    """The texts of the elements with this tag, which end where a browser ends them."""
    return re.findall(f"(?s)<{tag}[^>]*>(.*?)</{tag}", html)


def network_in(html: str) -> Any:
    return json.loads(elements(html, "script")[0])


def test_the_page_loads_nothing_and_its_policy_allows_exactly_its_script_and_its_style(tmp_path):
    html = write(tmp_path / "page.html")
    (style,), (_, script) = elements(html, "style"), elements(html, "script")
    assert re.findall(r'\s(?:src|href|action|srcset|on\w+|style)="([^"]*)"', html.replace(script, "")) == ["data:,"]
    policy = re.findall(r'Content-Security-Policy" content="(.*?)"', html)[0].split("; ")
    for kind, text in (("script", script), ("style", style)):
        assert f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert {"default-src 'none'", "base-uri 'none'", "form-action 'none'"} <= set(policy)
    assert len(policy) == 7
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script) == []


def test_the_name_of_a_class_cannot_end_the_script_or_start_an_element(tmp_path):
    names = ("</script><script>alert(1)</script>", "<!--<script>", "{{style}}", "naïve\u2028")
    html = write(tmp_path / "page.html", own((8, 8), names))
    assert network_in(html)["classes"] == list(names)
    assert html.count("<script") == 2


@pytest.mark.parametrize(
    ("shape", "misread", "count"), [((28, 28), 63, 60), ((28, 28), 0, 0), ((96, 64, 3), 63, 3), ((32, 32, 3), 30, 21)]
)
def test_the_gallery_has_the_first_60_images_and_fewer_if_they_are_large(tmp_path, shape, misread, count):
    data_set = own(shape, ("cat", "dog"))
    network = network_in(write(tmp_path / "page.html", data_set, misread))
    assert network["misread"] == misread
    assert network["gallery"] == [[0, 1, round(0.9 - 0.001 * place, 6)] for place in range(count)]
    levels = np.frombuffer(base64.b64decode(network["images"]), np.uint8)
    images = [image for image, *_ in some_misread(data_set, misread)[:count]]
    assert np.array_equal(levels[: -np.prod(data_set.image_shape)], np.rint(np.ravel(images) * 255))
    assert (levels[-np.prod(data_set.image_shape) :].min(), network["opening"]) == (255, 1)  # one more, read right
