"""Train the MNIST example of PyTorch: its network, settings and way of feeding, on data/raw/mnist.npz.

    python -m bench.peers.torch_example SEED

Written anew after mnist/main.py of github.com/pytorch/examples (BSD-3-Clause). What differs: the images come from the
archive of this project instead of torchvision's files, so they are arrays and not PIL images; the options have their
defaults; there is a line an epoch instead of the losses.
"""

import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from bench.peers.recipe import report

EPOCHS, BATCH, TEST_BATCH = 14, 64, 1000
LEARNING_RATE, GAMMA = 1.0, 0.7  # of Adadelta; the factor of the learning rate after each epoch
MEAN, DEVIATION = 0.1307, 0.3081  # of the training images


class Network(nn.Module):
    """Two convolutions, pooling, and two dense layers with dropout: 1,199,882 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout(0.5)
        self.dense1, self.dense2 = nn.Linear(9216, 128), nn.Linear(128, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = functional.relu(self.conv2(functional.relu(self.conv1(images))))
        found = self.dropout1(functional.max_pool2d(found, 2)).flatten(1)
        found = self.dense2(self.dropout2(functional.relu(self.dense1(found))))
        return functional.log_softmax(found, dim=1)


class Images(Dataset[tuple[torch.Tensor, int]]):
    """One image at a time, scaled and normalized when it is asked for, as torchvision's transforms do."""

    def __init__(self, split: str) -> None:
        with np.load("data/raw/mnist.npz") as archive:
            self.images = archive[f"x_{split}"]
            self.labels = archive[f"y_{split}"].tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        scaled = torch.from_numpy(self.images[row]).unsqueeze(0).to(torch.float32).div(255)
        return scaled.sub_(MEAN).div_(DEVIATION), self.labels[row]


def main() -> None:
    """Train and test."""
    torch.manual_seed(int(sys.argv[1]))
    # Without a GPU the example does not shuffle, and has no processes that prepare batches.
    train, test = DataLoader(Images("train"), BATCH), DataLoader(Images("test"), TEST_BATCH)
    network = Network()
    adadelta = torch.optim.Adadelta(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.StepLR(adadelta, step_size=1, gamma=GAMMA)
    began = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        network.train()
        for images, labels in train:
            adadelta.zero_grad()
            functional.nll_loss(network(images), labels).backward()
            adadelta.step()
        accuracy = evaluate(network, test)
        schedule.step()
        print(f"train: epoch {epoch} of {EPOCHS}: test_accuracy {accuracy:.4f}", flush=True)
    report(time.perf_counter() - began, len(train), lambda: accuracy)


@torch.no_grad()
def evaluate(network: Network, test: DataLoader[Any]) -> float:
    """Return the accuracy on the test images."""
    network.eval()
    right = [network(images).argmax(1) == labels for images, labels in test]
    return float(torch.cat(right).float().mean())


if __name__ == "__main__":
    main()
