"""The binary format of CIFAR-10.

A file is 10,000 records of 3073 bytes: the label, then 1024 red, 1024 green and 1024 blue values
of a 32 x 32 image in row order (CHW); here they become HWC.

Source: https://www.cs.toronto.edu/~kriz/cifar.html, "binary version".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitwright.data.streams import (
    damage_named,
    expect_end,
    open_bytes,
    read_exactly,
    way_out,
)
from bitwright.errors import DataError

RECORD_BYTES = 1 + 3 * 32 * 32
_PIECE = 500  # records turned at a time: 1.5 MB


def read_batch(
    path: Path,
    records: int,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    tick: Callable[[int], None] | None = None,
) -> None:
    """Read the first records of a batch file.

    Parameters
    ----------
    path
        The file; ``.gz`` and ``.xz`` are decoded.
    records
        How many records the file must hold.
    images
        uint8, shape (n, 32, 32, 3), n <= records: filled. If n = records, the file must end there.
    labels
        int64, shape (n,): filled.
    tick
        Called with the number of bytes after each piece read.

    Raises
    ------
    DataError
        If the file is damaged or too short or too long, or a label is not in 0..9.
    """
    count = len(images)
    piece = np.empty((min(_PIECE, count), RECORD_BYTES), dtype=np.uint8)
    with open_bytes(path, records * RECORD_BYTES) as stream:
        for first in range(0, count, _PIECE):
            part = piece[: min(_PIECE, count - first)]
            read_exactly(stream, part.data.cast("B"), path, tick)
            last = first + len(part)
            labels[first:last] = part[:, 0]
            images[first:last] = part[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        if count == records:
            expect_end(stream, path)
    if labels.max() > 9:
        wrong = int(np.argmax(labels > 9))
        raise DataError(
            f"{path} is no CIFAR-10 batch: record {wrong} has the label {labels[wrong]}",
            way_out(path),
        )


def check_meta(path: Path, classes: tuple[str, ...]) -> None:
    """Check that ``batches.meta.txt`` names the classes in the order that we use.

    Raises
    ------
    DataError
        If the file is unreadable or names others.
    """
    with damage_named(path), path.open("rb") as file:
        names = tuple(file.read(4096).decode().split())
    if names != classes:
        raise DataError(
            f"{path} names the classes {', '.join(names)[:200]}, not those of CIFAR-10",
            way_out(path),
        )
