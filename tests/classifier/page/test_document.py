"""The page as a file: equal arguments give equal bytes, it loads nothing, and its policy allows only its own script."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.data.catalogue import FASHION_MNIST, MNIST
from classifier.data.data_set import Array, DataSet
from classifier.model.layers import Layer
from classifier.page import document
from classifier.page.document import Misread


def some_layers(data_set: DataSet = MNIST) -> list[Layer]:
    """A network without hidden layers, with random weights."""
    random = np.random.default_rng(0)
    inputs, classes = int(np.prod(data_set.image_shape)), len(data_set.classes)
    kernel, bias = random.normal(size=(inputs, classes)), random.normal(size=classes)
    return [
        Layer("flatten", "flatten"),
        Layer("dense", data_set.noun, kernel.astype(np.float32), bias.astype(np.float32)),
        Layer("softmax", data_set.noun),
    ]


def own(shape: tuple[int, ...], classes: tuple[str, ...]) -> DataSet:
    """A description of a user's own data."""
    return DataSet("own.npz", classes, {name: Array((10, *shape), "") for name in ("x_train", "x_test")})


def some_misread(data_set: DataSet, count: int) -> list[Misread]:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (count, *data_set.image_shape)).astype(np.float32) / 255
    return [(image, 0, 1, 0.9 - 0.001 * place) for place, image in enumerate(images)]


class Page(HTMLParser):
    """The scripts, styles and addresses of a page; a browser ends a script at the same place."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.policy = ""
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.inside = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(given["content"])
        self.addresses += [str(given[name]) for name in ("src", "href", "action", "srcset", "data") if name in given]
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        self.inside = str(given.get("type", tag)) if tag in ("script", "style") else ""
        assert self.inside not in self.texts
        if self.inside:
            self.texts[self.inside] = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.inside] += data

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # the name in HTMLParser
        self.inside = ""

    @property
    def network(self) -> Any:
        return json.loads(self.texts["application/json"])


def write(path: Path, data_set: DataSet = MNIST, misread: int = 3) -> Page:
    description = document.describe(some_layers(data_set), data_set, some_misread(data_set, misread), "resize", 0.5)
    assert document.write(path, description) == path.stat().st_size
    return Page(path)


def test_equal_weights_give_equal_bytes_and_another_weight_gives_others(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("1.html", "2.html", "3.html"))
    write(first)
    write(second)
    layers = some_layers()
    layers[1].bias[3] += 1
    document.write(third, document.describe(layers, MNIST, some_misread(MNIST, 3), "resize", 0.5))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != third.read_bytes()


def test_the_page_loads_nothing_and_its_policy_allows_exactly_its_script_and_its_style(tmp_path: Path) -> None:
    page = write(tmp_path / "page.html")
    assert all(address.startswith("data:") for address in page.addresses)
    assert page.handlers == []
    rules = dict(rule.split(" ", 1) for rule in page.policy.split("; "))
    assert rules["default-src"] == "'none'"
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.texts[kind].encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert set(rules) - {"script-src", "style-src", "img-src"} == {
        *("default-src", "base-uri", "form-action", "require-trusted-types-for"),
    }
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", page.texts["script"]) == []


def test_the_name_of_a_class_cannot_end_the_script_or_start_an_element(tmp_path: Path) -> None:
    names = ("</script><script>alert(1)</script>", "<!--<script>", "{{style}}", "naïve\u2028")
    page = write(tmp_path / "page.html", own((8, 8), names))
    assert page.network["classes"] == list(names)
    assert set(page.texts) == {"style", "application/json", "script"}


def test_the_page_holds_the_weights_to_the_last_bit_with_names_and_shapes(tmp_path: Path) -> None:
    network = write(tmp_path / "page.html", FASHION_MNIST).network
    layers = some_layers(FASHION_MNIST)
    weights = np.frombuffer(base64.b64decode(network["weights"]), "<f4")
    assert np.array_equal(weights, np.concatenate([layers[1].kernel.ravel(), layers[1].bias]))
    assert [each["kind"] for each in network["layers"]] == ["flatten", "dense", "softmax"]
    assert network["layers"][1]["kernel"] == [784, 10]
    assert network["classes"][9] == "Ankle boot"
    assert (network["shape"], network["confidence_floor"]) == ([28, 28, 1], 0.5)


@pytest.mark.parametrize(
    ("shape", "misread", "shown"),
    [((28, 28), 63, 60), ((28, 28), 2, 2), ((28, 28), 0, 0), ((96, 64, 3), 63, 3), ((32, 32, 3), 30, 21)],
)
def test_the_gallery_has_the_first_60_images_and_fewer_if_they_are_large(
    tmp_path: Path, shape: tuple[int, ...], misread: int, shown: int
) -> None:
    data_set = own(shape, ("cat", "dog"))
    network = write(tmp_path / "page.html", data_set, misread).network
    assert network["misread"] == misread
    assert network["gallery"] == [[0, 1, round(0.9 - 0.001 * place, 6)] for place in range(shown)]
    pixels = np.frombuffer(base64.b64decode(network["images"]), np.uint8).reshape(-1, *data_set.image_shape)
    expected = [np.rint(image * 255) for image, *_ in some_misread(data_set, misread)[:shown]]
    assert np.array_equal(pixels, np.array(expected).reshape(-1, *data_set.image_shape))


def test_the_reader_of_layers_has_fewer_than_200_lines() -> None:
    assert len((document.SOURCES / "network.js").read_text().splitlines()) < 200
