"""Write what changed between two revisions as a folder for reviewers: report.md with its pictures, and report.html.

The words and tables are those of review.compare. The pictures are the accuracy of each seed, learning curves of both
sides, what changed between the confusion matrices of the split that decided, and, if data/processed is in this folder,
the images that the recipes read most differently.
"""

import argparse
import base64
import html
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

import numpy as np
from markdown_it import MarkdownIt

from classifier import pictures
from classifier.command import command, printable
from classifier.data import splits
from classifier.files import markdown_table, save, together
from classifier.paths import HISTORY, PROCESSED
from review.comparison import Comparison, changed_parameters, compare_results
from review.drawing import draw_difference, draw_learning_curve, draw_seeds
from review.escaping import markdown, quote
from review.lock import mismatches
from review.revision import read_results
from review.text import SMOOTHING, as_markdown, conclude, images_that_differ, wrap

CURVES = {metric: f"learning_curve_{metric}.png" for metric in ("loss", "accuracy")}
SEEDS, DIFFERENCE, IMAGES = "seeds.png", "confusion_difference.png", "images_that_differ.png"

# One file that needs no network: pictures are embedded, and it has no script and no address.
PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #d0d7de; --shade: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --shade: #1d2229; }
  img:not([alt*="in colour"]) { filter: invert(0.9) hue-rotate(180deg); } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem; overflow-wrap: anywhere; }
code, th { background: var(--shade); }
code { padding: 0.1em 0.2em; }
/* A shadow at the right edge until the table is scrolled to its end. */
table { background: linear-gradient(to left, Canvas 2rem, #0000 4rem) right / 100% 100% local no-repeat,
  linear-gradient(to left, GrayText, #0000) right / 1rem 100% scroll no-repeat;
  display: block; overflow-x: auto; border-collapse: collapse; margin: 1rem 0; font-size: 0.9em; }
th, td { border: 1px solid var(--line); padding: 0.25em 0.6em; white-space: nowrap; }
th:first-child, td:first-child { white-space: normal; min-width: 8rem; }
img { max-width: 100%; background: white; padding: 0.3rem; box-sizing: border-box; }
@media (max-width: 30rem) { body { font-size: 14px; padding: 0.5rem; }
  table { font-size: 0.75em; } th, td { padding: 0.25em; } }
</style>
$body""")


@command("report", refused=2)
def main(arguments: list[str] | None = None) -> int:
    """Write the report; return 0, or 2 where there is nothing to compare or nowhere to write."""
    parser = argparse.ArgumentParser(prog="python -m review.report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", help="a commit, branch, tag or DVC experiment")
    parser.add_argument("head", nargs="?", help="another; without it, the files in this folder")
    parser.add_argument("--final", action="store_true", help="show the test images too")
    parser.add_argument("--output", type=Path, default=Path("report"), help="the folder to write (default: report)")
    parser.add_argument("--stale", action="store_true", help="compare results that review.verify refuses, too")
    options = parser.parse_args(arguments)
    comparison = compare_results(read_results(options.base), read_results(options.head))
    files = render(comparison, mismatches(options.base, options.head, options.stale), options.final)
    with together(options.output / name for name in files):
        for name, content in files.items():
            save(options.output / name, content)
    print(wrap(conclude(comparison)))
    print(f"report: report.html, report.md and {len(files) - 2} pictures -> {printable(str(options.output))}")
    return 0


def render(comparison: Comparison, found: str, final: bool = False) -> dict[str, bytes]:
    """Return the files of the report by name; `found` is what `mismatches` finds."""
    verdict, why, rest = as_markdown(comparison, final).split("\n\n", 2)
    drawn: dict[str, bytes] = {}
    blocks = [f"**{markdown(found)}**"] if found else []
    blocks += [verdict, *seeds(comparison, drawn), why, rest]
    for section in (learning_curves, confusion, images):  # each yields Markdown, and adds to `drawn` the PNGs in it
        blocks += section(comparison, drawn)
    text = "\n\n".join(blocks) + "\n"
    page = as_page(conclude(comparison), text, drawn)
    return {**drawn, "report.md": text.encode(), "report.html": page.encode()}


def seeds(comparison: Comparison, drawn: dict[str, bytes]) -> Iterator[str]:
    split = comparison.splits[comparison.decided_by]
    if split.estimate:
        recipes = {"base": split.base, "head": split.head}
        drawn[SEEDS] = draw_seeds(recipes, comparison.decided_by, split.estimate)
        yield f"![The {comparison.decided_by} accuracy of each seed, and the interval of the difference]({SEEDS})"


def learning_curves(comparison: Comparison, drawn: dict[str, bytes]) -> Iterator[str]:
    base, head = comparison.base.history, comparison.head.history
    if base or head:
        drawn |= {name: draw_learning_curve(metric, base, head) for metric, name in CURVES.items()}
        yield "### Learning curves"
        yield "\n".join(f"![{metric} by epoch]({name})" for metric, name in CURVES.items())
        if SMOOTHING in changed_parameters(comparison):
            yield "Do not compare the training losses: the two recipes have different label smoothing."
    for label, history in (("base", base), ("head", head)):
        if not history:
            yield f"No learning curve of {label}: it holds no `{HISTORY}`."


def confusion(comparison: Comparison, drawn: dict[str, bytes]) -> Iterator[str]:
    split = comparison.decided_by
    base, head = comparison.base.predictions[split], comparison.head.predictions[split]
    of_base, of_head = (side.parameters.get("train.seed", "unknown") for side in (comparison.base, comparison.head))
    about = f"{split} images, seed {of_base}" + ("" if of_head == of_base else f" and seed {of_head}")
    drawn[DIFFERENCE] = draw_difference(base, head, comparison.classes, about)
    yield f"### What changed in the confusion matrix, {split} images"
    yield "Orange: new errors of head. Purple: errors of base that are gone."
    yield f"![Difference of the confusion matrices, {split} images]({DIFFERENCE})"


def images(comparison: Comparison, drawn: dict[str, bytes]) -> Iterator[str]:
    listed, split = images_that_differ(comparison), comparison.splits[comparison.decided_by]
    if not listed:
        return
    rows = [["image", "actual", "base reads", "head reads", "seeds of base that misread it", "of head"]]
    captions = []
    for image in listed:
        names = [comparison.classes[image[key]] for key in ("actual", "base_reads", "head_reads")]
        seeds = [f"{image['base']} of {split.base.seeds}", f"{image['head']} of {split.head.seeds}"]
        rows.append([f"{image['image']:,}", *(markdown(quote(name)) for name in names), *seeds])
        captions.append(f"{image['image']}: {pictures.shorten(names[0])}\n{', '.join(seeds)}")
    yield "### Images that the seeds read most differently"
    yield markdown_table(rows)
    pixels = read_images(comparison)
    if pixels is None:
        yield f"They are not drawn: `{PROCESSED}` of this data set is not in the folder."
        return
    described = comparison.head.data_set or comparison.base.data_set
    inverted = bool(described and described.inverted)
    title = "image: actual, and how many seeds of base and of head misread it"
    drawn[IMAGES] = pictures.draw_images(pixels[[image["image"] for image in listed]], captions, title, inverted)
    kind = ", in colour" if pixels.shape[-1] > 1 else ""
    yield f"![The {len(listed)} images of this table{kind}]({IMAGES})"


def read_images(comparison: Comparison) -> np.ndarray | None:
    """Return the images of the split that decided; None if data/processed does not hold them."""
    predictions = comparison.base.predictions[comparison.decided_by]
    try:
        pixels, labels = splits.map_split(comparison.decided_by)
    except (OSError, ValueError):
        return None
    numbers = np.array_equal(predictions.image, np.arange(len(labels)))
    return pixels if numbers and np.array_equal(labels.argmax(axis=1), predictions.actual) else None


def as_page(title: str, text: str, drawn: Mapping[str, bytes]) -> str:
    """Render Markdown with its PNGs by name; links, other pictures and HTML, which a name may contain, stay text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "autolink"])
    tokens = parser.parse(text)
    for image in (child for token in tokens for child in token.children or [] if child.type == "image"):
        if picture := drawn.get(str(image.attrs["src"])):
            image.attrs["src"] = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        else:
            image.type = "text"
    return PAGE.substitute(title=html.escape(title), body=parser.renderer.render(tokens, parser.options, {}))


if __name__ == "__main__":
    sys.exit(main())
