"""Train the network of params.yaml in PyTorch; bench.peers starts this in an environment that has PyTorch.

python -m bench.peers.in_torch RECIPE --precision bfloat16 --compile
"""

import argparse
import json
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from bench.peers.recipe import EPSILON, VALIDATION_BATCH, Recipe, Split, learning_rates, order, run, shifts, steps

Batch = tuple[torch.Tensor, torch.Tensor]

AHEAD = 4  # batches that the process of the loader prefetches


class Network(nn.Module):
    """The network of classifier/model/architecture.py, with Glorot's uniform weights; it returns logits."""

    def __init__(self, recipe: Recipe, size: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for count in recipe.filters:
            convolution = nn.Conv2d(channels, count, recipe.kernel_size, padding=recipe.kernel_size // 2)
            layers += [convolution, nn.MaxPool2d(2), nn.ReLU()]
            channels, size = count, size // 2
        layers.append(nn.Flatten())
        inputs = channels * size * size
        for units in recipe.dense_units:
            layers += [nn.Linear(inputs, units), nn.ReLU()]
            inputs = units
        self.hidden = nn.Sequential(*layers)
        self.last = nn.Linear(inputs, classes)
        for layer in (*layers, self.last):
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, images: torch.Tensor, mixed: bool) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            features = self.hidden(images)
        return self.last(features.float())  # float32 at any precision, as in ours


class Epoch(Dataset[Batch]):
    """The batches of an epoch: shifted images (n, 1, height, width), and classes."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, recipe: Recipe, epoch: int) -> None:
        self.images, self.labels = images, labels
        self.rows = [torch.from_numpy(rows) for rows in order(recipe, len(images), epoch)]
        self.shifts = torch.from_numpy(shifts(recipe, len(images), epoch))
        self.size = recipe.batch_size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Batch:
        rows = self.rows[number]
        moved = self.shifts[:, number * self.size : number * self.size + len(rows)]
        return shift(self.images[rows], moved), self.labels[rows]


def shift(images: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Shift each image with bilinear interpolation; pixels from outside the image are 0.

    Along one axis, output pixel i is the sum over input pixels j of max(0, 1 - |i + shift - j|) times pixel j.
    """
    pixel = torch.arange(images.shape[-1], dtype=torch.float32)
    weights = (1 - (pixel[:, None] + moved[:, :, None, None, None] - pixel).abs()).clamp(min=0)
    down, right = weights  # (n, 1, size, size) each
    return down @ images @ right.mT


def main() -> None:
    """Train, save and test."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers.in_torch")
    parser.add_argument("recipe", help="parameters as JSON")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare the batches; 0: this process")
    options = parser.parse_args()
    recipe, mixed = Recipe(**json.loads(options.recipe)), options.precision == "bfloat16"
    torch.manual_seed(recipe.seed)
    network = Network(recipe, size=28, classes=10).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters(), eps=EPSILON, fused=True)

    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> Batch:
        logits = network(images, mixed)
        loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        return loss, (logits.argmax(1) == labels).sum()

    compiled = torch.compile(loss_of) if options.compile else loss_of

    def fit(train: Split, validation: Split) -> Iterator[dict[str, float]]:
        images, labels = as_tensors(train)
        rates = learning_rates(recipe, steps(recipe, len(images)))
        for epoch in range(recipe.epochs):
            batches = Epoch(images, labels, recipe, epoch)
            # batch_size=None: an item of the data set is a whole batch.
            ahead = AHEAD if options.workers else None
            loader = DataLoader(batches, batch_size=None, num_workers=options.workers, prefetch_factor=ahead)
            total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
            network.train()
            for inputs, wanted in loader:
                adam.param_groups[0]["lr"] = next(rates)
                loss, correct = compiled(inputs.contiguous(memory_format=torch.channels_last), wanted)
                adam.zero_grad()
                loss.backward()
                adam.step()
                total += loss.detach() * len(wanted)
                right += correct
            metrics = {"loss": float(total) / len(images), "accuracy": int(right) / len(images)}
            yield metrics | {f"validation_{key}": value for key, value in evaluate(validation).items()}

    @torch.no_grad()
    def evaluate(split: Split) -> dict[str, float]:
        network.eval()
        total, right = 0.0, 0
        for inputs, wanted in zip(*(each.split(VALIDATION_BATCH) for each in as_tensors(split)), strict=True):
            loss, correct = loss_of(inputs, wanted)
            total, right = total + float(loss) * len(wanted), right + int(correct)
        return {"loss": total / len(split.images), "accuracy": right / len(split.images)}

    run(options.precision, recipe, fit, evaluate, lambda path: torch.save(network.state_dict(), path))


def as_tensors(split: Split) -> Batch:
    """Return images (n, 1, height, width), and classes, without a copy."""
    return torch.from_numpy(np.moveaxis(split.images, 3, 1)), torch.from_numpy(split.labels)


if __name__ == "__main__":
    main()
