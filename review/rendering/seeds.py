"""Sentences about the noise of the seed: whether it was measured, and how large the difference is beside it."""

from collections.abc import Callable, Sequence

from review.results.difference import Comparison, measured
from review.results.record import Record, elsewhere, is_of, listed, stale
from review.results.revision import Results
from review.statistics.paired import ALPHA, Paired, Seeds
from review.wording.escaping import quote
from review.wording.notation import p_value, spread

CAUTION = (
    "This compares two trained models. Another seed changes the accuracy too; by how much was not measured here: "
    "`make noise` measures it"
)


def seed_fact(comparison: Comparison) -> str:
    """Say in one line for which side the noise of the seed was measured, and where."""
    base, head = comparison.base, comparison.head
    of_base, of_head = measured(base, head)
    if of_base and of_head:
        fact = "the noise of their one recipe was measured" if of_base is of_head else "the noise of both was measured"
    elif of_base:
        fact = f"the noise measured for base is used for head too{_why_not(head, [*head.noise, *base.noise], of_base)}"
    elif of_head:
        fact = f"the noise measured for head is used for base too{_why_not(base, base.noise, of_head)}"
    else:
        kept = [*head.noise, *base.noise]
        record = next((each for each in kept if is_of(each, head)), kept[0] if kept else None)
        state = f"is stale: {stale(record, head)}" if record else "was not measured"
        fact = f"the noise of a seed {state}, so the verdict takes only the choice of images into account"
    places = [("base", base, of_base), ("head", head, of_head)]
    return "".join([f"seeds: {fact}", *(_where(*place) for place in places)])


def _why_not(side: Results, kept: Sequence[Record], stand_in: Record) -> str:
    """Say why no record holds for a side: one of its own recipe where there is one, else the one that is used."""
    record = next((each for each in kept if is_of(each, side)), stand_in)
    reason = stale(record, side)
    told = f", for which it is stale ({reason})" if reason else ", whose own file has none"
    return f"{told}; `make noise` there measures its own"


def _where(label: str, side: Results, record: Record | None) -> str:
    """Say so if a record that holds for a side was measured in another environment."""
    keys = elsewhere(record, side) if record else []
    if not keys:
        return ""
    return f"; that of {label} was measured on another machine or with other libraries ({listed(map(quote, keys))})"


def seed_rows(splits: Sequence[Paired]) -> list[list[str]]:
    """Return the rows about seeds, a cell for each split; none if no noise was measured."""
    if not any(split.seeds for split in splits):
        return []

    def row(name: str, cell: Callable[[Seeds], str | None]) -> list[str]:
        return [name, *((cell(split.seeds) if split.seeds else None) or "unknown" for split in splits)]

    if any(split.seeds and split.seeds.of == "runs" for split in splits):
        told = [
            row("accuracy over seeds of one recipe, mean ± deviation (n)", lambda seeds: spread(seeds.base)),
            row(
                "largest difference between two of its runs",
                lambda seeds: None if seeds.limit is None else f"{seeds.limit:.4f}",
            ),
        ]
    else:
        told = [
            row("accuracy of base over seeds, mean ± deviation (n)", lambda seeds: spread(seeds.base)),
            row("accuracy of head over seeds, mean ± deviation (n)", lambda seeds: spread(seeds.head)),
        ]
    return [*told, row("t-test on seeds", lambda seeds: None if seeds.p is None else p_value(seeds.p))]


def explain_seeds(paired: Paired) -> str:
    """Compare the difference in one split with the noise of the seed, in a clause for the end of a sentence."""
    seeds = paired.seeds
    if seeds is None:
        return ""
    if seeds.p is None:
        return (
            "; all seeds of a recipe reach the same accuracy, so the difference between two seeds cannot be estimated: "
            "`make noise SEEDS=10` measures more"
        )
    if seeds.of == "runs":
        where = "within" if seeds.p >= ALPHA else "beyond"
        return (
            f"; two runs of one recipe differ by up to {seeds.limit:.4f} through the seed alone, and the difference of "
            f"{seeds.difference:+.4f} is {where} that ({p_value(seeds.p)})"
        )
    found = "rare" if seeds.p < ALPHA else "common"
    return (
        f"; over {seeds.base.n} and {seeds.head.n} seeds the means differ by {seeds.difference:+.4f}; a difference "
        f"this large is {found} between equally good recipes ({p_value(seeds.p)})"
    )
