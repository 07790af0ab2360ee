"""Refuse parameters with which training would need more memory than there is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from classifier.data.data_set import DataSet
from classifier.model import architecture

# The memory limit of a container in version 2 and 1 of control groups; other systems have neither file.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

REMEDY = "lower train.batch_size, train.filters, train.dense_units or train.kernel_size"


def check(
    data_set: DataSet,
    filters: Sequence[int],
    kernel_size: int,
    dense_units: Sequence[int],
    images: int,
    available: int,
) -> None:
    """Refuse parameters with which a training step would need more than half of the memory.

    A step stores four float32 numbers for each weight (value, gradient, two moments of Adam), and for each image two
    for each output of a layer (value, gradient). Measured use, with buffers, is 1.3 to 2.6 times that.

    Args:
        images: number of images in a step. available: memory in bytes.

    Raises:
        ValueError: a step would need more.
    """
    weights, outputs = architecture.size(data_set, filters, kernel_size, dense_units)
    needed = 4 * (4 * weights + 2 * outputs * images)
    if needed > available // 2:
        size = f"about {needed / 2**30:,.1f} GiB" if needed < 2**60 else "over 1,000,000,000 GiB"
        raise ValueError(
            f"params.yaml: a training step needs {size}, more than half of the {available / 2**30:,.1f} GiB of "
            f"memory here; {REMEDY}"
        )


def available() -> int:
    """Return the bytes of memory that this process may use: those of the machine or, if less, of its container."""
    limits = [int(text) for path in LIMITS if path.exists() and (text := path.read_text().strip()).isdigit()]
    return min([psutil.virtual_memory().total, *limits])


@contextmanager
def refuse_if_it_runs_out() -> Iterator[None]:
    """Turn an error of NumPy or TensorFlow about memory into a ValueError that names the parameters to lower."""
    import tensorflow as tf

    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise ValueError(f"params.yaml: memory ran out; {REMEDY}") from error
