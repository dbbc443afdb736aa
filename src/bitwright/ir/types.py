"""Value types of the IR: bits that mean -1 and +1, and integers with exact bounds.

A type describes one image's value; the batch is an axis in front that no type mentions.
Shapes are ``(height, width, channels)`` for maps, ``(channels,)`` for vectors and ``()`` for
scalars, so the channel axis is always the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_INT = 2**31 - 2
"""Every integer value, and every partial sum on the way to it, lies in -MAX_INT..MAX_INT.

A threshold one beyond any value then still fits 32 bits.
"""


@dataclass(frozen=True)
class Bits:
    """A value of bits: 1 stands for +1, 0 for -1."""

    shape: tuple[int, ...]

    @property
    def lo(self) -> int:
        """The smaller of the two values, -1."""
        return -1

    @property
    def hi(self) -> int:
        """The larger of the two values, +1."""
        return 1

    @property
    def size(self) -> int:
        """The number of elements in one image's value."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return "bits " + "x".join(map(str, self.shape))


@dataclass(frozen=True)
class Int:
    """A value of integers, each of them in ``lo..hi`` (both ends included)."""

    shape: tuple[int, ...]
    lo: int
    hi: int

    @property
    def size(self) -> int:
        """The number of elements in one image's value."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"int {'x'.join(map(str, self.shape)) or 'scalar'} in {self.lo}..{self.hi}"


ValueType = Bits | Int
