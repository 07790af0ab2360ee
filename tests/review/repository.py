"""A repository with the results of runs that never were, and changes to one."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import partial
from operator import methodcaller
from types import MappingProxyType
from typing import Any

from tests.clone import Clone

IMAGES = 40

NONE: Mapping[str, Any] = MappingProxyType({})


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
        environment: Mapping[str, Any] = NONE,
        train: Mapping[str, Any] = NONE,
        lock: str | None = None,
    ) -> None:
        """Write results in which the named images of each split are misread; None leaves out the split or the seed.

        `train` are further parameters of training, and `lock` is the text of a new dvc.lock.
        """
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
        further = {**({} if seed is None else {"seed": seed}), **train}
        lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in further.items())
        self.put("params.yaml", f"train:\n  epochs: {epochs}  # passes\n  filters: [32, 64]\n{lines}")
        if lock:
            self.put("dvc.lock", lock)

    def measure(
        self,
        *validation: Collection[int] | float,
        epochs: int = 5,
        train: Mapping[str, Any] = NONE,
        others: Sequence[Any] = (),
        **changes: Any,
    ) -> None:
        """Write the results of seed 0 and its dvc.lock, the `record` of all these seeds, and those of others."""
        measured = record(*validation, epochs=epochs, train=train, **changes)
        wrong = {split: set(measured["seeds"][0][split]["misread"]) for split in measured["images"]}
        self.write(**wrong, epochs=epochs, seed=0, environment=measured["environment"], train=train)
        self.keep(*others, measured)

    def keep(self, *records: Any, md5: str | None = None, training: Mapping[str, str] | None = None) -> None:
        """Write these records, and a dvc.lock that names the model of seed 0 and what trained it."""
        self.put("evaluation/seed_noise.json", noise(*records))
        self.put("dvc.lock", lock(md5 or model(0), TRAINING if training is None else training))

    def put(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def branch(self, name: str, **results: Any) -> None:
        """Commit such results on a branch from main."""
        self.on(name, lambda: self.write(**results))

    def on(self, name: str, change: Callable[[], None]) -> None:
        """Commit a change on a branch from main."""
        self.run(f"git checkout -q -B {name} main")
        change()
        self.commit(name)
        self.run("git checkout -q main")


TRAINING = {"data/processed/train_images.npy": "a" * 32, "stages/train.py": "b" * 32}


def model(seed: int) -> str:
    """The MD5 of the model that a seed gave, whatever the recipe."""
    return f"{seed:032x}"


def lock(
    md5: str = model(0),
    training: Mapping[str, str] = TRAINING,
    command: str = "echo 1",
    evaluation: Mapping[str, str] = NONE,
) -> str:
    """A dvc.lock that names this model, what trained it, and what evaluated it."""

    def deps(files: Mapping[str, str]) -> list[dict[str, str]]:
        return [{"path": path, "md5": each} for path, each in files.items()]

    train = {"cmd": command, "deps": deps(training), "outs": [{"path": "models/model.keras", "md5": md5}]}
    evaluate = {"evaluate": {"cmd": "echo 2", "deps": deps({**evaluation, "models/model.keras": md5})}}
    return json.dumps({"schema": "2.0", "stages": {"train": train} | (evaluate if evaluation else {})})


def record(
    *misread: Collection[int] | float,
    split: str = "validation",
    test: Sequence[Collection[int] | float] | None = None,
    epochs: int = 5,
    train: Mapping[str, Any] = NONE,
    loss: float | Sequence[float] = 0.1,
    images: int = IMAGES,
    **changes: Any,
) -> dict[str, Any]:
    """What review.noise keeps of a recipe whose seeds, from 0, misread these images; `test` is of the test images.

    An accuracy instead of images stands for the first images that give it. `loss` is that of all seeds or of each.
    """
    splits: dict[str, Sequence[Collection[int] | float]] = {split: misread} | ({} if test is None else {"test": test})
    losses = [loss] * len(misread) if isinstance(loss, int | float) else loss
    seeds = [
        {
            "seed": seed,
            "model": model(seed),
            **{name: {"loss": losses[seed], "misread": numbers(each[seed], images)} for name, each in splits.items()},
        }
        for seed in range(len(misread))
    ]
    found = {
        "dataset": "mnist",
        "parameters": {"train.epochs": epochs, "train.filters": [32, 64]}
        | {f"train.{key}": value for key, value in train.items()},
        "environment": {},
        "training": TRAINING,
        "images": dict.fromkeys(splits, images),
        "looks": [len(seeds)],
        "seeds": seeds,
    }
    return found | changes


def numbers(misread: Collection[int] | float, images: int = IMAGES) -> list[int]:
    """The numbers of the misread images, ascending; of an accuracy the first ones."""
    if isinstance(misread, int | float):
        return list(range(round((1 - misread) * images)))
    return sorted(misread)


def noise(*records: Any) -> str:
    """evaluation/seed_noise.json of these recipes."""
    return json.dumps({"recipes": records})


OLD = {  # the form of before
    "dataset": "mnist",
    "parameters": {"train.epochs": 5, "train.filters": [32, 64]},
    "splits": {"validation": {"accuracy": {"mean": 0.75, "standard_deviation": 0.1, "by_seed": [0.7, 0.8]}}},
}

Change = Callable[[Repository], None]
write, measure, keep = (partial(methodcaller, method) for method in ("write", "measure", "keep"))  # each makes a Change
