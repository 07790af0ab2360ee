"""Ten digits as a hand writes them: strokes of points from 0 to 1, and variations of size, place and slant."""

import itertools
import math

import numpy as np

Stroke = list[tuple[float, float]]


def line(*points: tuple[float, float]) -> Stroke:
    """Straight lines through these points, with points between them as a hand leaves them."""
    steps = np.linspace(0, 1, 6)[1:]
    pairs = itertools.pairwise(points)
    between = [(a + (c - a) * t, b + (d - b) * t) for (a, b), (c, d) in pairs for t in steps.tolist()]
    return [points[0], *between]


def arc(x: float, y: float, across: float, down: float, start: float, end: float) -> Stroke:
    """A part of an ellipse around x, y; the angles are in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 17)).tolist()
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


DIGITS: dict[int, list[Stroke]] = {
    0: [arc(0.5, 0.5, 0.3, 0.48, -80, 285)],
    1: [line((0.36, 0.2), (0.54, 0.02), (0.52, 0.98))],
    2: [arc(0.5, 0.28, 0.28, 0.26, -165, 30) + line((0.74, 0.41), (0.2, 0.96), (0.84, 0.95))],
    3: [arc(0.46, 0.26, 0.27, 0.24, -150, 90) + arc(0.46, 0.73, 0.31, 0.25, -90, 150)],
    4: [line((0.45, 0.03), (0.18, 0.6), (0.84, 0.6)), line((0.66, 0.3), (0.63, 0.98))],
    5: [line((0.76, 0.05), (0.32, 0.05), (0.29, 0.44)) + arc(0.46, 0.68, 0.31, 0.28, -120, 145)],
    6: [line((0.64, 0.02), (0.4, 0.26), (0.25, 0.64)) + arc(0.5, 0.72, 0.26, 0.25, 190, 545)],
    7: [line((0.2, 0.07), (0.8, 0.06), (0.42, 0.98))],
    8: [
        arc(0.5, 0.26, 0.23, 0.23, -40, -270)
        + arc(0.5, 0.74, 0.28, 0.25, -90, 270)
        + arc(0.5, 0.26, 0.23, 0.23, 90, -40)
    ],
    9: [arc(0.48, 0.27, 0.25, 0.24, -10, -350) + line((0.73, 0.3), (0.7, 0.6), (0.6, 0.98))],
}


def drawn(digit: int, size: float, random: np.random.Generator) -> list[Stroke]:
    """The strokes of a digit on a pad from 0 to 1, `size` high, anywhere on it, with a slant and an unsteady hand."""
    slant = random.uniform(-0.15, 0.2)
    width = random.uniform(0.85, 1.1)
    left, top = random.uniform(0.04, 0.96 - size, 2)
    moved = []
    for stroke in DIGITS[digit]:
        points = np.array(stroke)
        x = 0.5 + width * (points[:, 0] - 0.5) + slant * (0.5 - points[:, 1])
        unsteady = random.normal(0, 0.006, points.shape)
        placed = np.clip(np.stack([left + size * x, top + size * points[:, 1]], axis=1) + size * unsteady, 0.01, 0.99)
        moved.append([(x, y) for x, y in placed.tolist()])
    return moved
