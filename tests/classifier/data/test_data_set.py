import json

import pytest

from classifier.data.catalogue import DATA_SETS, FASHION_MNIST, MNIST, MNIST_5K
from classifier.data.data_set import Array, DataSet, read_data_set


@pytest.mark.parametrize("data_set", DATA_SETS.values(), ids=list(DATA_SETS))
def test_what_is_written_about_a_data_set_is_read_again(tmp_path, data_set):
    data_set.save(tmp_path / "dataset.json")
    again = read_data_set(tmp_path / "dataset.json")
    for field in ("name", "classes", "arrays", "noun", "licence", "source", "image_shape"):
        assert getattr(again, field) == getattr(data_set, field)
    assert again.warning() is None


def test_the_shape_of_an_image_has_channels_and_only_classes_with_other_names_than_numbers_are_named():
    assert MNIST.image_shape == (28, 28, 1)
    assert DataSet("own", ("a", "b"), {"x_train": Array((5, 96, 64, 3), "")}).image_shape == (96, 64, 3)
    assert [data_set.named for data_set in (MNIST_5K, FASHION_MNIST)] == [False, True]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": None}, "Expected `array`, got `null`"),
        ({"licence": 5}, "Expected `str`, got `int`"),
        ({"image_shape": [28, 28]}, "the image_shape of x_train"),
        ({"arrays": {}}, "expected the arrays x_train, y_train, x_test, y_test"),
        ({"arrays": {"x_train": {"shape": ["a"], "sha256": "-"}}}, "Expected `int`, got `str`"),
        ({"dataset": None}, "Expected `str`, got `null`"),
        (None, "Expecting value"),
    ],
)
def test_a_malformed_description_is_refused(tmp_path, changed, message):
    path = tmp_path / "dataset.json"
    MNIST.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changed) if changed else "<<<<<<< HEAD")
    with pytest.raises(ValueError, match=rf"^{path}: .*{message}.*; run `dvc repro --force download`"):
        read_data_set(path)
