"""The data sets that are known by name: what they hold, what the files are called, whose they are.

Requirements:

- The number of images of each class is exact: MNIST and Fashion-MNIST have the same file names
  and shapes, and the counts tell them apart whatever the order of the images.
- Every download has its size and SHA-256.

Where the hashes come from: the authors publish MD5 sums (the README of Fashion-MNIST, the page of
CIFAR-10; for MNIST they are in torchvision). The SHA-256 sums here were computed from files with
those MD5 sums (Fashion-MNIST, MNIST's test set), or are the ones that several independent projects
give beside them (MNIST's training set; CIFAR-10, among them MLDatasets.jl).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Download:
    """A file at `address`, and which files it brings."""

    address: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """The last part of the address."""
        return self.address.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class KnownSet:
    """A data set that is known by name.

    Parameters
    ----------
    name, classes
        As in `Dataset`.
    layout
        ``idx``: two files a split, images and labels; ``cifar``: records in batches.
    shape
        (H, W, C) of an image.
    folders
        The sub-folders in which people keep the files; a download goes to the first.
    files
        For each split the files, without the suffix of a compression.
    suffixes
        The compressions that are read; the empty one is the plain file.
    counts
        For each split the number of images of each class.
    downloads
        For each split what to fetch.
    package
        The Debian package that holds the data set, or nothing.
    """

    name: str
    classes: tuple[str, ...]
    layout: Literal["idx", "cifar"]
    shape: tuple[int, int, int]
    folders: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]]
    suffixes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    downloads: Mapping[str, tuple[Download, ...]]
    package: str = ""


_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_CIFAR_ARCHIVE = (
    Download(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
)

FASHION_MNIST = KnownSet(
    name="fashion-mnist",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    layout="idx",
    shape=(28, 28, 1),
    folders=("fashion-mnist", "FashionMNIST/raw"),
    files=_IDX_FILES,
    suffixes=(".gz", ""),
    counts={"train": (6000,) * 10, "test": (1000,) * 10},
    downloads={
        "train": (
            Download(
                f"{_FASHION}/train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            Download(
                f"{_FASHION}/train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
        ),
        "test": (
            Download(
                f"{_FASHION}/t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            Download(
                f"{_FASHION}/t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    },
    package="dataset-fashion-mnist",
)

MNIST = KnownSet(
    name="mnist",
    classes=tuple("0123456789"),
    layout="idx",
    shape=(28, 28, 1),
    folders=("mnist", "MNIST/raw"),
    files=_IDX_FILES,
    suffixes=(".gz", ""),
    counts={
        "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    },
    downloads={
        "train": (
            Download(
                f"{_MNIST}/train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            Download(
                f"{_MNIST}/train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
        ),
        "test": (
            Download(
                f"{_MNIST}/t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            Download(
                f"{_MNIST}/t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    },
)

CIFAR10 = KnownSet(
    name="cifar10",
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    layout="cifar",
    shape=(32, 32, 3),
    folders=("cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"),
    files={
        "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test": ("test_batch.bin",),
    },
    suffixes=("", ".xz"),
    counts={"train": (5000,) * 10, "test": (1000,) * 10},
    downloads={"train": _CIFAR_ARCHIVE, "test": _CIFAR_ARCHIVE},
)

KNOWN = {known.name: known for known in (FASHION_MNIST, MNIST, CIFAR10)}
"""The data sets of this module, by name."""
