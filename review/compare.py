"""Tell what changed from one revision to another, and whether the model now reads digits better or is only luckier.

It compares the parameters, metrics and predictions that Git holds, and needs no data, cache or remote. Two accuracies
on the same images are compared image by image, with McNemar's exact test: it sees differences that two intervals hide.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from dvc.exceptions import DvcException
from scmrepo.exceptions import SCMError

from review.paired import (
    ALPHA,
    Accuracy,
    Digit,
    Paired,
    Seeds,
    Spread,
    Verdict,
    between_recipes,
    between_runs,
    judge,
    pair,
)
from review.revision import SPLITS, Noise, Predictions, Results, load, recipe_of

COLOURS: dict[Verdict, int] = {"better": 32, "worse": 31, "cannot be told apart": 33}  # ANSI green, red, yellow

CAUTION = (
    "This is about two trained models: another seed moves accuracy as well, and by how much is not known here; "
    "`make noise` measures it"
)

Table = list[list[str]]  # the first row is the header


@dataclass(frozen=True)
class Comparison:
    """Two revisions, and each split that both have predictions of; the first of these splits decides."""

    base: Results
    head: Results
    splits: dict[str, Paired]

    @property
    def decided_by(self) -> str:
        return next(iter(self.splits))

    @property
    def verdict(self) -> Verdict:
        return judge(self.splits[self.decided_by])


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; return 0, or 1 where --fail-if says so, or 2 where there is nothing to compare."""
    parser = argparse.ArgumentParser(
        prog="python -m review.compare",
        description=(__doc__ or "").splitlines()[0],
        epilog="exit status: 0; 1 if --fail-if holds; 2 if the two cannot be compared",
    )
    parser.add_argument("base", help="a commit, branch, tag or DVC experiment")
    parser.add_argument("head", nargs="?", help="another; without it, the files in this folder")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_const", dest="render", const=as_markdown, help="tables for GitHub")
    form.add_argument("--json", action="store_const", dest="render", const=as_json, help="for programs")
    parser.add_argument("--fail-if", choices=["worse", "not-better"], help="exit with 1 if that is the verdict on HEAD")
    options = parser.parse_args(arguments)
    try:
        comparison = compare(load(options.base), load(options.head))
    except (DvcException, SCMError, ValueError, OSError) as error:
        print(f"compare: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(options.render(comparison) if options.render else as_text(comparison, colour=_colour_is_wanted()))
    failures: dict[str | None, set[Verdict]] = {"worse": {"worse"}, "not-better": {"worse", "cannot be told apart"}}
    return 1 if comparison.verdict in failures.get(options.fail_if, set()) else 0


def compare(base: Results, head: Results) -> Comparison:
    """Compare the predictions of two revisions, split by split.

    Raises:
        ValueError: the two were not tested on the same images.
    """
    if base.dataset != head.dataset:
        raise ValueError(
            f"{base.name} is of the data set {base.dataset} and {head.name} of {head.dataset}, whose accuracies do not "
            "compare: set download.dataset alike and `dvc repro`"
        )
    common = [split for split in SPLITS if split in base.predictions and split in head.predictions]
    if not common:
        one, other = (f"{side.name} has {' and '.join(side.predictions)}" for side in (base, head))
        raise ValueError(f"no split in common: {one}, {other}")
    splits = {}
    for split in common:
        one_split, other_split = base.predictions[split], head.predictions[split]
        if difference := _unlike_images(one_split, other_split):
            raise ValueError(
                f"{base.name} and {head.name} have different {split} images, whose accuracies do not compare: "
                f"{difference}"
            )
        paired = pair(one_split.actual, one_split.predicted, other_split.predicted)
        splits[split] = replace(paired, seeds=_seeds(split, paired, *measured(base, head)))
    return Comparison(base, head, splits)


def measured(base: Results, head: Results) -> tuple[Noise | None, Noise | None]:
    """Return for either side the noise of the seed measured at its own recipe, by whichever side keeps it in Git."""

    def of(side: Results) -> Noise | None:
        recipe = (side.dataset, recipe_of(side.parameters))
        return next((each for each in [*head.noise, *base.noise] if (each.dataset, each.parameters) == recipe), None)

    return of(base), of(head)


def sides(base: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return for each key its values in "base" and in "head"; a side that lacks the key is left out."""
    both = {"base": base, "head": head}
    return {
        key: {side: values[key] for side, values in both.items() if key in values}
        for key in sorted(base.keys() | head.keys())
    }


def changed_parameters(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Return the `sides` of each parameter that differs in value or type."""
    every = sides(comparison.base.parameters, comparison.head.parameters)
    return {key: values for key, values in every.items() if _shown(values, "base") != _shown(values, "head")}


def metrics(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Return the `sides` of each metric, and where there are two their "difference", head - base."""
    every = sides(comparison.base.metrics, comparison.head.metrics)
    for values in every.values():
        if len(values) == 2:
            values["difference"] = round(values["head"] - values["base"], 10)  # 0.9912 - 0.9893 is 0.0019
    return every


def facts(comparison: Comparison) -> Iterator[str]:
    """Yield what the two sides are, and what is not compared, in a line each."""
    for label, side in (("base", comparison.base), ("head", comparison.head)):
        commit = f" ({side.commit[:7]})" if side.commit else ""
        yield f"{label}: {side.name}{commit}, trained on {side.train_images:,} images of {side.dataset}"
    for split, found in sides(comparison.base.predictions, comparison.head.predictions).items():
        if len(found) == 1:
            yield f"{split}: only {next(iter(found))} has predictions of it, so it is not compared"
    if not changed_parameters(comparison):
        yield "parameters: none differs"
    yield _told_of_seeds(comparison)


def tables(comparison: Comparison) -> Iterator[Table]:
    """Yield the parameters that differ, the metrics, the accuracy by split, and the images won and lost by digit."""
    if parameters := changed_parameters(comparison):
        rows = [[key, _shown(values, "base"), _shown(values, "head")] for key, values in parameters.items()]
        yield [["parameter", "base", "head"], *rows]
    columns = ["base", "head", "difference"]
    rows = [[key, *(_shown(values, column) for column in columns)] for key, values in metrics(comparison).items()]
    yield [["metric", *columns], *rows]
    splits = list(comparison.splits.values())
    yield [
        ["same images, paired", *comparison.splits],
        ["images", *(f"{split.images:,}" for split in splits)],
        ["accuracy of base (95 % interval)", *(_interval(split.base) for split in splits)],
        ["accuracy of head (95 % interval)", *(_interval(split.head) for split in splits)],
        ["difference", *(f"{split.difference:+.4f}" for split in splits)],
        ["smallest difference that could have shown", *(_smallest(split) for split in splits)],
        ["images that only base gets right", *(f"{split.only_base:,}" for split in splits)],
        ["images that only head gets right", *(f"{split.only_head:,}" for split in splits)],
        ["McNemar's exact test", *(_p(split.p) for split in splits)],
        *_seed_rows(splits),
    ]
    rows = []
    for digit in sorted({digit for split in splits for digit in split.digits}):
        found = [split.digits.get(digit, Digit(0, 0, 0)) for split in splits]
        if any(each.only_base or each.only_head for each in found):
            rows.append([str(digit), *(f"+{each.only_head} -{each.only_base}" for each in found)])
    if rows:
        yield [["digit (+ only head is right, - only base is)", *comparison.splits], *rows]


def explain(split: str, paired: Paired) -> str:
    """Say the verdict on one split, and why, to someone who does not know the test."""
    if not paired.only_base + paired.only_head:
        return f"{split}: cannot be told apart: base and head get the same images right"
    counts = f"head alone gets {paired.only_head:,} images right and base alone {paired.only_base:,}"
    luck, limit = ("rarely does", "below") if paired.p < ALPHA else ("may well do", "not below")
    reason = f"which luck {luck} to equally good models ({_p(paired.p)}, {limit} {ALPHA})"
    if paired.smallest_difference is None:
        least = "so few images could not have shown any difference"
    else:
        least = f"a difference in accuracy below {_smallest(paired)} could not have shown"
    return f"{split}: {judge(paired)}: {counts}, {reason}; {least}{_explained_by_seeds(paired)}"


def reasons(comparison: Comparison) -> list[str]:
    """Return why the verdict is what it is, in a line for each split, and what it does not know."""
    unknown = [] if comparison.splits[comparison.decided_by].seeds else [CAUTION]
    return [*(explain(*each) for each in comparison.splits.items()), *unknown]


def conclude(comparison: Comparison) -> str:
    """Say the verdict on the whole."""
    base, head, verdict = comparison.base.name, comparison.head.name, comparison.verdict
    said = f"{head} and {base} {verdict}" if verdict == "cannot be told apart" else f"{head} is {verdict} than {base}"
    return f"verdict: {said}, by {comparison.decided_by}"


def as_text(comparison: Comparison, colour: bool) -> str:
    """Render for a terminal."""
    blocks = ["\n".join(facts(comparison))]
    for table in tables(comparison):
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for first, *cells in table:
            padded = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            lines.append("  ".join([first.ljust(widths[0]), *padded]).rstrip())
        blocks.append("\n".join(lines))
    blocks.append("\n".join(reasons(comparison)))
    verdict = conclude(comparison)
    blocks.append(f"\033[{COLOURS[comparison.verdict]}m{verdict}\033[0m" if colour else verdict)
    return "\n\n".join(blocks)


def as_markdown(comparison: Comparison) -> str:
    """Render for a comment on GitHub: the verdict first, then as in a terminal."""
    blocks = [f"**{conclude(comparison)}**", "\n".join(f"- {_plain_markdown(fact)}" for fact in facts(comparison))]
    for table in tables(comparison):
        header, *rows = [[_escaped(cell) for cell in row] for row in table]
        ruler = ["---", *("---:" for _ in header[1:])]
        blocks.append("\n".join(f"| {' | '.join(row)} |" for row in [header, ruler, *rows]))
    blocks.append("\n".join(f"- {reason}" for reason in reasons(comparison)))
    return "\n\n".join(blocks)


def as_json(comparison: Comparison) -> str:
    """Render for programs, without NaN. What a side lacks has no key.

    {
      "base": {"revision": "main", "commit": "1a2b...", "dataset": "mnist", "train_images": 55000},
      "head": the same; "revision" and "commit" are null for this folder,
      "parameters": {"train.epochs": {"base": 5, "head": 6}, ...}, those that differ,
      "metrics": {"test.errors": {"base": 107, "head": 95, "difference": -12}, ...}, all,
      "splits": {"validation": {the fields of review.paired.Paired, "verdict": "better"}, ...}, those of both sides,
      "decided_by": "validation" or "test",
      "verdict": "better", "worse" or "cannot be told apart": that of this split
    }
    """
    parameters = changed_parameters(comparison)
    document = {
        **{label: _identity(side) for label, side in (("base", comparison.base), ("head", comparison.head))},
        "parameters": {
            key: {side: _plain(value) for side, value in found.items()} for key, found in parameters.items()
        },
        "metrics": metrics(comparison),
        "splits": {name: asdict(split) | {"verdict": judge(split)} for name, split in comparison.splits.items()},
        "decided_by": comparison.decided_by,
        "verdict": comparison.verdict,
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _identity(side: Results) -> dict[str, Any]:
    return {key: getattr(side, key) for key in ("revision", "commit", "dataset", "train_images")}


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*|<\[])", r"\\\1", text)


def _plain_markdown(fact: str) -> str:
    """Escape a fact, but for the names of revisions and commands, which are in backticks."""
    return "".join(part if part.startswith("`") else _escaped(part) for part in re.split(r"(`[^`]*`)", fact))


def _plain(value: Any) -> Any:
    """YAML has dates, sets and NaN; JSON has not, and gets their text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value


def _shown(values: Mapping[str, Any], column: str) -> str:
    if column not in values:
        return "" if column == "difference" else "absent"
    value = values[column]
    if column == "difference":
        return f"{value:+g}" if value else "0"
    return "null" if value is None else repr(value)


def _interval(accuracy: Accuracy) -> str:
    return f"{accuracy.accuracy:.4f} ({accuracy.low:.4f} to {accuracy.high:.4f})"


def _p(p: float) -> str:
    return f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"


def _seeds(split: str, paired: Paired, base: Noise | None, head: Noise | None) -> Seeds | None:
    found = [side.spreads[split] for side in (base, head) if side and split in side.spreads]
    if len(found) == 2 and base is not head:
        return between_recipes(*found)
    return between_runs(paired.difference, found[0]) if found else None


def _told_of_seeds(comparison: Comparison) -> str:
    base, head = measured(comparison.base, comparison.head)
    if base and head:
        return (
            "seeds: one recipe, whose noise was measured" if base is head else "seeds: the noise of both was measured"
        )
    if not (base or head):
        kept = [*comparison.head.noise, *comparison.base.noise]
        state = f"is stale: {_unlike_recipe(comparison.head, kept[0])}" if kept else "was not measured"
        return f"seeds: the noise of a seed {state}, so the verdict knows of the luck of the images alone"
    known, other, side = ("base", "head", comparison.head) if base else ("head", "base", comparison.base)
    record = base or head
    assert record is not None
    return (
        f"seeds: the noise measured for {known} stands in for {other}, for which it is stale "
        f"({_unlike_recipe(side, record)}); `make noise` measures that as well"
    )


def _unlike_recipe(side: Results, record: Noise) -> str:
    if side.dataset != record.dataset:
        return f"it was measured on {record.dataset}"
    both = sides(record.parameters, recipe_of(side.parameters))
    other = [key for key, values in both.items() if _shown(values, "base") != _shown(values, "head")]
    return "it was measured at " + ", ".join(f"{key} {_shown(both[key], 'base')}" for key in other)


def _seed_rows(splits: Sequence[Paired]) -> Table:
    """The rows that tell of seeds, where they are known."""
    if not any(split.seeds for split in splits):
        return []

    def row(name: str, cell: Callable[[Seeds], str | None]) -> list[str]:
        return [name, *((cell(split.seeds) if split.seeds else None) or "unknown" for split in splits)]

    if any(split.seeds and split.seeds.of == "runs" for split in splits):
        told = [
            row("accuracy over seeds of one recipe, mean ± deviation (n)", lambda seeds: _spread(seeds.base)),
            row(
                "largest difference between two of its runs",
                lambda seeds: None if seeds.limit is None else f"{seeds.limit:.4f}",
            ),
        ]
    else:
        told = [
            row("accuracy of base over seeds, mean ± deviation (n)", lambda seeds: _spread(seeds.base)),
            row("accuracy of head over seeds, mean ± deviation (n)", lambda seeds: _spread(seeds.head)),
        ]
    return [*told, row("t-test on seeds", lambda seeds: _p(seeds.p))]


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.4f} ± {spread.standard_deviation:.4f} ({spread.n})"


def _explained_by_seeds(paired: Paired) -> str:
    seeds = paired.seeds
    if seeds is None:
        return ""
    if seeds.of == "runs":
        where = "inside" if seeds.p >= ALPHA else "outside"
        return (
            f"; the difference of {seeds.difference:+.4f} is {where} one seed's noise, which divides two runs of one "
            f"recipe by up to {seeds.limit:.4f} ({_p(seeds.p)})"
        )
    apart = "rarely" if seeds.p < ALPHA else "may well"
    return (
        f"; over {seeds.base.n} and {seeds.head.n} seeds the means differ by {seeds.difference:+.4f}, as those of "
        f"equally good recipes {apart} do ({_p(seeds.p)})"
    )


def _smallest(paired: Paired) -> str:
    return "none" if paired.smallest_difference is None else f"{paired.smallest_difference:.4f}"


def _unlike_images(base: Predictions, head: Predictions) -> str | None:
    """Say in what the images of two splits differ, or None where they are the same ones."""
    alone = [len(np.setdiff1d(one.image, other.image)) for one, other in ((base, head), (head, base))]
    if any(alone):
        return f"{alone[0]:,} are only in the first and {alone[1]:,} only in the second"
    unlike = np.flatnonzero(base.actual != head.actual)
    if not unlike.size:
        return None
    row = unlike[0]
    return f"image {base.image[row]} is a {base.actual[row]} in the first and a {head.actual[row]} in the second"


def _colour_is_wanted() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org


if __name__ == "__main__":
    sys.exit(main())
