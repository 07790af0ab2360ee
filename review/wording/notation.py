"""How a value, an accuracy or a p-value is written, in sentences and in tables alike."""

from collections.abc import Mapping
from typing import Any

from review.statistics.recipes import Readings
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


def limits(low: float, high: float) -> str:
    """Write the limits of a difference: -0.0023 to +0.0010."""
    return f"{low:+.4f} to {high:+.4f}"


def in_10_000(share: float) -> str:
    """Write how many of 10,000 images a share is, without its sign: 1,234, 17 or 0.4."""
    count = abs(share) * 10_000
    return f"{count:,.0f}" if count >= 0.95 else f"{count:.1f}"


def spread(readings: Readings) -> str:
    """Write the accuracy of a recipe: 0.7500 ± 0.1118 over 5 seeds, or 0.7500 over 1 seed."""
    deviation = "" if readings.deviation is None else f" ± {readings.deviation:.4f}"
    return f"{readings.accuracy:.4f}{deviation} over {readings.seeds} seed{'s' * (readings.seeds > 1)}"


def p_value(p: float) -> str:
    """Write a p-value with its sign: p = 0.0391, or p < 0.0001."""
    return f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"
