"""Write and read the training images of data/raw/mnist.npz in one storage, and print bytes and seconds as JSON.

    python -m bench.storage float32|uint8

float32 is what preprocess writes. With uint8, the pixels would be stored as they are and scaled when a batch is read.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from classifier.data import delivered
from classifier.data.formats import LABELLED, open_npz, write_npy_header
from classifier.paths import RAW
from stages.preprocess import scale_pixels

BATCH = 1000  # images read at once


def main() -> None:
    """Write, read in random order, and print."""
    stored = np.dtype(sys.argv[1])
    data_set = delivered.load().data_set
    with tempfile.TemporaryDirectory(dir=RAW.parent) as folder, open_npz(RAW, data_set.size, LABELLED) as raw:
        path = Path(folder) / "images.npy"
        began = time.perf_counter()
        with path.open("wb") as file:
            write_npy_header(file, raw["x_train"].shape, stored)
            for block in raw["x_train"].blocks():
                file.write((block if stored == np.uint8 else scale_pixels(block)).data)
        written = time.perf_counter()
        count = len(raw["x_train"])
        order, total = np.random.default_rng(0).permutation(count), 0.0
        for first in range(0, count, BATCH):
            images = np.load(path, mmap_mode="r")[order[first : first + BATCH]]  # mapped anew, as in batches.py
            total += float((scale_pixels(images) if stored == np.uint8 else images)[:, 14, 14].sum())
        taken = {"write_seconds": written - began, "read_seconds": time.perf_counter() - written}
        print(json.dumps({"bytes": path.stat().st_size, **taken, "total": total}))


if __name__ == "__main__":
    main()
