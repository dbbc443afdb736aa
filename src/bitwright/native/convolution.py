"""Dot products as kernels: which tile does them, and with which weights, bounds and tables.

- ``binary``: bits against bits, by XNOR-popcount.
- ``narrow``: values of at most 16 bits (pixels, or bits as -1 and +1; padding too) against -1, +1
  or int8. Groups become zero weights.
- ``wide``: anything else, in plain loops.

Where a threshold follows, falling channels (``d <= t``) are turned into rising ones by negating the
kernel: ``-d >= -t``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bitwright.ir.ops import Conv2d, Dense, Flatten, Threshold
from bitwright.ir.program import Program
from bitwright.ir.rules import window_shape
from bitwright.ir.types import Bits, Int, ValueType
from bitwright.native import binary, chain, elementwise, integer, simd, tiles
from bitwright.native.geometry import NO_HALO, Halo, Layout, Windows, map_shape, natural

Array = npt.NDArray[Any]
Kernel = Callable[[Sequence[Array], Sequence[Array]], None]
NARROW = 2**15 - 1
TABLE_WINDOWS = 1024
"""A table of windows covers as many images as this many windows make."""


@dataclass(frozen=True)
class Dot:
    """One convolution or dense layer, seen as a convolution of `source`."""

    op: Conv2d | Dense
    source: str
    value: ValueType
    bounds: ValueType
    weights: Array
    stride: tuple[int, int] = (1, 1)
    padding: Halo = NO_HALO
    pad_value: int = 0
    groups: int = 1
    lows: tuple[int, ...] = ()
    """The least integer of each channel, where bytes count from it; all alike if empty."""

    @property
    def method(self) -> Literal["binary", "narrow", "wide"]:
        """Which kernel does it."""
        if isinstance(self.value, Bits) and self.weights.dtype == np.bool_ and self.groups == 1:
            return "binary"
        largest = max(-self.value.lo, self.value.hi, abs(self.pad_value))
        return "narrow" if largest <= NARROW else "wide"

    @property
    def sums(self) -> int:
        """How many dot products an image takes: windows times neurons."""
        return self.windows.number * len(self.weights)

    @property
    def stored(self) -> Layout:
        """The layout in which a narrow dot product reads its source."""
        shape = map_shape(self.value)
        if not self.fits_bytes:
            return Layout("narrow", shape, self.padding, self.pad_value)
        if self.lows:
            return Layout(
                "bytes", shape, self.padding, tuple(self.pad_value - n for n in self.lows)
            )
        return Layout("bytes", shape, self.padding, self.pad_value - self.value.lo)

    @property
    def fits_bytes(self) -> bool:
        """Whether activations fit unsigned bytes, weights of either sign bytes, on this machine."""
        value = self.value
        wide = max(value.hi, self.pad_value) - value.lo > 255
        return (
            simd.has_dot_products()
            and isinstance(value, Int)
            and -255 <= value.lo <= min(self.pad_value, 0)
            and (bool(self.lows) or not wide)
            and int(self.numbers.min()) > -128
            and self.weights[0].size * self.groups < 2**15
        )

    @property
    def windows(self) -> Windows:
        """The windows over the source."""
        size = map_shape(self.value)
        kernel = (self.weights.shape[1], self.weights.shape[2])
        counts = window_shape(size, kernel, self.stride, self.padding)
        return Windows(size[:2], kernel, self.stride, self.padding, counts)

    @property
    def numbers(self) -> npt.NDArray[np.int32]:
        """The kernels as integers, (out, kh, kw, in / groups)."""
        if self.weights.dtype == np.bool_:
            return np.where(self.weights, 1, -1).astype(np.int32)
        return self.weights.astype(np.int32)


def dot_of(program: Program, op: Conv2d | Dense) -> Dot:
    """Return a layer as a convolution; a flattened map keeps its shape, the kernel covers it."""
    weights = program.tensor(op, "weights")
    source, bounds = op.input, program.types[op.output]
    if isinstance(op, Conv2d):
        value = program.types[source]
        return Dot(
            op, source, value, bounds, weights, op.stride, op.padding, op.pad_value, op.groups
        )
    flatten = program.definitions.get(source)
    if isinstance(flatten, Flatten):
        source = flatten.input
    value = program.types[source]
    return Dot(op, source, value, bounds, weights.reshape(len(weights), *map_shape(value)))


def window_view(dot: Dot, bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return what windows over maps of bits hold, as a view of the padded maps.

    Parameters
    ----------
    dot
        A dot product of bits; all groups' channels are in the windows.
    bits
        Its source, (images, *shape).

    Returns
    -------
    array
        (images, rows, columns, kh, kw, channels). A tap in padding of zeros holds -1.
    """
    maps = bits.reshape(len(bits), *map_shape(dot.value))
    top, bottom, left, right = dot.padding
    sides = ((0, 0), (top, bottom), (left, right), (0, 0))
    maps = np.pad(maps, sides, constant_values=dot.pad_value > 0)
    kernel = (dot.weights.shape[1], dot.weights.shape[2])
    windows = np.lib.stride_tricks.sliding_window_view(maps, kernel, axis=(1, 2))
    return windows[:, :: dot.stride[0], :: dot.stride[1]].transpose(0, 1, 2, 4, 5, 3)


def make_kernel(
    program: Program, dot: Dot, source: Layout, target: Layout, threshold: Threshold | None
) -> Kernel:
    """Return the kernel of a dot product, and of the threshold behind it if there is one.

    The kernel reads `source` (packed bits with a halo for ``binary``, int16 or bytes with a
    filled-in halo for ``narrow``, integers for ``wide``) and writes packed bits, or int32 without a
    threshold. The last output of a ``binary`` one is its own: the source with paired halves.
    """
    if dot.method == "wide":
        return _wide(dot)
    if threshold is None:
        plain = chain.make_pass(
            len(dot.weights), False, None, None, None, None, added=False, stored=True,
            width=block_width(dot),
        )  # fmt: skip
        return make_chained(dot, source, natural(dot.bounds), None, plain)
    falling = ~program.tensor(threshold, "rising")
    limits = program.tensor(threshold, "thresholds").astype(np.int64)
    clipped = np.clip(limits, dot.bounds.lo - falling, dot.bounds.hi + ~falling)
    sums = _sums(dot, source, falling)
    limits = np.where(falling, -clipped, clipped)
    # d >= t: with d = n - 2 m that is m <= (n - t) / 2.
    rows = (sums.base - limits) // 2 if sums.factor < 0 else limits - sums.base
    never = -1 if sums.factor < 0 else 2**31 - 1
    bounds = _blocks(rows, block_width(dot), never)
    return _kernel(dot, source, (natural(dot.bounds), target), sums, bounds, None)


def make_chained(
    dot: Dot, source: Layout, ints: Layout, bits: Layout | None, made: chain.Pass
) -> Kernel:
    """Return the kernel of a dot product and the pass behind it.

    The kernel reads `source` and, if the pass adds something, a map laid out as `ints`; it writes
    `ints` if the pass stores them, then `bits` if there are any, then the paired source if the dot
    product is ``binary``. The pass covers whole blocks of kernels (`block_width`).
    """
    sums = _sums(dot, source, np.zeros(len(dot.weights), np.bool_))
    on_sums, addends = made.on_sums(sums.factor, sums.base)
    # What passes 32 bits here comes back into them with the product.
    bounds = _blocks(addends.astype(np.int32), block_width(dot), 0)
    return _kernel(dot, source, (ints, bits), sums, bounds, on_sums)


def block_width(dot: Dot) -> int:
    """Return the number of kernels in a block of a dot product."""
    return binary.block_width() if dot.method == "binary" else integer.block_width()


@dataclass(frozen=True, eq=False)
class _Sums:
    """What tiles add up: ``dot = base + factor * sum``.

    Parameters
    ----------
    kinds
        What tiles do that compare the sums, and that pass them on.
    weights
        The packed kernels.
    words
        Words in a row of a window.
    base
        int64 (classes, kernels).
    factor
        -2 for mismatches, 1 for products.
    """

    kinds: tuple[int, int]
    weights: Array
    words: int
    base: npt.NDArray[np.int64]
    factor: int


def _sums(dot: Dot, source: Layout, falling: npt.NDArray[np.bool_]) -> _Sums:
    """Return the sums of a dot product, of negated kernels where `falling`."""
    columns = dot.windows.kernel[1]
    if dot.method == "binary":
        weights = dot.weights ^ falling[:, None, None, None]
        signed = np.where(weights, 1, -1).sum(axis=3)
        # The halo counted every padded tap as -1; the program says pad_value.
        padded = np.tensordot(dot.windows.padded_taps().astype(np.int64), signed, ([1, 2], [1, 2]))
        base = weights[0].size + (dot.pad_value + 1) * padded
        kinds = (tiles.BINARY_BITS, tiles.BINARY_CHAIN)
        words = columns * source.steps
        return _Sums(kinds, binary.pack_weights(weights), words, base, -2)
    numbers = _dense_groups(dot) * np.where(falling, -1, 1)[:, None, None, None]
    # Bytes count from the least value, lo: the sum of w x is that of w (x - lo) plus lo times w.
    in_bytes = source.kind == "bytes"
    lows = np.array(dot.lows or [dot.value.lo], np.int64) if in_bytes else np.zeros(1, np.int64)
    missing = (numbers.sum(axis=(1, 2)) * lows).sum(axis=1)
    kinds = (tiles.QUAD_BITS, tiles.QUAD_CHAIN) if in_bytes else (tiles.PAIR_BITS, tiles.PAIR_CHAIN)
    packed = integer.pack_weights(numbers, np.int8 if in_bytes else np.int16)
    words = -(-columns * source.pixel_bytes // 4)
    return _Sums(kinds, packed, words, missing[None], 1)


def _dense_groups(dot: Dot) -> npt.NDArray[np.int32]:
    if dot.groups == 1:
        return dot.numbers
    out, kh, kw, fan = dot.weights.shape
    weights = np.zeros((out, kh, kw, fan * dot.groups), np.int32)
    for group in range(dot.groups):
        kernels = slice(group * out // dot.groups, (group + 1) * out // dot.groups)
        weights[kernels, :, :, group * fan : (group + 1) * fan] = dot.numbers[kernels]
    return weights


def _blocks(rows: Array, width: int, never: int) -> Array:
    """Bounds (classes, kernels) filled up to whole blocks with a bound that gives no 1."""
    filled = simd.aligned((len(rows), -(-rows.shape[1] // width) * width), np.int32)
    filled[:] = never
    filled[:, : rows.shape[1]] = rows
    return filled


def _kernel(
    dot: Dot,
    source: Layout,
    targets: tuple[Layout, Layout | None],
    sums: _Sums,
    bounds: Array,
    made: chain.Pass | None,
) -> Kernel:
    """Return the call of a tiled dot product; without a pass it compares with its bounds."""
    windows = dot.windows
    ints, bits = targets
    group = max(1, TABLE_WINDOWS // windows.number)
    class_bytes = bounds.strides[0] if len(bounds) > 1 else 0
    table = windows.table(source, ints, bits or ints, class_bytes, group)
    kind = sums.kinds[0] if made is None else sums.kinds[1]
    shape = (windows.kernel[0], sums.words, source.columns * source.pixel_bytes)
    job = tiles.Job(kind, sums.weights, bounds, table, group, shape, made)
    parts = 0 if made is None else made.parts
    stores, adds = bool(parts & chain.STORE), bool(parts & chain.ADD)
    pairs = dot.method == "binary"
    last = -2 if pairs else -1

    def kernel(inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        other = inputs[-1] if adds else _NO_INTS
        ints = outputs[0] if stores else other
        packed = _NO_BITS if bits is None else outputs[last]
        paired = outputs[-1] if pairs else _NO_BITS
        if not adds:
            other = ints
        tiles.convolve(job.numbers, inputs[0], paired, packed, ints, other)

    return kernel


# What stands for a map that is neither read nor written.
_NO_INTS, _NO_BITS = np.zeros((1, 1, 1, 1), np.int32), np.zeros((1, 1, 1, 1), np.uint64)


def _wide(dot: Dot) -> Kernel:
    weights = np.ascontiguousarray(dot.numbers)

    def kernel(inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        elementwise.convolve_wide(
            inputs[0], weights, dot.stride, dot.padding, dot.pad_value, dot.groups, outputs[0]
        )

    return kernel
