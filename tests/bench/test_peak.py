from bench import peak

NOTEBOOK = {"train.filters": [32, 64, 64], "train.kernel_size": 3, "train.dense_units": [128, 64]}


def test_the_operations_are_the_products_and_sums_of_each_layer() -> None:
    convolutions = 28 * 28 * 32 * (3 * 3 * 1) + 14 * 14 * 64 * (3 * 3 * 32) + 7 * 7 * 64 * (3 * 3 * 64)
    dense = (3 * 3 * 64) * 128 + 128 * 64 + 64 * 10
    assert peak.training_operations((28, 28, 1), 10, NOTEBOOK) == 3 * 2 * (convolutions + dense)


def test_color_images_have_three_times_the_products_in_the_first_convolution() -> None:
    gray, color = (peak.forward_operations((8, 8, channels), [4], 5, [2]) for channels in (1, 3))
    assert color - gray == 2 * 2 * 8 * 8 * 4 * 5 * 5
