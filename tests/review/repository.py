"""A repository with the results of runs that never were, and changes to one."""

import json
from collections.abc import Callable, Mapping, Set
from types import MappingProxyType
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
        seed: int | None = None,
        environment: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write results in which the named images of each split are misread; None leaves out the split or the seed."""
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
        self.put("models/provenance.json", json.dumps({"dataset": dataset, "images": {"train": 200}, **environment}))
        seeded = "" if seed is None else f"  seed: {seed}\n"
        self.put("params.yaml", f"train:\n  epochs: {epochs}  # passes\n  filters: [32, 64]\n{seeded}")

    def put(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(text)

    def branch(self, name: str, **results: Any) -> None:
        """Commit such results on a branch from main."""
        self.run(f"git checkout -q -B {name} main")
        self.write(**results)
        self.commit(name)
        self.run("git checkout -q main")


TRAINING = {"data/processed/train_images.npy": "a" * 32, "stages/train.py": "b" * 32}


def model(seed: int) -> str:
    """The MD5 of the model that a seed gave, whatever the recipe."""
    return f"{seed:032x}"


def lock(md5: str = model(0), training: Mapping[str, str] = TRAINING) -> str:
    """A dvc.lock that names this model, and what trained it."""
    deps = [{"path": path, "md5": each} for path, each in training.items()]
    train = {"cmd": "echo 1", "deps": deps, "outs": [{"path": "models/model.keras", "md5": md5}]}
    return json.dumps({"schema": "2.0", "stages": {"train": train}})


def record(*accuracies: float, epochs: int = 5, split: str = "validation", **changes: Any) -> dict[str, Any]:
    """What review.noise keeps of a recipe that gave these accuracies with the seeds from 0."""
    seeds = [
        {"seed": seed, "model": model(seed), split: {"accuracy": each, "loss": 0.1}}
        for seed, each in enumerate(accuracies)
    ]
    parameters = {"train.epochs": epochs, "train.filters": [32, 64]}
    found = {"dataset": "mnist", "parameters": parameters, "environment": {}, "training": TRAINING, "seeds": seeds}
    return found | changes


def noise(*records: Any) -> str:
    """evaluation/seed_noise.json of these recipes."""
    return json.dumps({"recipes": records})


OLD = {  # the form of before
    "dataset": "mnist",
    "parameters": {"train.epochs": 5, "train.filters": [32, 64]},
    "splits": {"validation": {"accuracy": {"mean": 0.75, "standard_deviation": 0.1, "by_seed": [0.7, 0.8]}}},
}

Change = Callable[[Repository], None]


def remove(path: str) -> Change:
    return lambda repository: (repository.folder / path).unlink()


def put(path: str, text: str) -> Change:
    return lambda repository: repository.put(path, text)


def write(**results: Any) -> Change:
    return lambda repository: repository.write(**results)
