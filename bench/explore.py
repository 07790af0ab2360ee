"""Train recipes many times on a GPU, with a copy of the training in PyTorch, and add to bench/explored.json.

    python -m bench.explore configurations.json

The file has a list of {"group": a key of GROUPS, "settings": what differs from its base, "runs": 10}. This needs the
arrays in data/processed, and PyTorch with CUDA, which no lock of the project has. All runs of a recipe train side by
side, and a step is a CUDA graph: the kernels of one run are too small to occupy a GPU.
"""

import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.explored import DEFAULT, GROUPS, SPLITS, Recipe, add, described, spread
from classifier.data import splits

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:
    torch = None

SHAPE = (28, 28, 1)
MEAN, SQUARE, EPSILON = 0.9, 0.999, 1e-7  # Adam's, as in Keras


def main(arguments: Sequence[str]) -> int:
    """Train each configuration and keep its accuracies; return 0, or 1 if something is missing or wrong."""
    try:
        if len(arguments) != 1:
            raise ValueError("expected one argument, a JSON file of configurations")
        if torch is None or not torch.cuda.is_available():
            raise ValueError("this needs PyTorch with CUDA, which no lock of the project has")
        configurations = json.loads(Path(arguments[0]).read_text())
        for each in configurations:
            if unknown := {*each["settings"]} - {*DEFAULT}:
                raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}; known: {', '.join(DEFAULT)}")
        torch.backends.cudnn.benchmark = True
        torch.set_default_device("cuda")
        data = {split: load(split) for split in ("train", *SPLITS)}
        for each in configurations:
            began = time.perf_counter()
            accuracies = train({**DEFAULT, **GROUPS[each["group"]], **each["settings"]}, each["runs"], data)
            add({**each, **accuracies, "seconds": round(time.perf_counter() - began, 1)})
            print(f"explore: {described(each['settings'])}: {spread(accuracies['validation'])}", flush=True)
    except (ValueError, OSError) as error:
        print(f"explore: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def load(split: str) -> tuple[Any, Any]:
    """Return the images, float32 (n, 1, 28, 28), and the labels, int64 (n,), of a split on the GPU."""
    images, labels = splits.load(split)
    if images.shape[1:] != SHAPE:
        raise ValueError(f"expected images of {SHAPE}, found {images.shape[1:]}")
    return torch.tensor(images[..., 0])[:, None], torch.tensor(labels.argmax(1))


def train(recipe: Recipe, runs: int, data: dict[str, tuple[Any, Any]]) -> dict[str, list[float]]:
    """Return the validation and test accuracies of this many runs; their number decides all random numbers."""
    torch.manual_seed(runs * 1000 + 7)
    trainings = [Training(recipe, *data["train"]) for _ in range(runs)]
    for _ in range(recipe["epochs"]):
        for each in trainings:
            with torch.cuda.stream(each.stream):
                each.begin_epoch()
        for _ in range(trainings[0].steps):
            for each in trainings:
                with torch.cuda.stream(each.stream):
                    each.graph.replay()
    accuracies = {}
    for split in SPLITS:
        shares = []
        for each in trainings:
            with torch.cuda.stream(each.stream):
                shares.append(each.accuracy(*data[split]))
        torch.cuda.synchronize()
        accuracies[split] = [round(share.item(), 4) for share in shares]  # exact: of 5,000 and 10,000 images
    return accuracies


class Training:
    """One run: a network, the state of Adam, an epoch of images, and a CUDA graph of a step, on its own stream."""

    def __init__(self, recipe: Recipe, images: Any, labels: Any) -> None:
        """Capture the graph, and draw the first weights."""
        self.recipe, self.all_images, self.all_labels = recipe, images, labels
        self.steps, side = math.ceil(len(images) / recipe["batch_size"]), recipe["crop"] or SHAPE[0]
        self.stream = torch.cuda.Stream()
        self.hidden, self.last = build(recipe, side)
        self.network = nn.ModuleList([self.hidden, self.last]).to(memory_format=torch.channels_last)
        self.weights = list(self.network.parameters())
        self.tested = self.weights + [each for each in self.network.buffers() if each.dtype == torch.float32]
        self.means, self.squares, self.averages = (
            [torch.zeros_like(each) for each in of] for of in (self.weights, self.weights, self.tested)
        )
        self.images = torch.zeros(self.steps * recipe["batch_size"], 1, side, side)
        self.labels = torch.zeros(len(self.images), dtype=torch.long)
        rates, factors = learning_rates(recipe, self.steps * recipe["epochs"])
        self.rates, self.factors = (torch.tensor(each, dtype=torch.float32) for each in (rates, factors))
        self.number, self.first = torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long)
        self.rows = torch.arange(recipe["batch_size"])
        with torch.cuda.stream(self.stream):
            self.draw_weights()
            for _ in range(3):  # what a capture requires
                self.step()
            self.stream.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.step()
            self.draw_weights()
            for each in (*self.means, *self.squares, self.number, self.first):
                each.zero_()

    def draw_weights(self) -> None:
        """Set the weights as Keras does: kernels by Glorot and Bengio, biases 0."""
        for layer in self.network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()

    def begin_epoch(self) -> None:
        """Put the images in a new order, augment them, and fill the last batch with the first images."""
        order = torch.randperm(len(self.all_images))
        order = torch.cat([order, order[: len(self.images) - len(order)]])
        self.images.copy_(augment(self.all_images[order], self.recipe))
        self.labels.copy_(self.all_labels[order])
        self.first.zero_()

    def step(self) -> None:
        """Train on the next batch, with Adam; all state changes in place, so that the graph can repeat it."""
        rows = self.rows + self.first
        self.network.train()
        logits, labels = self.logits(self.images.index_select(0, rows)), self.labels.index_select(0, rows)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.recipe["label_smoothing"])
        gradients = torch.autograd.grad(loss, self.weights)
        with torch.no_grad():
            torch._foreach_lerp_(self.means, gradients, 1 - MEAN)
            torch._foreach_mul_(self.squares, SQUARE)
            torch._foreach_addcmul_(self.squares, gradients, gradients, 1 - SQUARE)
            roots = torch._foreach_sqrt(self.squares)
            torch._foreach_add_(roots, EPSILON)
            changes = torch._foreach_div(self.means, roots)
            torch._foreach_mul_(changes, self.factors.index_select(0, self.number).view(()))
            if decay := self.recipe["weight_decay"]:
                for kernel in (each for each in self.weights if each.ndim > 1):
                    kernel.mul_(1 - self.rates.index_select(0, self.number).view(()) * decay)
            torch._foreach_sub_(self.weights, changes)
            if most := self.recipe["weight_averaging"]:
                share = 1 - torch.clamp((self.number + 1.0) / (self.number + 10.0), max=most)
                for average, each in zip(self.averages, self.tested, strict=True):
                    average.lerp_(each, share.view(()))
        self.number.add_(1)
        self.first.add_(len(self.rows))

    def logits(self, images: Any) -> Any:
        """Return float32 (n, 10), whatever the precision of the hidden layers."""
        mixed = self.recipe["precision"] == "mixed_bfloat16"
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed, cache_enabled=False):
            hidden = self.hidden(images.contiguous(memory_format=torch.channels_last))
        return functional.linear(hidden.float(), self.last.weight, self.last.bias)

    def accuracy(self, images: Any, labels: Any) -> Any:
        """Return the share of images, (n, 1, 28, 28), that are read right, as a tensor."""
        edge = (SHAPE[0] - (self.recipe["crop"] or SHAPE[0])) // 2
        inner = slice(edge, SHAPE[0] - edge)
        with torch.no_grad():
            if self.recipe["weight_averaging"]:
                for average, each in zip(self.averages, self.tested, strict=True):
                    each.copy_(average)
            self.network.eval()
            logits = torch.cat([self.logits(batch) for batch in images[..., inner, inner].split(5000)])
            return (logits.argmax(1) == labels).float().mean()


def build(recipe: Recipe, side: int) -> tuple[Any, Any]:
    """Return the hidden layers and the last, as in classifier/model/architecture.py, for images (n, 1, side, side)."""
    layers, inputs, normalized = [], 1, recipe["batch_normalization"]
    for filters in recipe["filters"]:
        layers += [nn.Conv2d(inputs, filters, recipe["kernel_size"], padding="same", bias=not normalized)]
        layers += [nn.MaxPool2d(2)]
        layers += [nn.BatchNorm2d(filters, eps=1e-3, momentum=0.1)] if normalized else []  # 1 - Keras's momentum
        layers += [nn.ReLU()]
        inputs, side = filters, side // 2
    layers += [nn.Flatten(), *([nn.Dropout(recipe["dropout"])] if recipe["dropout"] else [])]
    inputs *= side**2
    for units in recipe["dense_units"]:
        layers += [nn.Linear(inputs, units), nn.ReLU()]
        inputs = units
    return nn.Sequential(*layers), nn.Linear(inputs, 10)


def learning_rates(recipe: Recipe, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the learning rate of each step, and the same with Adam's corrections for its first steps."""
    number, rates = np.arange(steps), np.full(steps, recipe["learning_rate"])
    if recipe["schedule"] == "cosine":
        climb = int(recipe["warmup"] * steps)
        rates = recipe["learning_rate"] * 0.5 * (1 + np.cos(np.pi * (number - climb) / (steps - climb)))
        rates[:climb] = recipe["learning_rate"] * number[:climb] / max(climb, 1)
    return rates, rates * np.sqrt(1 - SQUARE ** (number + 1.0)) / (1 - MEAN ** (number + 1.0))


def augment(images: Any, recipe: Recipe) -> Any:
    """Shift, rotate and zoom images, (n, 1, 28, 28), as in classifier/data/augmentation.py, then crop them."""
    count, half = len(images), SHAPE[0] / 2

    def drawn(limit: float) -> Any:
        return (torch.rand(count) * 2 - 1) * limit

    if recipe["shift"] or recipe["rotation"] or recipe["zoom"]:
        angle = drawn(math.radians(recipe["rotation"]))
        across, down = 1 + drawn(recipe["zoom"]), 1 + drawn(recipe["zoom"])
        right, below = drawn(recipe["shift"]) / half, drawn(recipe["shift"]) / half
        x = torch.stack([angle.cos() * across, -angle.sin() * down, right], 1)
        y = torch.stack([angle.sin() * across, angle.cos() * down, below], 1)
        points = functional.affine_grid(torch.stack([x, y], 1), images.shape, align_corners=False)
        images = functional.grid_sample(images, points, align_corners=False)
    if side := recipe["crop"]:
        top, left = (torch.randint(SHAPE[0] - side + 1, (count, 1)) + torch.arange(side) for _ in range(2))
        images = images[:, 0][torch.arange(count)[:, None, None], top[:, :, None], left[:, None, :]][:, None]
    return images


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
