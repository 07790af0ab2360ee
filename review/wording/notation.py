"""How a value, an accuracy or a p-value is written, in sentences and in tables alike."""

from collections.abc import Mapping
from typing import Any

from review.statistics.paired import Accuracy, Paired, Spread
from review.wording.escaping import quote, shorten


def shown(values: Mapping[str, Any], column: str) -> str:
    """Write what the `sides` of a parameter or a metric hold in a column: "base", "head" or "difference"."""
    if column not in values:
        return "" if column == "difference" else "absent"
    value = values[column]
    if column == "difference":
        return f"{value:+g}" if value else "0"
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else shorten(repr(value))
    return quote(repr(value))


def interval(accuracy: Accuracy) -> str:
    """Write an accuracy with its interval: 0.7500 (0.5981 to 0.8581)."""
    return f"{accuracy.accuracy:.4f} ({accuracy.low:.4f} to {accuracy.high:.4f})"


def spread(accuracies: Spread) -> str:
    """Write mean, deviation and count: 0.7500 ± 0.1118 (5)."""
    return f"{accuracies.mean:.4f} ± {accuracies.standard_deviation:.4f} ({accuracies.n})"


def smallest(paired: Paired) -> str:
    """Write the smallest difference in accuracy that can be detected: 0.1750, or none."""
    return "none" if paired.smallest_difference is None else f"{paired.smallest_difference:.4f}"


def p_value(p: float) -> str:
    """Write a p-value with its sign: p = 0.0391, or p < 0.0001."""
    return f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"
