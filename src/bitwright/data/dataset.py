"""`Dataset`: images and labels in memory, as every part of Bitwright takes them.

Requirements:

- Images are uint8, NHWC and C-contiguous: the native engine reads them without a copy.
- Every label names a class; the constructor checks it, so that no user of a `Dataset` has to.
- The digest speaks of pixels and labels only: the same images from another file are the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitwright.errors import ConfigError, DataError
from bitwright.records import DataInfo

SPLITS = ("train", "test", "all")
"""The names of the parts of a data set; ``all`` is everything that there is."""


def check_limit(limit: int | None) -> None:
    """Check a number of images.

    Raises
    ------
    ConfigError
        If it is neither None nor an integer of at least 1.
    """
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1:
        raise ConfigError(
            f"a limit of {limit!r} images is not possible",
            "give a whole number of at least 1, or none for the whole data set",
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images.

    Parameters
    ----------
    name
        The name under which it was asked for, or that of its file or folder.
    split
        ``train``, ``test`` or ``all``.
    images
        uint8, shape (N, H, W, C), C-contiguous, N >= 1.
    labels
        int64, shape (N,), each in [0, len(classes)).
    classes
        The name of each class, in the order of the labels.
    sources
        The files that it was read from.

    Raises
    ------
    DataError
        If the arrays break one of these rules.
    """

    name: str
    split: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    sources: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
            raise self._broken(
                f"has images of type {images.dtype} and shape {images.shape}",
                "images are uint8 of shape (N, H, W, C), with at least one pixel",
            )
        if not images.flags.c_contiguous:
            raise self._broken(
                "has images that are not C-contiguous", "pass them through numpy.ascontiguousarray"
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise self._broken(
                f"has {len(images)} images, but labels of type {labels.dtype} and shape "
                f"{labels.shape}",
                "labels are int64 of shape (N,), one an image",
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(self.classes):
            raise self._broken(
                f"has labels from {low} to {high}, but {len(self.classes)} classes",
                "labels count from 0; correct the labels or name all classes",
            )

    def _broken(self, cause: str, way_out: str) -> DataError:
        place = f" ({self.sources[0]})" if self.sources else ""
        return DataError(f"data set '{self.name}'{place} {cause}", way_out)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def digest(self) -> str:
        """The SHA-256 of a header with the shape, the pixels, and the labels (little-endian)."""
        shape = "x".join(str(length) for length in self.images.shape)
        sha = hashlib.sha256(f"bitwright-data 1 uint8 {shape}\n".encode())
        sha.update(self.images.data)
        sha.update(self.labels.astype("<i8", order="C", copy=False).data)
        return sha.hexdigest()

    def head(self, limit: int | None) -> Dataset:
        """Return the first `limit` images (a view), or all of them if there are no more.

        Raises
        ------
        ConfigError
            If `limit` is less than 1 or not an integer.
        """
        check_limit(limit)
        if limit is None or limit >= len(self):
            return self
        return replace(self, images=self.images[:limit], labels=self.labels[:limit])

    def info(self) -> DataInfo:
        """Return what a `Record` says about these images."""
        return DataInfo(name=self.name, split=self.split, count=len(self), digest=self.digest)
