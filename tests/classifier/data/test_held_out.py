import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from classifier.data.held_out import hold_out

LABELS = np.repeat(np.arange(10, dtype=np.uint8), [200, 100, 100, 100, 100, 100, 100, 100, 50, 50])


@pytest.mark.parametrize("seed", range(40))
def test_the_images_held_out_are_those_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 40))
    labels = random.permutation(np.repeat(np.arange(classes), random.integers(4, 30, classes))).astype(np.uint16)
    count = int(random.integers(classes, len(labels) // 4 + 1))
    _, rows = train_test_split(np.arange(len(labels)), test_size=count, random_state=seed, stratify=labels)
    assert np.flatnonzero(hold_out(labels, count, seed)).tolist() == sorted(rows)


def test_a_class_with_one_image_cannot_be_held_out():
    with pytest.raises(ValueError, match=r"cannot be 2: .* two training images of each class .*; 0 holds out none"):
        hold_out(np.array([0] * 20 + [1]), 2, seed=0)
    assert not hold_out(np.array([0] * 20 + [1]), 0, seed=0).any()
