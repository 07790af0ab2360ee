"""Time a training step with the feed of a revision, with this feed, and on a batch at hand.

    python -m bench.feed [REVISION]

It needs the arrays in data/processed, and trains with params.yaml. The feeds are timed in turn, so that other work on
the machine disturbs all of them. Processor time is that of all threads together.
"""

import argparse
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

from bench import machine
from classifier.data import augmentation, batches, delivered
from classifier.files import whole_file
from classifier.model import runtime
from classifier.parameters import read_section
from stages import train

ROUNDS = 30
STEPS = 50  # in each round and feed, so a round takes few seconds
RESULTS = Path("bench/feed.md")

AT_HAND = "a batch at hand"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.feed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", nargs="?", default="HEAD~1", help="its feed is compared (HEAD~1)")
    revision = parser.parse_args().revision
    recipe = read_section("train", train.Parameters)
    runtime.start(recipe.seed, recipe.precision)
    import tensorflow as tf

    network = train.build(recipe, delivered.load().data_set, steps=10**9)
    new = feed([batches, augmentation], recipe)
    hand = tf.data.Dataset.from_tensors(next(iter(new)))
    feeds = {AT_HAND: hand, revision: feed(modules(revision), recipe), "this": new}
    iterators = {name: iter(each.repeat()) for name, each in feeds.items()}
    network.make_train_function()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in feeds}
    for number in range(ROUNDS + 1):
        for name, iterator in iterators.items():
            each = step(network, iterator)
            if number:  # the first round builds the graph
                taken[name].append(each)
    with whole_file(RESULTS) as path:
        path.write_text("\n".join(table(taken, recipe)) + "\n")
    print(RESULTS.read_text())


def modules(revision: str) -> list[ModuleType]:
    """Return the modules `batches` and `augmentation` of a revision; what they import is this folder's."""
    found = []
    for name in ("batches", "augmentation"):
        show = ["git", "show", f"{revision}:classifier/data/{name}.py"]
        code = subprocess.run(show, capture_output=True, check=True).stdout
        found.append(ModuleType(f"{revision}_{name}"))
        exec(compile(code, f"{revision}:{name}.py", "exec"), found[-1].__dict__)
    return found


def feed(made_by: list[ModuleType], recipe: train.Parameters) -> Any:
    """Return the training batches that the modules `batches` and `augmentation` make."""
    change = made_by[1].build(recipe.shift, recipe.rotation, recipe.zoom, recipe.seed)
    return made_by[0].load("train", recipe.batch_size, recipe.seed, change)


def step(network: Any, iterator: Iterator[Any]) -> tuple[float, float]:
    """Return the seconds of a step on the wall clock and of all processors."""
    began, used = time.perf_counter(), _processor_seconds()
    for _ in range(STEPS // network.steps_per_execution):
        network.train_function(iterator)
    return (time.perf_counter() - began) / STEPS, (_processor_seconds() - used) / STEPS


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def table(taken: dict[str, list[tuple[float, float]]], recipe: train.Parameters) -> Iterator[str]:
    """Yield the lines of the results."""
    yield "# The feed of a training step"
    yield ""
    yield "Written by `python -m bench.feed REVISION`; [README.md](README.md) explains it."
    yield ""
    limits = f"shift {recipe.shift:g}, rotation {recipe.rotation:g}, zoom {recipe.zoom:g}"
    yield f"- a step of {recipe.batch_size} images, {limits}"
    yield f"- {ROUNDS} rounds of {STEPS} steps with each feed in turn"
    yield from (f"- {heading}: {fact}" for heading, fact in (machine.describe() | machine.versions()).items())
    yield ""
    yield "| feed | ms a step: median (least) | ratio of medians | ratio of the least | processor ms: median | ratio |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    hand = list(zip(*taken[AT_HAND], strict=True))
    for name, each in taken.items():
        wall, used = zip(*each, strict=True)
        ratios = median(wall) / median(hand[0]), min(wall) / min(hand[0]), median(used) / median(hand[1])
        yield (
            f"| {name} | {median(wall) * 1e3:.2f} ({min(wall) * 1e3:.2f}) | {ratios[0]:.3f} | {ratios[1]:.3f} "
            f"| {median(used) * 1e3:.2f} | {ratios[2]:.3f} |"
        )


if __name__ == "__main__":
    main()
