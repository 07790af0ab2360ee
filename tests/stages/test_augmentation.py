from types import ModuleType

import numpy as np

from stages import augmentation, cnn


def dot(row: int, column: int) -> np.ndarray:
    image = np.zeros((1, 28, 28, 1), np.float32)
    image[0, row, column] = 1
    return image


def test_without_limits_there_is_nothing_to_change(keras: ModuleType) -> None:
    assert augmentation.layers(shift=0, rotation=0, zoom=0) == []


def test_an_image_is_moved_by_at_most_the_limit_along_either_axis(keras: ModuleType) -> None:
    (layer,) = augmentation.layers(shift=2, rotation=0, zoom=0)
    moved = np.asarray(layer(np.repeat(dot(14, 14), 500, axis=0), training=True))[..., 0]
    rows, columns = moved.any(axis=(0, 2)), moved.any(axis=(0, 1))
    for touched in (np.flatnonzero(rows), np.flatnonzero(columns)):
        assert (touched.min(), touched.max()) == (12, 16)


def test_what_moves_in_from_outside_the_image_is_paper(keras: ModuleType) -> None:
    for change in ({"shift": 5}, {"rotation": 45}, {"zoom": 0.5}):
        (layer,) = augmentation.layers(**{"shift": 0, "rotation": 0, "zoom": 0} | change)
        corner = np.asarray(layer(np.repeat(dot(14, 14), 50, axis=0), training=True))[:, 0, 0]
        assert not corner.any()


def test_every_image_is_changed_otherwise(keras: ModuleType) -> None:
    for change in ({"shift": 5}, {"rotation": 45}, {"zoom": 0.5}):
        (layer,) = augmentation.layers(**{"shift": 0, "rotation": 0, "zoom": 0} | change)
        first, second = np.asarray(layer(np.repeat(dot(10, 18), 2, axis=0), training=True))
        assert not np.array_equal(first, second)


def test_a_prediction_sees_the_image_as_it_is(keras: ModuleType) -> None:
    changed = cnn.build([4], 3, [8], augmentation=augmentation.layers(shift=5, rotation=45, zoom=0.5))
    plain = cnn.build([4], 3, [8])
    plain.set_weights(changed.get_weights())
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    np.testing.assert_array_equal(changed.predict(images, verbose=0), plain.predict(images, verbose=0))
    assert changed.count_params() == plain.count_params()
