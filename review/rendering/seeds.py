"""What is said of the luck of the seed: whether it was measured, and what it makes of the difference."""

from collections.abc import Callable, Sequence

from review.results.difference import Comparison, measured
from review.results.record import Record, elsewhere, is_of, listed, stale
from review.results.revision import Results
from review.statistics.paired import ALPHA, Paired, Seeds
from review.wording.escaping import quote
from review.wording.notation import p_value, spread

CAUTION = (
    "This is about two trained models: another seed moves accuracy as well, and by how much is not known here; "
    "`make noise` measures it"
)


def seed_fact(comparison: Comparison) -> str:
    """Say in one line of which side's recipe the noise of a seed was measured, and where."""
    base, head = comparison.base, comparison.head
    of_base, of_head = measured(base, head)
    if of_base and of_head:
        fact = "one recipe, whose noise was measured" if of_base is of_head else "the noise of both was measured"
    elif of_base:
        fact = f"the noise measured for base stands in for head{_why_not(head, [*head.noise, *base.noise], of_base)}"
    elif of_head:
        fact = f"the noise measured for head stands in for base{_why_not(base, base.noise, of_head)}"
    else:
        kept = [*head.noise, *base.noise]
        record = next((each for each in kept if is_of(each, head)), kept[0] if kept else None)
        state = f"is stale: {stale(record, head)}" if record else "was not measured"
        fact = f"the noise of a seed {state}, so the verdict knows of the luck of the images alone"
    places = [("base", base, of_base), ("head", head, of_head)]
    return "".join([f"seeds: {fact}", *(_where(*place) for place in places)])


def _why_not(side: Results, kept: Sequence[Record], stand_in: Record) -> str:
    """Say why what was measured does not hold for a side: best of its own recipe, else of the one that stands in."""
    record = next((each for each in kept if is_of(each, side)), stand_in)
    reason = stale(record, side)
    told = f", for which it is stale ({reason})" if reason else ", whose own file has none"
    return f"{told}; `make noise` measures that as well"


def _where(label: str, side: Results, record: Record | None) -> str:
    """Say so if a record that holds for a side was measured in another environment."""
    keys = elsewhere(record, side) if record else []
    if not keys:
        return ""
    return f"; that of {label} was measured on another machine or with other libraries ({listed(map(quote, keys))})"


def seed_rows(splits: Sequence[Paired]) -> list[list[str]]:
    """Return the rows that tell of seeds, a cell for each split, or none where nothing is known of them."""
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
    """Say what seeds make of the difference in one split, to be added to why its verdict is what it is."""
    seeds = paired.seeds
    if seeds is None:
        return ""
    if seeds.p is None:
        return (
            "; the seeds of a recipe all reach the same accuracy, so how far two of them may differ is not known: "
            "`make noise SEEDS=10` measures more"
        )
    if seeds.of == "runs":
        where = "inside" if seeds.p >= ALPHA else "outside"
        return (
            f"; the difference of {seeds.difference:+.4f} is {where} one seed's noise, which divides two runs of one "
            f"recipe by up to {seeds.limit:.4f} ({p_value(seeds.p)})"
        )
    apart = "rarely" if seeds.p < ALPHA else "may well"
    return (
        f"; over {seeds.base.n} and {seeds.head.n} seeds the means differ by {seeds.difference:+.4f}, as those of "
        f"equally good recipes {apart} do ({p_value(seeds.p)})"
    )
