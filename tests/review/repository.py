"""A repository with the results of runs that never were, and changes to one."""

import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import partial
from operator import methodcaller
from types import MappingProxyType
from typing import Any

import yaml

from classifier.paths import NOISE
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
        metrics = {}
        for split, wrong in (("validation", validation), ("test", test)):
            if wrong is not None:
                labels = [(image, (image + shift) % 10) for image in range(images)]
                rows += [f"{split},{image},{actual},{(actual + (image in wrong)) % 10},0.9" for image, actual in labels]
                metrics[split] = {"accuracy": 1 - len(wrong) / images, "errors": len(wrong)}
        training = {"epochs": epochs, "filters": [32, 64], **({} if seed is None else {"seed": seed}), **train}
        self.put("evaluation/predictions.csv", "\n".join(rows) + "\n")
        self.put("metrics.json", json.dumps(metrics))
        self.put("models/provenance.json", json.dumps({"dataset": dataset, "images": {"train": 200}, **environment}))
        self.put("params.yaml", yaml.safe_dump({"train": training}))
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
        self.put_noise(*records)
        self.put("dvc.lock", lock(md5 or model(0), TRAINING if training is None else training))

    def put_noise(self, *records: Any) -> None:
        """Write a file of measured noise for each record, in place of those that there are."""
        shutil.rmtree(self.folder / NOISE, ignore_errors=True)
        for number, measured in enumerate(records):
            self.put(f"{NOISE}/{number}.json", json.dumps(measured))

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
        return [{"path": path, "md5": content} for path, content in files.items()]

    train = {"cmd": command, "deps": deps(training), "outs": deps({"models/model.keras": md5})}
    evaluate = {"evaluate": {"cmd": "echo 2", "deps": deps({**evaluation, "models/model.keras": md5})}}
    return json.dumps({"schema": "2.0", "stages": {"train": train} | (evaluate if evaluation else {})})


def record(
    *misread: Collection[int] | float,
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
    splits = {"validation": misread} | ({} if test is None else {"test": test})
    losses = [loss] * len(misread) if isinstance(loss, int | float) else loss
    seeds: list[dict[str, Any]] = [{"seed": seed, "model": model(seed)} for seed in range(len(misread))]
    for name, by_seed in splits.items():
        for run, loss_of_run, wrong in zip(seeds, losses, by_seed, strict=True):
            numbers = range(round((1 - wrong) * images)) if isinstance(wrong, int | float) else sorted(wrong)
            run[name] = {"loss": loss_of_run, "misread": list(numbers)}
    parameters = {"epochs": epochs, "filters": [32, 64], **train}
    measured = {
        "dataset": "mnist",
        "parameters": {f"train.{key}": value for key, value in parameters.items()},
        "environment": {},
        "training": TRAINING,
        "images": dict.fromkeys(splits, images),
        "looks": [len(seeds)],
        "seeds": seeds,
    }
    return measured | changes


Change = Callable[[Repository], None]
write, measure, keep = (partial(methodcaller, method) for method in ("write", "measure", "keep"))  # each makes a Change
