"""Measure how well `predict` reads pictures, and write the tables of docs/predict.md.

    python -m bench.pictures

The pictures are validation images in larger ones: at a random place, in a random size, on paper that is light or dark,
uneven or noisy. The same images and the same model give the same tables; only the times differ.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from bench import machine
from classifier.data import splits
from classifier.files import markdown_table, whole_file
from predict.model import MODEL, Model, load
from predict.normalization import normalize

DOCUMENT = Path("docs/predict.md")
BEGIN, END = "<!-- python -m bench.pictures: {} -->", "<!-- end -->"

SIDE = 280  # pixels of a picture
SIZES = (60, 200)  # of the longer side of the digit's box
NOISE = 20  # standard deviation, in grey levels
STARTS = 9  # of the command, to measure its time
QUANTILES = (0.005, 0.01, 0.02, 0.05)
CHOSEN = 0.02  # by stages/export.py, for confidence_floor
ALL = "validation images"
PARTS = ("accuracy", "limits", "scores", "time")  # of the document


@dataclass(frozen=True)
class Kind:
    """A kind of picture: dark ink on light paper or inverted, flat or shaded, without or with noise."""

    name: str
    inverted: bool = False
    shaded: bool = False
    noise: float = 0


KINDS = (
    Kind("black on white"),
    Kind("white on black", inverted=True),
    Kind("black on white, with noise", noise=NOISE),
    Kind("dark on light, shaded", shaded=True),
    Kind("dark on light, shaded, with noise", shaded=True, noise=NOISE),
    Kind("light on dark, shaded, with noise", inverted=True, shaded=True, noise=NOISE),
)


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; return 0, or 1 if the model or the images are not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="validation images of each kind (1000)")
    parser.add_argument("--other", type=Path, help="images of no digit, as preprocess writes them (docs/predict.md)")
    parser.add_argument("--only", choices=PARTS, help="write this part alone")
    parser.add_argument("--output", type=Path, default=DOCUMENT, help=f"the document with the tables ({DOCUMENT})")
    options = parser.parse_args(arguments)
    try:
        document = options.output.read_text(encoding="utf-8")
        for name in PARTS:
            replace(document, name, "")
        model = load(MODEL)
        images, labels = splits.load("validation")
        if model.normalization != "mnist":
            raise ValueError(f"{MODEL} is of {model.dataset}: pictures are resized and not normalized")
        other = None if options.other is None else as_bytes(np.load(options.other)[: options.images])
    except (OSError, ValueError) as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    digits, actual = as_bytes(images[: options.images]), labels[: options.images].argmax(axis=1)
    sets = cache(lambda: sets_of_images(model, as_bytes(images), labels.argmax(axis=1), other))
    parts = {
        "accuracy": lambda: markdown_table(table_of_accuracy(model, digits, actual), alignment="---:"),
        "limits": lambda: markdown_table(table_of_limits(sets()), alignment="---:"),
        "scores": lambda: markdown_table(table_of_scores(sets()), alignment="---:"),
        "time": lambda: cold_start(digits[0]),
    }
    for name in [options.only] if options.only else PARTS:
        document = replace(document, name, parts[name]())
    with whole_file(options.output) as path:
        path.write_text(document, encoding="utf-8")
    print(f"bench: {options.only or ', '.join(PARTS)} -> {options.output}")
    return 0


def replace(document: str, name: str, text: str) -> str:
    """Return the document with another text in the part of this name. Raises ValueError if it has no such part."""
    before, begin, rest = document.partition(BEGIN.format(name))
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"expected the lines {BEGIN.format(name)} and {END} in the document")
    return f"{before}{begin}\n{text}\n{end}{after}"


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Return images, float (n, height, width, 1) in 0..1, as uint8 (n, height, width)."""
    scaled: np.ndarray = np.rint(images[..., 0] * 255).astype(np.uint8)
    return scaled


def table_of_accuracy(model: Model, digits: np.ndarray, actual: np.ndarray) -> list[list[str]]:
    """Compare `predict` with the same network on pictures that are only resized."""
    rows = [["pictures", "right", "two digits or none", "resized only"]]
    for seed, kind in enumerate(KINDS):
        random = np.random.default_rng(seed)
        found, resized = [], []
        for digit in digits:
            picture = embed(digit, kind, random)
            found.append([each.image for each in normalize(picture)])
            light = picture if kind.inverted else 255 - picture  # told what is ink, which `predict` finds out
            resized.append(np.asarray(Image.fromarray(light).resize((28, 28), Resampling.BILINEAR)))
        single = np.array([len(each) == 1 for each in found])
        right = classes(model, [each[0] for each in found if len(each) == 1]) == actual[single]
        shares = (right.sum() / len(digits), (classes(model, resized) == actual).mean())
        rows.append([kind.name, f"{shares[0]:.3f}", f"{(~single).sum():,}", f"{shares[1]:.3f}"])
        print(f"bench: {kind.name}: {shares[0]:.3f}, resized only {shares[1]:.3f}", flush=True)
    rows.append(["the validation images themselves", f"{(classes(model, digits) == actual).mean():.3f}", "", ""])
    return rows


def sets_of_images(
    model: Model, digits: np.ndarray, actual: np.ndarray, other: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the probabilities, float32 (n, classes), for images of digits and of something else."""
    random = np.random.default_rng(100)
    found = probabilities(model, digits)
    noise = (random.integers(0, 256, (120, 160), np.uint8) for _ in range(min(100, len(digits))))
    sets = {
        ALL: found,
        "misread validation images": found[found.argmax(axis=1) != actual],
        "digits in shaded pictures with noise": read(model, (embed(each, KINDS[4], random) for each in digits[:1000])),
        "pictures of noise": read(model, noise),
    }
    if other is not None:
        sets["the other images, as they are"] = probabilities(model, other)
        sets["the other images in pictures"] = read(model, (embed(each, KINDS[0], random) for each in other))
    return {name: each for name, each in sets.items() if len(each)}


def table_of_limits(sets: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Show the share of each set below some quantiles of the largest probability of the validation images."""
    largest = {name: found.max(axis=1) for name, found in sets.items()}
    limits = [float(np.quantile(largest[ALL], share)) for share in QUANTILES]
    rows = [["share below the limit", *(f"{limit:.3f}" for limit in limits)]]
    for name, found in largest.items():
        rows.append([name, *(f"{(found < limit).mean():.1%}" for limit in limits)])
    return rows


def table_of_scores(sets: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Show the share of each set below the quantile CHOSEN of the validation images, by three scores."""
    scores: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "largest probability": lambda found: found.max(axis=1),
        "difference of the two largest": lambda found: np.diff(np.sort(found, axis=1)[:, -2:], axis=1)[:, 0],
        "negative entropy": lambda found: (found * np.log(found + 1e-12)).sum(axis=1),
    }
    rows = [["share below the limit", *scores]]
    limits = {name: np.quantile(score(sets[ALL]), CHOSEN) for name, score in scores.items()}
    for name, found in sets.items():
        rows.append([name, *(f"{(score(found) < limits[each]).mean():.1%}" for each, score in scores.items())])
    return rows


def cold_start(digit: np.ndarray) -> str:
    """Return how long the command takes for one picture, and its memory, as a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        picture, record = Path(folder) / "picture.png", Path(folder) / "record"
        Image.fromarray(embed(digit, KINDS[4], np.random.default_rng(0))).save(picture)
        command = [sys.executable, "-m", "predict", str(picture)]
        for _ in range(STARTS):
            measured = [sys.executable, "-IS", "bench/measure.py", str(record), *command]
            subprocess.run(measured, check=True, stdout=subprocess.DEVNULL)
        found = [json.loads(line) for line in record.read_text().splitlines()]
    seconds, most = (sorted(each[key] for each in found) for key in ("seconds", "peak_mib"))
    return (
        f"`python -m predict` with one picture takes {statistics.median(seconds):.2f} s (median of {STARTS} starts, "
        f"{seconds[0]:.2f} to {seconds[-1]:.2f} s) and at most {most[-1]:.0f} MiB of memory, on "
        f"{machine.describe()['processor']}."
    )


def embed(image: np.ndarray, kind: Kind, random: np.random.Generator) -> np.ndarray:
    """Return a grey picture, uint8 (280, 280), with the ink of an image, uint8 (height, width), somewhere in it."""
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    digit = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = random.integers(SIZES[0], SIZES[1] + 1) / max(digit.size)
    width, height = (max(1, round(scale * each)) for each in digit.size)
    top, left = (int(random.integers(0, SIDE - each + 1)) for each in (height, width))
    ink = np.zeros((SIDE, SIDE))
    ink[top : top + height, left : left + width] = np.asarray(digit.resize((width, height), Resampling.BICUBIC))
    light, dark = (random.uniform(170, 240), random.uniform(20, 80)) if kind.shaded else (255, 0)
    paper, pen = (dark, light) if kind.inverted else (light, dark)
    picture = paper + (pen - paper) * ink / 255
    if kind.shaded:  # a side gets 20 to 50 % less light
        down, across = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) - 0.5
        angle = random.uniform(0, 2 * math.pi)
        place = 0.5 + (math.cos(angle) * across + math.sin(angle) * down) / math.sqrt(2)
        picture *= 1 - random.uniform(0.2, 0.5) * place
    if kind.noise:
        picture += random.normal(0, kind.noise, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def read(model: Model, pictures: Iterator[np.ndarray]) -> np.ndarray:
    """Return the probabilities, float32 (n, classes), of each digit that is found in the pictures."""
    return probabilities(model, [digit.image for picture in pictures for digit in normalize(picture)])


def classes(model: Model, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return the class of each image, uint8 (height, width)."""
    found: np.ndarray = probabilities(model, images).argmax(axis=1)
    return found


def probabilities(model: Model, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return float32 (n, classes) for images, uint8 (height, width)."""
    stack = np.asarray(images)[..., np.newaxis]
    return np.concatenate([model.predict(stack[row : row + 500]) for row in range(0, len(stack), 500)])


if __name__ == "__main__":
    raise SystemExit(main())
