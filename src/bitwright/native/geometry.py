"""Where things lie: layouts of maps in memory, tables of windows, and what padding does to a sum.

A halo of packed bits holds zeros, which stand for -1. If the program pads with v instead, a padded
tap with weight w should have added ``v w`` and has added ``-w``. How often that happens depends
only on which taps of the window are padded, so windows fall into a few classes (9 for a 3x3 kernel
with padding 1), and each class has its own bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bitwright.ir.types import Bits, ValueType
from bitwright.native import simd

Kind = Literal["bits", "paired", "int", "narrow", "bytes"]
_DTYPES = {
    "bits": np.uint64,
    "paired": np.uint64,
    "int": np.int32,
    "narrow": np.int16,
    "bytes": np.uint8,
}
Halo = tuple[int, int, int, int]
NO_HALO: Halo = (0, 0, 0, 0)


@dataclass(frozen=True)
class Layout:
    """How one value lies in memory, for one image.

    ``bits``: 64-bit words of channels, with a halo of zeros; ``paired``: the same with the halves
    of each word paired (`bitwright.native.binary.pair_halves`). ``int``: int32 without a halo.
    ``narrow``: int16, ``bytes``: uint8 that count from the value's least integer; both with a halo
    of `fill`, one number or one a channel. Vectors are maps of one pixel.
    """

    kind: Kind
    shape: tuple[int, int, int]
    halo: Halo = NO_HALO
    fill: int | tuple[int, ...] = 0

    @property
    def dtype(self) -> Any:
        """The element type of the array."""
        return _DTYPES[self.kind]

    @property
    def steps(self) -> int:
        """Elements in one pixel."""
        return -(-self.shape[2] // 64) if self.dtype == np.uint64 else self.shape[2]

    @property
    def pixel_bytes(self) -> int:
        """Bytes from one pixel to the next."""
        return self.steps * int(np.dtype(self.dtype).itemsize)

    @property
    def columns(self) -> int:
        """Pixels from one row to the next, halo included."""
        return self.shape[1] + self.halo[2] + self.halo[3]

    @property
    def rows(self) -> int:
        """Rows of the map, halo included."""
        return self.shape[0] + self.halo[0] + self.halo[1]

    @property
    def image_bytes(self) -> int:
        """Bytes from one image to the next."""
        return self.rows * self.columns * self.pixel_bytes

    def allocate(self, images: int, slack: int) -> npt.NDArray[Any]:
        """Return an array (images, rows, columns, steps) with the halo filled in."""
        shape = (images, self.rows, self.columns, self.steps)
        array = simd.aligned(shape, self.dtype, slack)
        if self.fill:
            array[:] = self.fill
        return array

    def interior(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the array without its halo, as a view."""
        top, _, left, _ = self.halo
        return array[:, top : top + self.shape[0], left : left + self.shape[1]]


def map_shape(value: ValueType) -> tuple[int, int, int]:
    """Return the shape of a value as a map: vectors and scalars are maps of one pixel."""
    if len(value.shape) == 3:
        rows, columns, channels = value.shape
        return rows, columns, channels
    return 1, 1, value.size


def natural(value: ValueType, halo: Halo = NO_HALO) -> Layout:
    """Return the layout that a value of this type has by itself."""
    if isinstance(value, Bits):
        return Layout("bits", map_shape(value), halo)
    return Layout("int", map_shape(value))


@dataclass(frozen=True)
class Windows:
    """The windows of a convolution over one map."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Halo
    counts: tuple[int, int]

    @property
    def number(self) -> int:
        """How many windows the map has."""
        return self.counts[0] * self.counts[1]

    def table(
        self, source: Layout, ints: Layout, bits: Layout, row_bytes: int, group: int
    ) -> npt.NDArray[np.int64]:
        """Return int64 (4, group * windows): offsets of window, bounds, integers, bits, in bytes.

        Parameters
        ----------
        source
            Layout of the input, whose halo holds the padding at least.
        ints, bits
            Layouts of the output as integers and as bits.
        row_bytes
            Bytes from the bounds of one class to those of the next.
        group
            Images that the table covers.
        """
        y, x = np.mgrid[: self.counts[0], : self.counts[1]]
        row = y * self.stride[0] - self.padding[0] + source.halo[0]
        column = x * self.stride[1] - self.padding[2] + source.halo[2]
        place = (row * source.columns + column) * source.pixel_bytes
        outs = [
            ((y + target.halo[0]) * target.columns + x + target.halo[2]) * target.pixel_bytes
            for target in (ints, bits)
        ]
        table = np.stack([part.ravel() for part in (place, self.classes() * row_bytes, *outs)])
        image = np.array([source.image_bytes, 0, ints.image_bytes, bits.image_bytes])
        tiled = table[:, None, :] + image[:, None, None] * np.arange(group)[None, :, None]
        return np.ascontiguousarray(tiled.reshape(4, -1), np.int64)

    def classes(self) -> npt.NDArray[np.int64]:
        """Return the class of each window, (rows, columns); 0 has no padded tap."""
        masks = self._masks()
        return np.asarray(masks[1].reshape(self.counts))

    def padded_taps(self) -> npt.NDArray[np.bool_]:
        """Return for each class which taps are padded: (classes, kh, kw)."""
        return self._masks()[0]

    def _masks(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        inside = []
        for axis in (0, 1):
            start = np.arange(self.counts[axis]) * self.stride[axis] - self.padding[2 * axis]
            tap = start[:, None] + np.arange(self.kernel[axis])
            inside.append((tap >= 0) & (tap < self.size[axis]))
        padded = ~(inside[0][:, None, :, None] & inside[1][None, :, None, :])
        flat = padded.reshape(-1, self.kernel[0] * self.kernel[1])
        every = np.concatenate([np.zeros_like(flat[:1]), flat])
        masks, index = np.unique(every, axis=0, return_inverse=True)
        return masks.reshape(-1, *self.kernel), index.reshape(-1)[1:]
