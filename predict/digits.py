"""The digits of a grey picture as images of MNIST: ink in a box of 20x20, its centre of mass in the middle of 28x28.

This file is the specification of these steps. The drawing page has the same ones in classifier/page/digits.js, and both
must give the images of tests/predict/vectors.json within one grey level.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from predict.pictures import LEAST_CONTRAST

SIDE, BOX = 28, 20  # of an image of MNIST, and of the digit in it
CENTRE = 14  # the row and the column, from 0, of the digit's centre of mass
MOST_SIDE = 400  # pixels of the longer side that the steps work on
CELLS, ROUNDS = 32, 5  # of the estimate of the paper: cells along the longer side
REACH = 5  # cells in each direction of which the paper is the mean: together a third of the picture
INK = 0.41  # of the darkest stroke; with 0.4, rounding errors would decide whether 90 of 225 black pixels are ink
FAINTEST = 0.1  # of the mean ink
# A fainter stroke, of LINK of the darkest one, joins pieces with more than 2 * APART of the tallest one between them:
# neighbours that are blurred into each other are closer. A digit is at most WIDEST times as wide as tall.
LINK, APART, WIDEST = 0.15, 0.05, 1.2
SPECK, SHARED, TALL = 0.06, 0.3, 0.5  # of the largest piece, of the narrower piece's width, of the tallest digit
TOUCHING = np.ones((3, 3), bool)  # along sides or corners


class Digit(NamedTuple):
    """A digit of a picture."""

    image: np.ndarray  # uint8 (28, 28), ink 255 on paper 0
    box: tuple[int, int, int, int]  # left, top, right and bottom in the picture
    stacked: bool  # made of pieces one above the other


def normalize(grey: np.ndarray) -> list[Digit]:
    """Return the digits of a picture, uint8 (height, width), from left to right; none if there is no ink."""
    factor = -(-max(grey.shape) // MOST_SIDE)
    picture = reduce(grey, factor)
    ink = picture - paper_of(picture)
    if (ink**3).sum() < 0:  # a few pixels much darker than the paper, not lighter
        ink = -ink
    smooth = blur(ink)
    peak = blur(smooth).max()
    if peak < LEAST_CONTRAST:
        return []
    numbers = number_digits(link(smooth >= INK * peak, smooth >= LINK * peak))
    boxes = ndimage.find_objects(numbers)
    tallest = max(rows.stop - rows.start for rows, _ in boxes)
    digits = []
    for number, (rows, columns) in enumerate(boxes, start=1):
        if rows.stop - rows.start >= TALL * tallest:
            here = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in (rows, columns))
            image = fit(strength(ink[here], smooth[here], numbers[here] == number))
            right, bottom = min(factor * columns.stop, grey.shape[1]), min(factor * rows.stop, grey.shape[0])
            box = factor * columns.start, factor * rows.start, right, bottom
            heights = [piece[0] for piece in ndimage.find_objects(ndimage.label(numbers == number, TOUCHING)[0])]
            stacked = min(height.stop for height in heights) <= max(height.start for height in heights)
            digits.append(Digit(image, box, stacked))
    return digits


def reduce(picture: np.ndarray, factor: int) -> np.ndarray:
    """Return the mean of each block of factor x factor pixels; blocks at the right and at the bottom may be smaller."""
    return np.asarray(Image.fromarray(picture.astype(np.float32)).reduce(factor), np.float64)


def paper_of(picture: np.ndarray) -> np.ndarray:
    """Estimate the grey of the paper at each pixel: a local mean in which ink has little weight."""
    factor = -(-max(picture.shape) // CELLS)
    cells = reduce(picture, factor)
    border = np.ones(cells.shape, bool)
    border[2:-2, 2:-2] = False
    paper = np.full(cells.shape, np.median(cells[border]))
    for _ in range(ROUNDS):
        distance = abs(cells - paper)
        weights = (1 + (distance / max(1, np.median(distance))) ** 2) ** -2
        paper = blur(weights * cells, REACH) / blur(weights, REACH)
    places = np.meshgrid(*((np.arange(size) + 0.5) / factor - 0.5 for size in picture.shape), indexing="ij")
    return np.asarray(ndimage.map_coordinates(paper, places, order=1, mode="nearest"))


def blur(values: np.ndarray, reach: int = 1) -> np.ndarray:
    """Return the mean of the square of 2 * reach + 1 values around each value, without those outside."""
    inside, mean = (
        ndimage.uniform_filter(each, 2 * reach + 1, mode="constant") for each in (np.ones(values.shape), values)
    )
    return np.asarray(mean / inside)


def link(mask: np.ndarray, faint: np.ndarray) -> np.ndarray:
    """Add to the mask of the ink, bool (height, width), the fainter strokes that link the pieces of a digit.

    What reaches the border of the picture, as ruled lines do, links nothing.
    """
    tallest = max(rows.stop - rows.start for rows, _ in ndimage.find_objects(ndimage.label(mask, TOUCHING)[0]))
    apart, _ = ndimage.label(ndimage.maximum_filter(mask, 2 * int(APART * tallest + 0.5) + 1), TOUCHING)
    linked, (height, width) = mask.copy(), mask.shape
    strokes, _ = ndimage.label(faint, TOUCHING)
    for number, (rows, columns) in enumerate(ndimage.find_objects(strokes), start=1):
        inside = min(rows.start, columns.start) > 0 and rows.stop < height and columns.stop < width
        if inside and columns.stop - columns.start <= WIDEST * (rows.stop - rows.start):
            stroke = strokes[rows, columns] == number
            if np.unique(apart[rows, columns][stroke & mask[rows, columns]]).size > 1:
                linked[rows, columns] |= stroke
    return linked


def number_digits(mask: np.ndarray) -> np.ndarray:
    """Return 1 at the pixels of the first digit from the left, 2 at those of the second, and 0 where no digit is.

    Pixels that touch are a piece. Pieces one above the other are one digit; specks are left out.
    """
    labels, count = ndimage.label(mask, TOUCHING)
    areas = np.bincount(labels.ravel())[1:]
    columns = [box[1] for box in ndimage.find_objects(labels)]
    number_of = np.zeros(count + 1, int)
    ends: list[tuple[int, int]] = []  # left and right end of each digit
    for piece in sorted(range(count), key=lambda piece: columns[piece].start):
        if areas[piece] < SPECK * areas.max():
            continue
        left, right = columns[piece].start, columns[piece].stop
        if ends and min(ends[-1][1], right) - left > SHARED * min(ends[-1][1] - ends[-1][0], right - left):
            ends[-1] = ends[-1][0], max(ends[-1][1], right)
        else:
            ends.append((left, right))
        number_of[piece + 1] = len(ends)
    return np.asarray(number_of[labels])


def strength(ink: np.ndarray, smooth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the ink, 0 to 1, of the digit in the mask and of the pixels that touch it."""
    relative = ink / smooth[mask].mean()  # positive in any picture, which the mean of the ink is not
    near = ndimage.binary_dilation(mask, TOUCHING)
    return np.where(near & (relative >= FAINTEST), np.minimum(relative, 1), 0)


def fit(ink: np.ndarray) -> np.ndarray:
    """Scale ink, 0 to 1, into a box of 20x20 and put its centre of mass at the centre: uint8 (28, 28)."""
    digit = ink[ndimage.find_objects((ink > 0).astype(int))[0]]
    height, width = (max(1, int(BOX * size / max(digit.shape) + 0.5)) for size in digit.shape)
    digit = shares(digit.shape[0], height) @ digit @ shares(digit.shape[1], width).T
    digit /= digit.max()
    # Half a pixel and a little more, so that rounding errors do not decide about a symmetric digit.
    top, left = (SIDE + int(np.floor(CENTRE - middle + 0.500001)) for middle in ndimage.center_of_mass(digit))
    canvas = np.zeros((3 * SIDE, 3 * SIDE))  # the image and one on each side of it, for what is cut off
    canvas[top : top + height, left : left + width] = digit
    return np.floor(255 * canvas[SIDE : 2 * SIDE, SIDE : 2 * SIDE] + 0.5).astype(np.uint8)


def shares(size: int, target: int) -> np.ndarray:
    """Return (target, size): how much of the mean of each target pixel is from each of `size` pixels."""
    scale = size / target
    distance = abs((np.arange(target)[:, np.newaxis] + 0.5) * scale - (np.arange(size) + 0.5))
    return np.asarray(np.clip((1 + scale) / 2 - distance, 0, min(1, scale)) / scale)
