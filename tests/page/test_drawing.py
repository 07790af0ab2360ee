"""A browser draws on the committed page and reads the answer: run after `make repro`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.page.conftest import Visit, Visitor
from tests.page.digits import DIGITS, Stroke, drawn

pytestmark = [pytest.mark.slow, pytest.mark.model]

SIZES = {390: 0.25, 820: 0.5, 1440: 0.85}  # of a window in pixels, and of the digit as a share of the pad


@pytest.mark.parametrize("draw", [Visitor.draw, Visitor.touch], ids=["mouse", "touch"])
def test_of_sixty_digits_at_three_sizes_in_both_colour_schemes_at_least_58_are_read(
    page_file: Path, visit: Visit, draw: Callable[[Visitor, list[Stroke]], Visitor]
) -> None:
    random = np.random.default_rng(0)
    misread = []
    for width, size in SIZES.items():
        for scheme in ("light", "dark"):
            page = visit(page_file, width, scheme, has_touch=draw is Visitor.touch)
            for digit in DIGITS:
                answer = draw(page, drawn(digit, size, random)).answer
                if answer != str(digit):
                    misread.append(f"{digit} read as {answer} at {width} pixels, {scheme}: {page.said}")
                page.press("Clear")
    assert len(misread) <= 2, misread
