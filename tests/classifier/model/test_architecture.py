from types import ModuleType
from typing import Any

import numpy as np
import pytest

from classifier.data.catalogue import MNIST
from classifier.model import architecture


@pytest.mark.parametrize("normalized", [False, True])
def test_the_layers_have_the_expected_order_and_settings(keras: ModuleType, normalized: bool) -> None:
    conv = {"strides": (1, 1), "padding": "same", "activation": "linear", "use_bias": not normalized}
    pool = {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid"}
    norm = {"momentum": 0.9, "epsilon": 0.001, "center": True, "scale": True}
    relu = {"negative_slope": 0.0, "threshold": 0.0, "max_value": None}
    dense = {"activation": "relu", "use_bias": True}
    expected: list[tuple[str, str, dict[str, Any]]] = []
    for number, filters in ((1, 4), (2, 6)):
        expected += [
            ("Conv2D", f"conv_{number}", {"filters": filters, "kernel_size": (5, 5), **conv}),
            ("MaxPooling2D", f"pool_{number}", pool),
            *([("BatchNormalization", f"norm_{number}", norm)] if normalized else []),
            ("ReLU", f"relu_{number}", relu),
        ]
    expected += [
        ("Flatten", "flatten", {}),
        ("Dense", "dense_1", {"units": 8, **dense}),
        ("Dense", "dense_2", {"units": 7, **dense}),
        ("Dense", "digits", {"units": 10, "activation": "softmax", "use_bias": True}),
    ]
    layers = architecture.build(MNIST, [4, 6], 5, [8, 7], normalized).layers
    assert [(type(layer).__name__, layer.name) for layer in layers] == [(kind, name) for kind, name, _ in expected]
    for layer, (_, name, settings) in zip(layers, expected, strict=True):
        assert {key: layer.get_config()[key] for key in settings} == settings, name


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_probabilities_are_float32_with_the_sum_1_at_any_precision(keras: ModuleType, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        network = architecture.build(MNIST, [4], 3, [8])
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.get_layer("conv_1").compute_dtype == policy.removeprefix("mixed_")
    assert network.get_layer("conv_1").kernel.dtype == "float32"
    probabilities = network.predict(np.zeros((2, 28, 28, 1), np.float32), verbose=0)
    assert (probabilities.shape, probabilities.dtype) == ((2, 10), np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
