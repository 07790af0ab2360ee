"""Write what changed between two revisions as a folder for reviewers: report.md with its pictures, and report.html.

The words and tables are those of review.compare, and review.verify says whether dvc.lock of head matches. The pictures
are learning curves of both sides, and confusion matrices of the split that decided.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from classifier.files.paths import HISTORY, LOCK
from classifier.running.command import one_line, printable
from review.command import REFUSALS, command
from review.rendering.documents import as_markdown
from review.rendering.findings import conclude
from review.rendering.page import as_page
from review.rendering.pictures import draw_confusion_matrices, draw_difference, draw_learning_curves
from review.results.difference import Comparison, compare
from review.results.lock import check, check_noise
from review.results.revision import Predictions, load, open_repo
from review.wording.escaping import quote

CURVES, MATRICES, DIFFERENCE = "learning_curves.png", "confusion_matrices.png", "confusion_difference.png"


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
    parser.add_argument("--output", type=Path, default=Path("report"), help="the folder to write (default: report)")
    options = parser.parse_args(arguments)
    comparison = compare(load(options.base), load(options.head))
    files = render(comparison, check_lock(options.head))
    save(options.output, files)
    print(f"report: {conclude(comparison)} -> {printable(str(options.output))} ({', '.join(files)})")
    return 0


def render(comparison: Comparison, lock: str) -> dict[str, bytes]:
    """Return the files of the report by name; `lock` is the Markdown that says whether head's dvc.lock matches."""
    verdict, _, rest = as_markdown(comparison).partition("\n\n")
    base, head, split = comparison.base, comparison.head, comparison.decided_by
    blocks, pictures = [verdict, lock, rest], {}
    if base.history or head.history:
        pictures[CURVES] = draw_learning_curves(base.history, head.history)
        blocks += ["### Learning curves", f"![Loss and accuracy of either side by epoch]({CURVES})"]
    for label, side in (("base", base), ("head", head)):
        if not side.history:
            blocks.append(f"No learning curve of {label}: it holds no `{HISTORY}`.")
    counts = [confusion(side.predictions[split]) for side in (base, head)]
    pictures[MATRICES] = draw_confusion_matrices(*counts)
    pictures[DIFFERENCE] = draw_difference(*counts)
    blocks += [
        f"### Confusion matrices, {split} images",
        "The darker, the more images are misread that way, by one scale for either side; those read right are grey.",
        f"![Confusion matrices of base and head, {split} images]({MATRICES})",
        "What changed from base to head: orange are errors that came, purple those that went; grey is how many more "
        "images are read right.",
        f"![Difference of the confusion matrices, {split} images]({DIFFERENCE})",
    ]
    markdown = "\n\n".join(blocks) + "\n"
    page = as_page(conclude(comparison), markdown, pictures)
    return pictures | {"report.md": markdown.encode(), "report.html": page.encode()}


def check_lock(revision: str | None) -> str:
    """Say in Markdown whether dvc.lock of a revision, or of this folder, matches each stage, and if not, why."""
    try:
        with open_repo(revision) as repo:
            findings = dict(check(repo))
            noise = check_noise(repo, revision)
    except REFUSALS as error:
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


def confusion(predictions: Predictions) -> np.ndarray:
    """Count the images of each digit by the predicted digit: int (10, 10), rows actual and columns predicted."""
    counts = np.zeros((10, 10), int)
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
