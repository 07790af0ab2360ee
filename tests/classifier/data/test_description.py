import json
from typing import Any

import pytest

from classifier.data import delivered
from classifier.data.catalogue import DATA_SETS, FASHION_MNIST, MNIST
from classifier.data.delivered import Delivered
from classifier.data.description import Array, DataSet, from_json


@pytest.mark.parametrize("data_set", DATA_SETS.values(), ids=list(DATA_SETS))
def test_what_is_written_about_a_data_set_is_read_again(data_set: DataSet) -> None:
    found = from_json(data_set.name, json.loads(json.dumps(data_set.as_json())))
    for field in ("name", "classes", "arrays", "noun", "licence", "source", "image_shape"):
        assert getattr(found, field) == getattr(data_set, field)


def test_colour_images_have_three_channels_and_grey_ones_one() -> None:
    assert MNIST.image_shape == (28, 28, 1)
    assert DataSet("own", ("a", "b"), {"x_train": Array((5, 96, 64, 3), "")}).image_shape == (96, 64, 3)


def test_classes_whose_names_are_their_numbers_have_no_names() -> None:
    assert not MNIST.named
    assert FASHION_MNIST.named


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": None}, "expected the keys image_shape, classes, noun and arrays"),
        ({"classes": ["a"]}, "expected the names of 2 to 1,000 classes"),
        ({"classes": ["a", "b\nc"]}, "expected the names of 2 to 1,000 classes"),
        ({"noun": "two words"}, "expected noun, a word"),
        ({"licence": 5}, "expected noun, a word, and licence, source and files as text"),
        ({"image_shape": [28, 28]}, "image_shape must be height, width and channels of the images in x_train"),
        ({"arrays": {}}, "expected shape and sha256 of x_train, y_train, x_test and y_test"),
        ({"arrays": {"x_train": {"shape": [0, 28, 28], "sha256": "-"}}}, "expected shape and sha256 of x_train"),
    ],
)
def test_a_malformed_description_is_refused(changed: dict[str, Any], message: str) -> None:
    document = json.loads(json.dumps(MNIST.as_json())) | changed
    with pytest.raises(ValueError, match=message):
        from_json("mnist", document)


def test_the_description_of_a_thousand_classes_with_the_longest_names_can_be_read(tmp_path: Any) -> None:
    names = tuple(f"{number:0100}" for number in range(1000))
    path = tmp_path / "dataset.json"
    Delivered(DataSet("own", names, MNIST.arrays), "own").save(path)
    assert delivered.load(path).data_set.classes == names
