"""The digits of a grey picture as the images of MNIST were made; docs/predict.md specifies each step.

The drawing page has the same steps in JavaScript. tests/predict/vectors.json has pictures that both must normalize
alike, so no step is left to a library whose rounding another language would have to copy.
"""

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

SIDE = 28  # of an image of MNIST
BOX = 20  # of the digit in it
CENTRE = 14  # the row and the column, from 0, of the digit's centre of mass

MOST_SIDE = 400  # pixels of the longer side that the steps work on
CELLS = 32  # along the longer side, in which the paper is estimated
REACH = 5  # cells in each direction of which the paper is the mean: together a third of the picture
ROUNDS = 5  # of the estimate
LEAST_CONTRAST = 16  # grey levels between ink and paper
INK = 0.41  # of the darkest stroke; with 0.4, rounding errors would decide whether 90 of 225 black pixels are ink
FAINTEST = 0.1  # of the mean ink
SPECK = 0.06  # of the largest piece
SHARED = 0.3  # of the width of the narrower piece
TALL = 0.5  # of the tallest digit

Run = tuple[int, int, int]  # row, first column, and the column after the last


@dataclass(frozen=True)
class Digit:
    """A digit of a picture: uint8 (28, 28), ink 255 on paper 0; and left, top, right and bottom in the picture."""

    image: np.ndarray
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Piece:
    """Connected pixels of ink, or several such pieces that are one digit, and the box around them."""

    left: int
    top: int
    right: int
    bottom: int
    runs: list[Run]

    @cached_property
    def area(self) -> int:
        return sum(end - start for _, start, end in self.runs)


def normalize(grey: np.ndarray) -> list[Digit]:
    """Return the digits of a picture, uint8 (height, width), from left to right; none if there is no ink."""
    factor = -(-max(grey.shape) // MOST_SIDE)
    picture = shrink(grey.astype(np.float64), factor)
    ink = picture - paper_of(picture)
    if (ink**3).sum() < 0:  # a few pixels much darker than the paper, not lighter
        ink = -ink
    smooth = blur(ink)
    peak = blur(smooth).max()
    if peak < LEAST_CONTRAST:
        return []
    digits = []
    for piece in join(pieces_of(smooth >= INK * peak)):
        left, top, right, bottom = (factor * each for each in (piece.left, piece.top, piece.right, piece.bottom))
        box = (left, top, min(right, grey.shape[1]), min(bottom, grey.shape[0]))
        digits.append(Digit(fit(strength(ink, smooth, piece)), box))
    return digits


def strength(ink: np.ndarray, smooth: np.ndarray, piece: Piece) -> np.ndarray:
    """Return the ink of a digit, 0 to 1, in its box and one pixel around it."""
    top, left = max(0, piece.top - 1), max(0, piece.left - 1)
    here = np.s_[top : piece.bottom + 1, left : piece.right + 1]
    mask = np.zeros(ink[here].shape)
    for row, start, end in piece.runs:
        mask[row - top, start - left : end - left] = 1
    level = smooth[here][mask > 0].mean()  # positive in any picture, which the mean of the ink is not
    found = ink[here] / level
    return np.where((blur(mask) > 0) & (found >= FAINTEST), np.minimum(found, 1), 0)


def shrink(picture: np.ndarray, factor: int) -> np.ndarray:
    """Return the mean of each block of factor x factor pixels; blocks at the right and at the bottom may be smaller."""
    for axis in (0, 1):
        starts = np.arange(0, picture.shape[axis], factor)
        sizes = np.diff(np.append(starts, picture.shape[axis]))
        picture = np.add.reduceat(picture, starts, axis) / np.expand_dims(sizes, 1 - axis)
    return picture


def paper_of(picture: np.ndarray) -> np.ndarray:
    """Estimate the grey of the paper at each pixel: a local mean in which ink has little weight."""
    factor = -(-max(picture.shape) // CELLS)
    cells = shrink(picture, factor)
    border = np.ones(cells.shape, bool)
    border[2:-2, 2:-2] = False
    paper = np.full(cells.shape, np.median(cells[border]))
    for _ in range(ROUNDS):
        distance = abs(cells - paper)
        weights = (1 + (distance / max(1, np.median(distance))) ** 2) ** -2
        paper = around(weights * cells, REACH) / around(weights, REACH)
    for axis, size in enumerate(picture.shape):
        last = paper.shape[axis] - 1
        place = np.clip((np.arange(size) + 0.5) / factor - 0.5, 0, last)
        before = np.floor(place).astype(int)
        share = np.expand_dims(place - before, 1 - axis)
        after = np.minimum(before + 1, last)
        paper = paper.take(before, axis) * (1 - share) + paper.take(after, axis) * share
    return paper


def around(values: np.ndarray, reach: int) -> np.ndarray:
    """Return the sum of the square of 2 * reach + 1 values around each value; outside there is nothing."""
    for _ in range(2):
        padded = np.pad(values, [(reach, reach), (0, 0)])
        values = reduce(np.add, (padded[step : step + len(values)] for step in range(2 * reach + 1))).T
    return values


def blur(values: np.ndarray) -> np.ndarray:
    """Return the mean of each value and of its neighbours, up to eight."""
    mean: np.ndarray = around(values, 1) / around(np.ones(values.shape), 1)
    return mean


def pieces_of(mask: np.ndarray) -> list[Piece]:
    """Return the pieces of a mask, connected along sides or corners, by their left ends, then by their first pixels."""
    runs: list[Run] = []
    parents: list[int] = []  # an earlier run of the same piece; the first one's own number
    above: list[int] = []

    def first(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    edges = np.diff(np.pad(mask, [(0, 0), (1, 1)]).astype(np.int8), axis=1)
    for row in range(len(mask)):
        places = np.flatnonzero(edges[row]).tolist()
        here = []
        for start, end in zip(places[::2], places[1::2], strict=True):
            here.append(len(runs))
            parents.append(len(runs))
            for other in above:
                if runs[other][1] <= end and start <= runs[other][2]:
                    one, two = first(other), first(here[-1])
                    parents[max(one, two)] = min(one, two)
            runs.append((row, start, end))
        above = here
    members: dict[int, list[Run]] = {}
    for number, run in enumerate(runs):
        members.setdefault(first(number), []).append(run)
    pieces = [
        Piece(min(start for _, start, _ in each), each[0][0], max(end for *_, end in each), each[-1][0] + 1, each)
        for each in members.values()
    ]
    return sorted(pieces, key=lambda piece: piece.left)


def join(pieces: list[Piece]) -> list[Piece]:
    """Return the digits: pieces one above the other are one digit; specks and what is too short are left out."""
    largest = max(piece.area for piece in pieces)
    digits: list[Piece] = []
    for piece in pieces:
        if piece.area < SPECK * largest:
            continue
        last = digits[-1] if digits else None
        if last and min(last.right, piece.right) - piece.left > SHARED * min(
            last.right - last.left, piece.right - piece.left
        ):
            digits[-1] = Piece(
                last.left,
                min(last.top, piece.top),
                max(last.right, piece.right),
                max(last.bottom, piece.bottom),
                last.runs + piece.runs,
            )
        else:
            digits.append(piece)
    tallest = max(digit.bottom - digit.top for digit in digits)
    return [digit for digit in digits if digit.bottom - digit.top >= TALL * tallest]


def fit(ink: np.ndarray) -> np.ndarray:
    """Scale ink, 0 to 1, into a box of 20x20 and put its centre of mass at the centre: uint8 (28, 28)."""
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    longer = max(digit.shape)
    height, width = (max(1, int(BOX * size / longer + 0.5)) for size in digit.shape)
    digit = shares(digit.shape[0], height) @ digit @ shares(digit.shape[1], width).T
    digit /= digit.max()
    # Half a pixel and a little more, so that rounding errors do not decide about a symmetric digit.
    top, left = (
        int(np.floor(CENTRE - digit.sum(1 - axis) @ np.arange(digit.shape[axis]) / digit.sum() + 0.500001))
        for axis in (0, 1)
    )
    canvas = np.zeros((3 * SIDE, 3 * SIDE))  # the image and one on each side of it, for what is cut off
    canvas[SIDE + top : SIDE + top + height, SIDE + left : SIDE + left + width] = digit
    image: np.ndarray = np.floor(255 * canvas[SIDE : 2 * SIDE, SIDE : 2 * SIDE] + 0.5).astype(np.uint8)
    return image


def shares(size: int, target: int) -> np.ndarray:
    """Return (target, size): how much of the mean of each target pixel is from each of `size` pixels."""
    ends = np.arange(target + 1) * size / target
    pixels = np.arange(size)
    overlap = np.minimum(ends[1:, np.newaxis], pixels + 1) - np.maximum(ends[:-1, np.newaxis], pixels)
    part: np.ndarray = np.maximum(overlap, 0) * target / size
    return part
