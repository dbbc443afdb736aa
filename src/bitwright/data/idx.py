"""The idx format of MNIST and Fashion-MNIST.

Big-endian: two zero bytes, a type byte (0x08: unsigned bytes), the number of dimensions, each
dimension as 32 bits, then the elements in C order.

Source: http://yann.lecun.com/exdb/mnist/, "the IDX file format".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitwright.data.streams import expect_end, open_bytes, read_exactly, way_out
from bitwright.errors import DataError


def read_idx(
    path: Path,
    shape: tuple[int, ...],
    out: NDArray[np.uint8],
    tick: Callable[[int], None] | None = None,
) -> None:
    """Read the first records of an idx file of unsigned bytes.

    Parameters
    ----------
    path
        The file; ``.gz`` and ``.xz`` are decoded.
    shape
        The shape that the file must have, records first.
    out
        uint8, C-contiguous, with room for a whole number of records: as many are read. If all
        are, the file must end there (and a checksum is verified).
    tick
        Called with the number of bytes after each piece read.

    Raises
    ------
    DataError
        If the file is damaged, or its magic number or shape is another one.
    """
    magic = 0x0800 | len(shape)
    header = bytearray(4 + 4 * len(shape))
    with open_bytes(path, len(header) + math.prod(shape)) as stream:
        read_exactly(stream, memoryview(header), path)
        found, *dims = struct.unpack(f">{1 + len(shape)}I", header)
        if found != magic:
            raise DataError(
                f"{path} is no idx file of unsigned bytes in {len(shape)} dimensions: it begins "
                f"with 0x{found:08x}, not 0x{magic:08x}",
                way_out(path),
            )
        if tuple(dims) != shape:
            raise DataError(f"{path} has the shape {tuple(dims)}, not {shape}", way_out(path))
        read_exactly(stream, out.data.cast("B"), path, tick)
        if out.size == math.prod(shape):
            expect_end(stream, path)
