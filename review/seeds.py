"""What is said of the luck of the seed: whether it was measured, and what it makes of the difference."""

from collections.abc import Callable, Sequence

from review.comparison import Comparison, changes, measured
from review.escaping import quote
from review.notation import p_value, shown, spread
from review.paired import ALPHA, Paired, Seeds
from review.revision import Noise, Results, recipe_of

CAUTION = (
    "This is about two trained models: another seed moves accuracy as well, and by how much is not known here; "
    "`make noise` measures it"
)


def seed_fact(comparison: Comparison) -> str:
    """Say in one line of which side's recipe the noise of a seed was measured."""
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
    return [*told, row("t-test on seeds", lambda seeds: p_value(seeds.p))]


def explain_seeds(paired: Paired) -> str:
    """Say what seeds make of the difference in one split, to be added to why its verdict is what it is."""
    seeds = paired.seeds
    if seeds is None:
        return ""
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


def _unlike_recipe(side: Results, record: Noise) -> str:
    if side.dataset != record.dataset:
        return f"it was measured on {quote(record.dataset)}"
    unlike = changes(record.parameters, recipe_of(side.parameters))
    return "it was measured at " + ", ".join(f"{quote(key)} {shown(values, 'base')}" for key, values in unlike.items())
