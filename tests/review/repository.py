"""A repository with the results of runs that never were, and changes to one."""

import json
from collections.abc import Callable, Set
from typing import Any

from tests.clone import Clone

IMAGES = 40


class Repository(Clone):
    """A Git and DVC repository that holds the results of runs that never were."""

    def write(
        self,
        validation: Set[int] | None = frozenset(),
        test: Set[int] | None = frozenset(),
        epochs: int = 5,
        dataset: str = "mnist",
        images: int = IMAGES,
        shift: int = 0,
    ) -> None:
        """Write results in which the named images of each split are misread; None leaves out the split."""
        rows = ["split,image,actual,predicted,confidence"]
        metrics: dict[str, dict[str, float]] = {}
        for split, wrong in (("validation", validation), ("test", test)):
            if wrong is None:
                continue
            for image in range(images):
                actual = (image + shift) % 10
                rows.append(f"{split},{image},{actual},{(actual + (image in wrong)) % 10},0.987654")
            metrics[split] = {"accuracy": 1 - len(wrong) / images, "errors": len(wrong)}
        self.put("evaluation/predictions.csv", "\n".join(rows) + "\n")
        self.put("metrics.json", json.dumps(metrics))
        self.put("models/provenance.json", json.dumps({"dataset": dataset, "images": {"train": 200}}))
        self.put("params.yaml", f"train:\n  epochs: {epochs}  # passes\n  filters: [32, 64]\n")

    def put(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(text)

    def branch(self, name: str, **results: Any) -> None:
        """Commit such results on a branch from main."""
        self.run(f"git checkout -q -B {name} main")
        self.write(**results)
        self.commit(name)
        self.run("git checkout -q main")


Change = Callable[[Repository], None]


def remove(path: str) -> Change:
    return lambda repository: (repository.folder / path).unlink()


def put(path: str, text: str) -> Change:
    return lambda repository: repository.put(path, text)


def write(**results: Any) -> Change:
    return lambda repository: repository.write(**results)
