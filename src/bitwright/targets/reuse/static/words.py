"""Kernels as 64-bit words, and how many bits they differ in.

Requirements:

- Bit i of a row is set where weight i is +1; bits behind the last weight are zero in all rows.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, types
from numba.extending import intrinsic

Words = npt.NDArray[np.uint64]


@intrinsic
def popcount(_context, word):
    """Count the ones of a 64-bit word."""

    def emit(_context, builder, _signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), emit


def pack(bits: npt.NDArray[np.bool_]) -> Words:
    """Return rows of bits, (rows, bits), as words, (rows, ceil(bits / 64))."""
    width = -(-bits.shape[1] // 64) * 8
    packed = np.packbits(bits, axis=1, bitorder="little")
    return np.pad(packed, ((0, 0), (0, width - packed.shape[1]))).view(np.uint64)


def unpack(words: Words, bits: int) -> npt.NDArray[np.bool_]:
    """Return the first so many bits of each row of words."""
    unpacked = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little", count=bits)
    return unpacked.view(np.bool_)


def differing(rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
    """Return in how many places each two rows of -1 and +1 differ, (rows, rows).

    Takes ``rows ** 2 * fan-in / 128`` operations on words.
    """
    words = pack(rows > 0)
    found = np.zeros((len(rows), len(rows)), np.int32)
    _differing(words, found)
    return found


@njit(cache=True, nogil=True)
def _differing(words, found):
    for i in range(words.shape[0]):
        for j in range(i):
            count = 0
            for w in range(words.shape[1]):
                count += popcount(words[i, w] ^ words[j, w])
            found[i, j] = count
            found[j, i] = count
