"""The data sets of the pipeline: shape and SHA-256 of each array, and the mirrors."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Array:
    """What identifies a uint8 array: its shape, and the SHA-256 of its bytes in C order."""

    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class Mirror:
    """The URL or path of an npz archive or of a folder of IDX files.

    `sha256` is that of the archive file, if its publisher names one.
    """

    location: str
    sha256: str | None = None


@dataclass(frozen=True)
class DataSet:
    """Name, arrays by member name, and mirrors in the order to try; a data set without mirrors is embedded."""

    name: str
    arrays: Mapping[str, Array]
    mirrors: tuple[Mirror, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all arrays, and 64 KiB more for the headers in their files."""
        return sum(int(np.prod(array.shape)) for array in self.arrays.values()) + 2**16

    def check(self, arrays: Mapping[str, np.ndarray], source: str) -> None:
        """Raise ValueError, naming `source`, unless `arrays` are those of this data set."""
        for name, expected in self.arrays.items():
            if arrays[name].shape != expected.shape:
                raise ValueError(
                    f"{source}: {name} of {self.name} must have the shape {expected.shape}, found {arrays[name].shape}"
                )
            found = hashlib.sha256(np.ascontiguousarray(arrays[name]).data).hexdigest()
            if found != expected.sha256:
                raise ValueError(
                    f"{source}: {name} is not that of {self.name}: expected SHA-256 {expected.sha256}, found {found}"
                )


# The arrays in the archive that Keras publishes, and in the original IDX files by Yann LeCun, Corinna Cortes and
# Christopher J.C. Burges, have these digests.
MNIST = DataSet(
    "mnist",
    {
        "x_train": Array((60000, 28, 28), "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
        "y_train": Array((60000,), "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
        "x_test": Array((10000, 28, 28), "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
        "y_test": Array((10000,), "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
    },
    (
        # SHA-256 as in keras/src/datasets/mnist.py
        Mirror(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
            "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        ),
        Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
        Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
    ),
)

# 5,000 of the MNIST training digits; classifier/data/embedded.py says where they come from and how they are split.
MNIST_5K = DataSet(
    "mnist-5k",
    {
        "x_train": Array((4000, 28, 28), "214ab262d78d564d71f868ed5cf102cc06ec63c56e0fb11696a72a7b3e3d0a81"),
        "y_train": Array((4000,), "38718e25dbf29b9851a08be309b4e885eedc55f938a19d9e458ce5cdd16c07a3"),
        "x_test": Array((1000, 28, 28), "c472d02b59d863f010e0da4331d6b8378fd6d665b32bdad7dabd206c3343f52b"),
        "y_test": Array((1000,), "19cab774765c7ba7873e2eb3cee313c084bbb20b53116334dd0e24cd06e8d4e5"),
    },
)

DATA_SETS = {data_set.name: data_set for data_set in (MNIST, MNIST_5K)}
EMBEDDED = [data_set.name for data_set in DATA_SETS.values() if not data_set.mirrors]
