"""evaluation/predictions.csv of a revision: which images of each split its model misreads."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from review.wording.escaping import brief

SPLITS = ("validation", "test")  # the first is for model selection, the second for the final estimate

COLUMNS = {  # the form of each, and its name
    "split": ("validation|test", "validation or test"),
    "image": ("[0-9]{1,9}", "a whole number"),
    "actual": ("[0-9]{1,3}", "the number of a class, 0 to 999"),
    "predicted": ("[0-9]{1,3}", "the number of a class, 0 to 999"),
    "confidence": (r"0(\.[0-9]+)?|1(\.0+)?", "a number from 0 to 1"),
}


@dataclass(frozen=True)
class Predictions:
    """A model's predictions on one split: int arrays (n,), one row an image, by ascending image."""

    image: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray

    def misread(self) -> np.ndarray:
        """The numbers of the images that are misread: int (errors,), ascending."""
        misread: np.ndarray = self.image[self.actual != self.predicted]
        return misread


def parse_predictions(text: str) -> dict[str, Predictions]:
    """Return the predictions of each split that there is.

    Raises:
        ValueError, csv.Error: the text has another form than evaluate gives it.
    """
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for where, row in rows(text, COLUMNS, COLUMNS):
        images = found.setdefault(row["split"], {})
        if int(row["image"]) in images:
            raise ValueError(f"{where}: {row['split']} image {row['image']} was predicted before")
        images[int(row["image"])] = (int(row["actual"]), int(row["predicted"]))
    if not found:
        raise ValueError("expected a row for each image, found none")
    return {split: _by_image(found[split]) for split in SPLITS if split in found}


def rows(
    text: str, required: Iterable[str], forms: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the line and the cells of each row of a CSV file, those of the columns in `forms`, each of its form."""
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(table, [])
    if absent := [column for column in required if column not in header]:
        raise ValueError(f"column {absent[0]} is missing; expected are {','.join(required)}")
    for cells in table:
        where = f"line {table.line_num}"
        if len(cells) != len(header):
            raise ValueError(f"{where}: expected {len(header)} cells, found {len(cells)}")
        row = {column: cell for column, cell in zip(header, cells, strict=True) if column in forms}
        for column, cell in row.items():
            form, expected = forms[column]
            if not re.fullmatch(form, cell):
                raise ValueError(f"{where}: {column} must be {expected}, got {brief(cell)}")
        yield where, row


def _by_image(images: Mapping[int, tuple[int, int]]) -> Predictions:
    table = np.array([(image, *images[image]) for image in sorted(images)])
    return Predictions(table[:, 0], table[:, 1], table[:, 2])
