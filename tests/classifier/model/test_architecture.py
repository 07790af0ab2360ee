from types import ModuleType
from typing import Any

from classifier.data.catalogue import MNIST
from classifier.model import architecture


def test_the_layers_have_the_expected_order_and_settings(keras: ModuleType) -> None:
    conv = {"strides": (1, 1), "padding": "same", "activation": "linear", "use_bias": False}
    pool = {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid"}
    norm = {"momentum": 0.9, "epsilon": 0.001, "center": True, "scale": True}
    relu = {"negative_slope": 0.0, "threshold": 0.0, "max_value": None}
    dense = {"activation": "relu", "use_bias": True}
    expected: list[tuple[str, str, dict[str, Any]]] = []
    for number, filters in ((1, 4), (2, 6)):
        expected += [
            ("Conv2D", f"conv_{number}", {"filters": filters, "kernel_size": (5, 5), **conv}),
            ("MaxPooling2D", f"pool_{number}", pool),
            ("BatchNormalization", f"norm_{number}", norm),
            ("ReLU", f"relu_{number}", relu),
        ]
    expected += [
        ("Flatten", "flatten", {}),
        ("Dense", "dense_1", {"units": 8, **dense}),
        ("Dense", "dense_2", {"units": 7, **dense}),
        ("Dense", "digits", {"units": 10, "activation": "softmax", "use_bias": True}),
    ]
    layers = architecture.build(MNIST, [4, 6], 5, [8, 7], batch_normalization=True).layers
    assert [(type(layer).__name__, layer.name) for layer in layers] == [(kind, name) for kind, name, _ in expected]
    for layer, (_, name, settings) in zip(layers, expected, strict=True):
        assert {key: layer.get_config()[key] for key in settings} == settings, name
