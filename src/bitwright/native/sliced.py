"""Maps bit-sliced over images, and layers that run compiled circuits on them.

Requirements:

- A sliced map is uint64 (rows, columns, channels, 8), aligned: vector (r, c, k) holds channel k of
  pixel (r, c) of 512 images. A halo holds the padding, 0 for -1 and 1 for +1.
- A layer runs one circuit for all its neurons. Circuit input i is product i of a window, in (row,
  column, channel) order: a match where the activation equals the weight's sign.
- What a circuit shares between neurons is prepared once a window
  (`bitwright.circuits.jit`); neurons follow one after the other.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from bitwright.circuits.jit import SAMPLES, VECTOR_BYTES, Compiled
from bitwright.native import simd
from bitwright.native.geometry import NO_HALO, Halo, Windows
from bitwright.native.simd import I64, LANES

Array = npt.NDArray[Any]

SIDE_BY_SIDE = 16
"""Neurons of which values are written together: a cache line of int32."""


def _call(arguments: int) -> Any:
    """Return an intrinsic that calls code at an address with so many int64."""

    def call(typingctx, address, values):
        def emit(context, builder, signature, args):
            kind = ir.FunctionType(ir.VoidType(), [I64] * arguments)
            code = builder.inttoptr(args[0], kind.as_pointer())
            builder.call(code, [builder.extract_value(args[1], k) for k in range(arguments)])
            return context.get_dummy_value()

        return types.void(address, values), emit

    return intrinsic(call)


_call_two, _call_four = _call(2), _call(4)


@dataclass(frozen=True)
class SlicedShape:
    """The shape of a sliced map: (rows, columns, channels), its halo and what that holds."""

    shape: tuple[int, int, int]
    halo: Halo = NO_HALO
    ones: bool = False

    @property
    def columns(self) -> int:
        """Pixels from one row to the next."""
        return self.shape[1] + self.halo[2] + self.halo[3]

    def allocate(self) -> Array:
        """Return a map with its halo filled in."""
        rows = self.shape[0] + self.halo[0] + self.halo[1]
        array = simd.aligned((rows, self.columns, self.shape[2], LANES), np.uint64)
        if self.ones:
            array[:] = ~np.uint64(0)
        return array

    def interior(self, array: Array) -> Array:
        """Return a map without its halo, as a view."""
        top, _, left, _ = self.halo
        return array[top : top + self.shape[0], left : left + self.shape[1]]


def slice_words(packed: Array, out: Array) -> None:
    """Slice packed bits (images, rows, columns, words), at most 512 images, into a map's interior.

    Images beyond the last are zeros.
    """
    _slice(packed, out)


def unslice_words(array: Array, images: int) -> Array:
    """Return packed bits (images, rows, columns, words) of a map's interior."""
    rows, columns, channels = array.shape[:3]
    packed = np.zeros((images, rows, columns, -(-channels // 64)), np.uint64)
    _unslice(array, packed)
    return packed


@njit(cache=True, nogil=True, inline="always")
def _transpose(block):
    """Transpose 64x64 bits in place: bit j of word i becomes bit i of word j."""
    width = 32
    mask = np.uint64(0x00000000FFFFFFFF)
    while width:
        k = 0
        while k < 64:
            other = k + width
            swap = ((block[k] >> np.uint64(width)) ^ block[other]) & mask
            block[k] ^= swap << np.uint64(width)
            block[other] ^= swap
            k = (k + width + 1) & ~width
        width >>= 1
        mask ^= mask << np.uint64(width)


@njit(cache=True, nogil=True)
def _slice(packed, out):
    block = np.empty(64, np.uint64)
    images, channels = packed.shape[0], out.shape[2]
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            for word in range(packed.shape[3]):
                for lane in range(8):
                    for i in range(64):
                        image = lane * 64 + i
                        block[i] = packed[image, r, c, word] if image < images else np.uint64(0)
                    _transpose(block)
                    for k in range(min(64, channels - word * 64)):
                        out[r, c, word * 64 + k, lane] = block[k]


@njit(cache=True, nogil=True)
def _unslice(array, packed):
    block = np.empty(64, np.uint64)
    images, channels = packed.shape[0], array.shape[2]
    for r in range(array.shape[0]):
        for c in range(array.shape[1]):
            for word in range(packed.shape[3]):
                for lane in range((images + 63) // 64):
                    for k in range(64):
                        inside = word * 64 + k < channels
                        block[k] = array[r, c, word * 64 + k, lane] if inside else np.uint64(0)
                    _transpose(block)
                    for i in range(min(64, images - lane * 64)):
                        packed[lane * 64 + i, r, c, word] = block[i]


@njit(cache=True, nogil=True)
def pool(array, kernel, stride, padding, inverted, out):
    """OR of each window of a map's interior; AND for the channels where `inverted` is all ones."""
    for r in range(out.shape[0]):
        top = r * stride[0] - padding[0]
        for c in range(out.shape[1]):
            left = c * stride[1] - padding[2]
            for k in range(out.shape[2]):
                flip = inverted[k]
                for lane in range(8):
                    bits = np.uint64(0)
                    for i in range(max(top, 0), min(top + kernel[0], array.shape[0])):
                        for j in range(max(left, 0), min(left + kernel[1], array.shape[1])):
                            bits |= array[i, j, k, lane] ^ flip
                    out[r, c, k, lane] = bits ^ flip


@dataclass(frozen=True, eq=False)
class SlicedLayer:
    """A binary convolution whose popcounts are circuits.

    Parameters
    ----------
    code
        The circuit, of as many inputs as a window has products.
    weights
        True is +1, (neurons, kernel rows, kernel columns, channels).
    windows
        The windows over the source.
    source
        How the source lies; its halo holds the windows' padding.
    """

    code: Compiled
    weights: npt.NDArray[np.bool_]
    windows: Windows
    source: SlicedShape

    @cached_property
    def picks(self) -> npt.NDArray[np.int32]:
        """Which variants each neuron takes."""
        return self.code.picks(~self.weights.reshape(len(self.weights), -1))

    @cached_property
    def offsets(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Bytes from a map's start to each window, and from a window to each of its products."""
        rows, columns = self.windows.counts
        top, _, left, _ = self.windows.padding
        channels = self.source.shape[2]
        y, x = np.mgrid[:rows, :columns]
        y = y * self.windows.stride[0] - top + self.source.halo[0]
        x = x * self.windows.stride[1] - left + self.source.halo[2]
        starts = (y * self.source.columns + x) * channels
        i, j, k = np.mgrid[: self.windows.kernel[0], : self.windows.kernel[1], :channels]
        taps = (i * self.source.columns + j) * channels + k
        return starts.ravel() * VECTOR_BYTES, taps.ravel() * VECTOR_BYTES

    @cached_property
    def classes(self) -> npt.NDArray[np.int64]:
        """The class of each window (`Windows.classes`), (windows,)."""
        return np.ascontiguousarray(self.windows.classes().ravel())

    def decide(self, source: Array, limits: npt.NDArray[np.int64], out: Array) -> None:
        """Write the neurons' bits into a map's interior.

        `limits` are from `Compiled.limits`, (1 or classes, neurons, planes + 1): the same for all
        windows, or by class.
        """
        table = simd.aligned((max(self.code.table_bytes, 1),), np.uint8)
        starts, taps = self.offsets
        places = np.empty(len(taps), np.int64)
        _decide(
            self.code.prepare, self.code.decide, source.ctypes.data, starts, taps, places, table,
            self.picks, limits, self.classes if len(limits) > 1 else self.classes * 0, out,
        )  # fmt: skip

    def counts(self, source: Array, images: int) -> npt.NDArray[np.int32]:
        """Return the circuit's values, (images, rows, columns, neurons)."""
        rows, columns = self.windows.counts
        values = self.counts_at(source, images, np.arange(self.windows.number))
        return values.reshape(images, rows, columns, -1)

    def counts_at(
        self,
        source: Array,
        images: int,
        windows: npt.NDArray[np.int64],
        neurons: slice = slice(None),
    ) -> npt.NDArray[np.int32]:
        """Return the circuit's values at some windows, (images, windows, neurons).

        Windows are numbered row by row; the values are of the first `images` images.
        """
        table = simd.aligned((max(self.code.table_bytes, 1),), np.uint8)
        starts, taps = self.offsets
        places = np.empty(len(taps), np.int64)
        picks = np.ascontiguousarray(self.picks[neurons])
        values = np.empty((images, len(windows), len(picks)), np.int32)
        planes = simd.aligned((max(self.code.planes, 1), LANES), np.uint64)
        planes[:] = 0
        _count(
            self.code.prepare, self.code.count, source.ctypes.data, starts[windows], taps, places,
            table, picks, planes, np.int32(self.code.least), values,
        )  # fmt: skip
        return values

    @cached_property
    def _signs(self) -> npt.NDArray[np.float32]:
        """The weights as -1 and +1, (neurons, products of a window)."""
        flat = self.weights.reshape(len(self.weights), -1)
        return np.where(flat, np.float32(1), np.float32(-1))

    def matches_at(
        self,
        source: Array,
        images: int,
        windows: npt.NDArray[np.int64],
        neurons: slice = slice(None),
    ) -> npt.NDArray[np.int64]:
        """Return the exact counts of matches at some windows, as `counts_at` does the values.

        Plain matrix products of what the map holds, for a few windows of a few images.
        """
        starts, taps = self.offsets
        places = (starts[windows][:, None] + taps) // VECTOR_BYTES
        words = source.reshape(-1, LANES)[places]
        bits = np.unpackbits(words.view(np.uint8), axis=2, count=images, bitorder="little")
        signs = self._signs[neurons]
        # Matches are ones under +1 and zeros under -1; float32 is exact up to 2**24.
        ones = bits.transpose(2, 0, 1).astype(np.float32) @ signs.T
        return np.asarray(ones + (signs < 0).sum(axis=1), np.int64)


@njit(cache=True, nogil=True)
def _decide(prepare, decide, source, starts, taps, places, table, picks, limits, classes, out):
    columns = out.shape[1]
    for p in range(starts.shape[0]):
        for i in range(taps.shape[0]):
            places[i] = source + starts[p] + taps[i]
        _call_two(prepare, (places.ctypes.data, table.ctypes.data))
        target = out.ctypes.data + p // columns * out.strides[0] + p % columns * out.strides[1]
        bounds = limits.ctypes.data + classes[p] * limits.strides[0]
        for o in range(picks.shape[0]):
            _call_four(
                decide,
                (
                    table.ctypes.data,
                    picks.ctypes.data + o * picks.strides[0],
                    bounds + o * limits.strides[1],
                    target + o * 64,
                ),
            )


@njit(cache=True, nogil=True)
def _count(prepare, count, source, starts, taps, places, table, picks, planes, least, values):
    # Some neurons' values are put side by side first, so that each image's are written in a row.
    images, neurons = values.shape[0], picks.shape[0]
    words = (images + 63) // 64
    block = np.empty((SIDE_BY_SIDE, words * 64), np.int32)
    for p in range(starts.shape[0]):
        for i in range(taps.shape[0]):
            places[i] = source + starts[p] + taps[i]
        _call_two(prepare, (places.ctypes.data, table.ctypes.data))
        for first in range(0, neurons, SIDE_BY_SIDE):
            width = min(SIDE_BY_SIDE, neurons - first)
            for o in range(width):
                row = picks.ctypes.data + (first + o) * picks.strides[0]
                _call_four(count, (table.ctypes.data, row, np.int64(0), planes.ctypes.data))
                _add_planes(planes, words, least, block[o])
            for image in range(images):
                for o in range(width):
                    values[image, p, first + o] = block[o, image]


@njit(cache=True, nogil=True)
def _add_planes(planes, words, least, out):
    """Write least plus the sum of the planes, each weighted by its power of two."""
    for word in range(words):
        part = out[64 * word : 64 * word + 64]
        for i in range(64):
            part[i] = least
        for k in range(planes.shape[0]):
            bits = planes[k, word]
            for i in range(64):
                part[i] += np.int32((bits >> np.uint64(i)) & np.uint64(1)) << k


assert SAMPLES == 64 * LANES  # noqa: S101 - one vector of the circuits is one of ours
