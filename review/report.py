"""Write what changed between two revisions as a folder for reviewers: report.md with its pictures, and report.html.

The words and tables are those of review.compare, and review.verify says whether dvc.lock of head matches. The pictures
are learning curves of both sides, confusion matrices of the split that decided, and, if data/processed is in this
folder, the images that the recipes read most differently and those on which the two committed models disagree. The
pages to draw on of both sides are copied into the folder and linked, if they are on this machine.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from classifier import pictures as drawing
from classifier.command import command, is_refusal, one_line, printable
from classifier.data import splits
from classifier.files import markdown_table as as_markdown_table
from classifier.paths import HISTORY, LOCK, PROCESSED
from review.comparison import Comparison, changed_parameters, compare_results
from review.drawing import draw_confusion_matrix, draw_difference, draw_learning_curve
from review.escaping import quote
from review.lock import noise_findings, read_page, stage_findings
from review.page import as_page
from review.results import Predictions
from review.revision import read_results
from review.text import (
    MOST_DISAGREEMENTS,
    SMOOTHING,
    as_markdown,
    conclude,
    disagreements,
    images_that_differ,
    table_of_disagreements,
    table_of_images,
    wrap,
)

CURVES = {metric: f"learning_curve_{metric}.png" for metric in ("loss", "accuracy")}
MATRICES = {side: f"confusion_{side}.png" for side in ("base", "head")}
DIFFERENCE = "confusion_difference.png"
IMAGES = "images_that_differ.png"
DISAGREEMENTS = "images_of_disagreement.png"
NOT_DRAWN = f"They are not drawn: `{PROCESSED}` of this data set is not in the folder."
PAGES = {side: f"page_{side}.html" for side in ("base", "head")}


@command("report", refused=2)
def main(arguments: list[str] | None = None) -> int:
    """Write the report; return 0, or 2 where there is nothing to compare or nowhere to write."""
    parser = argparse.ArgumentParser(
        prog="python -m review.report",
        description=(__doc__ or "").splitlines()[0],
        epilog="exit status: 0; 2 if the two cannot be compared or the folder cannot be written",
    )
    parser.add_argument("base", help="a commit, branch, tag or DVC experiment")
    parser.add_argument("head", nargs="?", help="another; without it, the files in this folder")
    parser.add_argument("--final", action="store_true", help="show the test images too")
    parser.add_argument("--output", type=Path, default=Path("report"), help="the folder to write (default: report)")
    options = parser.parse_args(arguments)
    comparison = compare_results(read_results(options.base), read_results(options.head))
    pages = load_pages({"base": options.base, "head": options.head})
    files = render(comparison, check_lock(options.head), options.final, pages)
    save(options.output, files)
    print(wrap(conclude(comparison)))
    pictures = sum(name.endswith(".png") for name in files)
    print(f"report: report.html, report.md and {pictures} pictures -> {printable(str(options.output))}")
    return 0


def render(
    comparison: Comparison, lock: str, final: bool = False, pages: Mapping[str, bytes] = MappingProxyType({})
) -> dict[str, bytes]:
    """Return the files of the report by name.

    Args:
        lock: the Markdown that says whether head's dvc.lock matches.
        final: show the test images too.
        pages: the page to draw on of base and of head, if it is at hand.
    """
    verdict, why, rest = as_markdown(comparison, final).split("\n\n", 2)
    base, head, split = comparison.base, comparison.head, comparison.decided_by
    blocks = [verdict, why, lock, rest]
    pictures: dict[str, bytes] = {}
    if base.history or head.history:
        pictures |= {name: draw_learning_curve(metric, base.history, head.history) for metric, name in CURVES.items()}
        blocks += ["### Learning curves", "\n".join(f"![{metric} by epoch]({name})" for metric, name in CURVES.items())]
        if SMOOTHING in changed_parameters(comparison):
            blocks.append("Do not compare the training losses: the two recipes have different label smoothing.")
    for label, side in (("base", base), ("head", head)):
        if not side.history:
            blocks.append(f"No learning curve of {label}: it holds no `{HISTORY}`.")
    classes = comparison.classes
    counts = {
        label: confusion(side.predictions[split], len(classes)) for label, side in (("base", base), ("head", head))
    }
    names = {int(each): classes[each] for each in drawing.most_confused(*counts.values())}
    most = max(1, *(drawing.errors_of(each).max() for each in counts.values()))
    pictures |= {name: draw_confusion_matrix(label, counts[label], most, names) for label, name in MATRICES.items()}
    pictures[DIFFERENCE] = draw_difference(**counts, names=names)
    blocks += [
        f"### Confusion matrices, {split} images",
        "The darker a cell, the more images are misread in this way; both matrices have the same scale.",
        "\n".join(f"![Confusion matrix of {label}, {split} images]({name})" for label, name in MATRICES.items()),
        "What changed from base to head. Orange: new errors. Purple: errors that are gone.",
        f"![Difference of the confusion matrices, {split} images]({DIFFERENCE})",
    ]
    images = load_images(comparison)
    if differ := list(images_that_differ(comparison)):
        blocks += ["### Images that the seeds read most differently", as_markdown_table(table_of_images(comparison))]
        if images is None:
            blocks.append(NOT_DRAWN)
        else:
            pictures[IMAGES] = draw_images(comparison, images)
            blocks.append(f"![The {len(differ)} images of this table]({IMAGES})")
    found = disagreements(comparison)
    blocks += [
        "### Images on which the two committed models disagree",
        f"{len(found):,} of {len(base.predictions[split].image):,} {split} images.{_only_some(found)}",
    ]
    if len(found):
        blocks.append(as_markdown_table(table_of_disagreements(comparison)))
        if images is None:
            blocks.append(NOT_DRAWN)
        else:
            pictures[DISAGREEMENTS] = draw_disagreements(comparison, images)
            blocks.append(f"![The images of this table]({DISAGREEMENTS})")
    markdown = "\n\n".join(blocks) + "\n"
    page = as_page(conclude(comparison), markdown, pictures, {PAGES[label]: label for label in pages})
    files = pictures | {"report.md": markdown.encode(), "report.html": page.encode()}
    return files | {PAGES[label]: content for label, content in pages.items()}


def load_images(comparison: Comparison) -> np.ndarray | None:
    """Return the images of the split that decided; None if data/processed does not hold them."""
    split = comparison.decided_by
    predictions = comparison.base.predictions[split]
    try:
        images, labels = splits.map_split(split)
    except (OSError, ValueError):
        return None
    if not np.array_equal(predictions.image, np.arange(len(labels))):
        return None
    return images if np.array_equal(labels.argmax(axis=1), predictions.actual) else None


def draw_images(comparison: Comparison, images: np.ndarray) -> bytes:
    """Draw the images that the seeds read most differently, as a PNG."""
    found = list(images_that_differ(comparison))
    split = comparison.splits[comparison.decided_by]
    base, head = split.base.seeds, split.head.seeds
    names = [drawing.shorten(name) for name in comparison.classes]
    captions = [f"{image}: {names[actual]}\n{one} of {base}, {other} of {head}" for image, actual, one, other in found]
    title = "image: actual, and how many seeds of base and of head misread it"
    return _drawn(images[[image for image, *_ in found]], captions, title)


def draw_disagreements(comparison: Comparison, images: np.ndarray) -> bytes:
    """Draw the first images on which the two committed models disagree, as a PNG."""
    found = disagreements(comparison)[:MOST_DISAGREEMENTS]
    names = [drawing.shorten(name) for name in comparison.classes]
    captions = [f"{image}: {names[actual]}\n{names[one]} | {names[other]}" for image, actual, one, other in found]
    return _drawn(images[found[:, 0]], captions, "image: actual, and below it base | head")


def _drawn(images: np.ndarray, captions: list[str], title: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / IMAGES
        drawing.draw_images(images, captions, title, path)
        return path.read_bytes()


def _only_some(found: np.ndarray) -> str:
    return f" These are the first {MOST_DISAGREEMENTS}." if len(found) > MOST_DISAGREEMENTS else ""


def load_pages(revisions: Mapping[str, str | None]) -> dict[str, bytes]:
    """Return the page to draw on of each side, by its label, if it is on this machine."""
    pages = {}
    for label, revision in revisions.items():
        if content := read_page(revision):
            pages[label] = content
    return pages


def check_lock(revision: str | None) -> str:
    """Say in Markdown whether dvc.lock of a revision, or of this folder, matches each stage, and if not, why."""
    try:
        findings = stage_findings(revision)
        noise = noise_findings(revision)
    except Exception as error:
        if not is_refusal(error):
            raise
        message = one_line(error).replace("`", "'")
        return f"**`{LOCK}` of head cannot be checked:** {quote(message)}"
    false = [f"- {quote(name)}: {', '.join(map(quote, reasons))}" for name, reasons in findings.items() if reasons]
    if false:
        lines = [f"**`{LOCK}` of head does not match {len(false)} of {len(findings)} stages:**", "", *false]
    else:
        lines = [f"`{LOCK}` of head matches: the results belong to the code, the parameters and the data beside them."]
    if noise:
        lines += [
            "",
            "**The measured noise of head is not valid:**",
            "",
            *(f"- {quote(reason)}" for reason in noise),
        ]
    return "\n".join(lines)


def confusion(predictions: Predictions, classes: int) -> np.ndarray:
    """Count the images by class: int (classes, classes), rows actual and columns predicted."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (predictions.actual, predictions.predicted), 1)
    return counts


def save(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files, or keep the old ones: no file is replaced until all new ones are on the disk.

    Raises:
        OSError: the folder cannot be written.
    """
    partials = {folder / f".partial-{name}": folder / name for name in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for partial, content in zip(partials, files.values(), strict=True):
                partial.write_bytes(content)
            for partial, path in partials.items():
                partial.replace(path)
        finally:
            for partial in partials:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"{folder} could not be written: {error.strerror or error}") from error


if __name__ == "__main__":
    sys.exit(main())
