"""Write the tables of bench/explored.md from the accuracies in bench/explored.json.

    python -m bench.explored

The text between the tables is written by hand.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from classifier.files import markdown_table, whole_file

Recipe = dict[str, Any]

FIGURES, DOCUMENT = Path("bench/explored.json"), Path("bench/explored.md")
RECORDS = Path("evaluation/seed_noise.json")
SPLITS = ("validation", "test")

# The parameters of the stage train with the values of the default, then four that the stage does not have.
DEFAULT: Recipe = {
    **{"filters": [32, 64, 64], "kernel_size": 3, "dense_units": [128, 64], "batch_normalization": False},
    **{"shift": 1.0, "rotation": 0.0, "zoom": 0.0, "label_smoothing": 0.05, "schedule": "cosine"},
    **{"learning_rate": 0.01, "warmup": 0.1, "epochs": 2, "batch_size": 100, "precision": "mixed_bfloat16"},
    "crop": 0,  # side in pixels of a random square of each training image, and of the middle of others; 0: whole images
    "dropout": 0.0,  # share of the inputs of the dense layers
    "weight_decay": 0.0,  # of kernels, times the learning rate (Loshchilov and Hutter 2019, arXiv 1711.05101)
    "weight_averaging": 0.0,  # largest decay of a moving average of the weights, which is tested; 0: the last weights
}
ACCURATE: Recipe = {  # the recipe before the search
    "shift": 2.0,
    "rotation": 10.0,
    "zoom": 0.1,
    "batch_normalization": True,
    "epochs": 20,
    "batch_size": 250,
}
GROUPS: dict[str, Recipe] = {
    "default": {},
    "quick": {"shift": 0.0, "label_smoothing": 0.1, "epochs": 1},
    "accurate, first round": ACCURATE,
    "accurate, second round": {**ACCURATE, "dense_units": [128]},
}


def main() -> int:
    """Write the tables; return 0, or 1 if a file is missing or wrong."""
    try:
        figures, records = json.loads(FIGURES.read_text()), json.loads(RECORDS.read_text())["recipes"]
        document = replace(DOCUMENT.read_text(encoding="utf-8"), "the copy", agreement(figures, records))
        for group in GROUPS:
            document = replace(document, group, table([each for each in figures if each["group"] == group]))
        write(DOCUMENT, document)
    except (ValueError, OSError) as error:
        print(f"explored: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"explored: {len(figures)} configurations -> {DOCUMENT}")
    return 0


def agreement(figures: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]) -> str:
    """Return the table of the recipes in RECORDS that the copy has trained, too."""
    rows = [["differs from the default", *(f"{split}, {by}" for split in SPLITS for by in ("copy", "project"))]]
    for each in figures:
        settings = {**GROUPS[each["group"]], **each["settings"]}
        for record in records:
            parameters, images = record["parameters"], record["images"]
            trained = {name.removeprefix("train."): value for name, value in parameters.items() if "train." in name}
            trained["precision"] = record["environment"]["precision"]
            same = {**DEFAULT, **settings} == {**DEFAULT, **trained}
            if same and record["dataset"] == "mnist" and parameters["preprocess.validation_images"] == 5000:
                cells = []
                for split in SPLITS:
                    accuracies = [1 - len(run[split]["misread"]) / images[split] for run in record["seeds"]]
                    cells += [f"{spread(of)} over {len(of)} runs" for of in (each[split], accuracies)]
                rows.append([described(settings), *cells])
    return markdown_table(rows)


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Return the table of a group, the highest validation accuracy first."""
    rows = [["differs from the base", "runs", *SPLITS]]
    for each in sorted(figures, key=lambda each: -mean(each["validation"])):
        cells = (spread(each[split]) for split in SPLITS)
        rows.append([described(each["settings"]), str(len(each["test"])), *cells])
    return markdown_table(rows)


def described(settings: Recipe) -> str:
    """Return settings in the notation of params.yaml."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return ", ".join(f"`{name}: {text}`" for name, text in texts.items()) or "nothing"


def spread(accuracies: Sequence[float]) -> str:
    """Return mean ± standard deviation of at least two runs."""
    return f"{mean(accuracies):.5f} ± {stdev(accuracies):.5f}"


def replace(document: str, part: str, text: str) -> str:
    """Return the document with another text in a part. Raises ValueError if it has no such part."""
    begin, end = f"<!-- python -m bench.explored: {part} -->\n", "\n<!-- end -->"
    found, count = re.subn(f"(?s)(?<={re.escape(begin)}).*?(?={end})", lambda _: text, document, count=1)
    if not count:
        raise ValueError(f"{DOCUMENT}: expected the lines {begin.strip()} and {end.strip()}")
    return found


def add(figures: dict[str, Any]) -> None:
    """Add the figures of a configuration to FIGURES, one configuration a line."""
    every = [*(json.loads(FIGURES.read_text()) if FIGURES.exists() else []), figures]
    write(FIGURES, "[\n" + ",\n".join(map(json.dumps, every)) + "\n]\n")


def write(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
