"""Digits drawn as by hand: strokes through points that shake a little, with pens of any width, upright or tilted."""

import cmath
import math

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]
FINER = 4  # the digit is drawn this many times larger, and then reduced


def arc(x: float, y: float, wide: float, tall: float, start: float, end: float) -> list[Point]:
    """Return points on an ellipse from one angle to another, in degrees; 0 is right, 90 is down."""
    angles = [math.radians(start + (end - start) * step / 14) for step in range(15)]
    return [(x + wide * math.cos(angle), y + tall * math.sin(angle)) for angle in angles]


# The ten digits as strokes in a box 100 wide and 160 tall.
STROKES: list[list[list[Point]]] = [
    [arc(50, 80, 44, 76, -80, 290)],
    [[(50, 4), (50, 156)]],
    [[*arc(50, 42, 40, 38, -170, 40), (14, 152), (94, 150)]],
    [[*arc(46, 40, 38, 36, -150, 80), *arc(46, 114, 44, 40, -80, 150)]],
    [[(62, 4), (10, 100), (96, 98)], [(68, 60), (64, 156)]],
    [[(84, 8), (22, 10), (18, 70), *arc(46, 108, 42, 44, -110, 140)]],
    [[(76, 6), (40, 40), (16, 96), *arc(50, 112, 36, 42, 180, -180)]],
    [[(8, 10), (92, 8), (40, 156)]],
    [[*arc(50, 40, 34, 36, 90, -270), *arc(50, 118, 42, 40, -90, 270)]],
    [[*arc(46, 46, 36, 40, 0, -360), (82, 46), (78, 156)]],
]


def draw(
    digit: int,
    random: np.random.Generator,
    size: tuple[int, int] = (280, 280),
    centre: Point | None = None,
    height: float = 170,
    pen: float = 18,
    tilt: float = 0,
) -> np.ndarray:
    """Return ink, 0 to 1, in a picture of a size, width and height; the tilt is clockwise, in degrees."""
    across, down = centre or (size[0] / 2, size[1] / 2)
    image = Image.new("L", (size[0] * FINER, size[1] * FINER))
    pencil = ImageDraw.Draw(image)
    radius = pen * FINER / 2
    for stroke in STROKES[digit]:
        points = []
        for right, below in (np.array(stroke) - (50, 80) + random.normal(0, 2.5, (len(stroke), 2))) * height / 160:
            turned = complex(right, below) * cmath.rect(1, math.radians(tilt))
            points.append(((across + turned.real) * FINER, (down + turned.imag) * FINER))
        pencil.line(points, fill=255, width=max(1, round(2 * radius)), joint="curve")
        for x, y in points:
            pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.resize(size, Image.Resampling.BOX), float) / 255


def line(digits: str, size: tuple[int, int] = (270, 90), height: float = 60, pen: float = 7) -> np.ndarray:
    """Return the ink of digits beside each other."""
    random, step = np.random.default_rng(0), size[0] / len(digits)
    places = [(step * (place + 0.5), size[1] / 2) for place in range(len(digits))]
    drawn = [draw(int(digit), random, size, place, height, pen) for digit, place in zip(digits, places, strict=True)]
    return np.max(drawn, axis=0)


def on_paper(ink: np.ndarray, paper: float = 255, pen: float = 0) -> np.ndarray:
    """Return the grey picture, uint8, of ink on flat paper; each has its grey level."""
    return np.rint(paper + (pen - paper) * ink).astype(np.uint8)


def photographed(ink: np.ndarray, random: np.random.Generator, noise: float = 10) -> np.ndarray:
    """Return the grey picture, uint8, of dark ink on paper that light falls on from one side, with noise."""
    rows, columns = np.mgrid[: ink.shape[0], : ink.shape[1]]
    angle = random.uniform(0, 2 * math.pi)
    slope = math.cos(angle) * (columns / ink.shape[1] - 0.5) + math.sin(angle) * (rows / ink.shape[0] - 0.5)
    grey = (215 - 150 * ink) * (0.75 - 0.35 * slope) + random.normal(0, noise, ink.shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def on_pad(digit: int, height: float, random: np.random.Generator) -> list[list[Point]]:
    """Return the strokes of a digit on a pad from 0 to 1, anywhere on it, with a slant and an unsteady hand."""
    slant = random.uniform(-0.15, 0.2)
    left, top = random.uniform(0.02, 0.98 - height, 2)
    strokes = []
    for stroke in STROKES[digit]:
        points = (np.array(stroke) - (50, 80)) / 160 + random.normal(0, 0.006, (len(stroke), 2))
        x = left + height * (0.5 + points[:, 0] - slant * points[:, 1])
        strokes.append(np.clip(np.stack([x, top + height * (0.5 + points[:, 1])], axis=1), 0.01, 0.99).tolist())
    return strokes
