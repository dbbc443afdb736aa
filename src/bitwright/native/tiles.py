"""Register tiles: many windows against many kernels, with all sums in registers.

Requirements:

- A tile is some windows by one block of kernels. Its sums stay in registers for the whole fan-in;
  the weights of a block stay in the L1 cache for all windows of a stretch of images, and those
  images' maps in the L2 cache for all blocks.
- Addresses come from tables of byte offsets made once (`bitwright.native.geometry`), so stride,
  padding, map borders and image borders cost nothing here.
- The last tile of a group of images is filled up with its last window: done twice, to no harm.
- Integers are loaded and stored in whole vectors. What the last vector of a window writes beyond
  its channels is written again, rightly, because blocks, and vectors within them, run from the last
  to the first and windows from the first to the last; behind the last window a buffer needs `SLACK`
  bytes.

Each tile multiplies and adds (`bitwright.native.binary`, `bitwright.native.integer`), then either
compares with a bound and writes the mask as packed bits, or takes the sums through a pass of
`bitwright.native.chain`, whose line makes integers of them, before they leave the registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bitwright.native import binary, chain, integer, simd
from bitwright.native.simd import I64, V32

SLACK = 256
CACHED_BYTES = 2**18
"""Maps that are read again for each block of kernels are kept to this size, in the L2 cache."""

BINARY_BITS, BINARY_CHAIN, PAIR_BITS, PAIR_CHAIN, QUAD_BITS, QUAD_CHAIN = range(6)
"""What a tile does: XNOR-popcount, 16-bit or 8-bit products; then compare, or pass on integers."""

Values = list[ir.Value]
Add = Callable[[ir.IRBuilder, list[Values], list[Values], ir.Value, ir.Value], list[Values]]
Total = Callable[[ir.IRBuilder, Values], ir.Value]
Compare = Callable[[ir.IRBuilder, Values, ir.Value, ir.Value], None]


@dataclass(frozen=True)
class Arithmetic:
    """What a tile does with one word of a window and the same word of a block of kernels.

    A word has `parts` of 32 bits. A block has `vectors` of 16 kernels, with `parts` running sums
    each. `add` emits the sums that go on, [vector][part], from those so far, the words of the
    kernels, and where the window's word lies: an address and an offset. `total` emits what sums of
    a vector come to, `compare` the packed bits.
    """

    parts: int
    vectors: int
    add: Add
    total: Total
    compare: Compare


def _sums(
    arithmetic: Arithmetic, builder: ir.IRBuilder, windows: Values, shape: Values
) -> list[Values]:
    """Emit the loops over the fan-in; return the sums, [window][vector]."""
    weights, rows, steps, pitch = shape
    parts, vectors = range(arithmetic.parts), range(arithmetic.vectors)
    nothing = ir.Constant(V32, None)
    sums = [
        [[simd.variable(builder, V32, nothing) for _ in parts] for _ in vectors] for _ in windows
    ]
    weight = simd.variable(builder, I64, weights)
    size = ir.Constant(I64, 4 * arithmetic.parts)
    with cgutils.for_range(builder, rows) as row:
        start = builder.mul(row.index, pitch)
        bases = [builder.add(window, start) for window in windows]
        with cgutils.for_range(builder, steps) as step:
            at = builder.load(weight, typ=I64)
            places = [[64 * (len(vectors) * part + v) for part in parts] for v in vectors]
            kernels = [
                [simd.load(builder, simd.offset(builder, at, place), V32, 64) for place in row]
                for row in places
            ]
            builder.store(simd.offset(builder, at, 64 * len(parts) * len(vectors)), weight)
            byte = builder.mul(step.index, size)
            for base, window in zip(bases, sums, strict=True):
                old = [[builder.load(slot, typ=V32) for slot in slots] for slots in window]
                new = arithmetic.add(builder, old, kernels, base, byte)
                for values, slots in zip(new, window, strict=True):
                    for value, slot in zip(values, slots, strict=True):
                        builder.store(value, slot)
    return [
        [
            arithmetic.total(builder, [builder.load(slot, typ=V32) for slot in slots])
            for slots in window
        ]
        for window in sums
    ]


def _tile(arithmetic: Arithmetic, *, chained: bool) -> Any:
    """Return an intrinsic that does one tile, then compares or passes on; all are int64.

    Parameters
    ----------
    places, kinds, outs, bit_outs
        Addresses of the tile's entries in the tables of windows, bounds, integers and bits.
    left
        Number of windows left in the group.
    source, bounds, ints, bits, other
        Addresses that the tables' offsets count from; `other` is a map laid out as `ints`.
    weights, shape
        The block's address, and (rows of a window, steps in a row, bytes between rows).
    ends
        (parts, address of the block's constants, shift of the line, shift of the bend).
    """

    def tile(  # type: ignore[no-untyped-def]
        typingctx, tables, left, source, bounds, targets, weights, shape, ends
    ):
        def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
            tables, left, source, bounds, targets, weights, shape, ends = args
            places, kinds, outs, bit_outs = _unpack(builder, tables, 4)
            ints, bits, other = _unpack(builder, targets, 3)
            last = builder.sub(left, ir.Constant(I64, 1))
            entries = []
            for p in range(_PIXELS):
                index = ir.Constant(I64, p)
                nearest = builder.select(builder.icmp_signed("<", index, last), index, last)
                entries.append(builder.shl(nearest, ir.Constant(I64, 3)))

            def addresses(base: ir.Value, table: ir.Value) -> Values:
                offsets = [simd.load(builder, builder.add(table, e), I64, 8) for e in entries]
                return [builder.add(base, offset) for offset in offsets]

            fan_in = [weights, *_unpack(builder, shape, 3)]
            sums = _sums(arithmetic, builder, addresses(source, places), fan_in)
            limits = addresses(bounds, kinds)
            if chained:
                bases = [(other, outs), (ints, outs), (bits, bit_outs)]
                places = zip(*(addresses(*pair) for pair in bases), limits, strict=True)
                _pass_on(builder, sums, list(places), _unpack(builder, ends, 4))
            else:
                where = zip(sums, limits, addresses(bits, bit_outs), strict=True)
                for totals, bound, out in where:
                    arithmetic.compare(builder, totals, bound, out)
            return context.get_dummy_value()

        return types.void(tables, left, source, bounds, targets, weights, shape, ends), emit

    return intrinsic(tile)


def _unpack(builder: ir.IRBuilder, values: ir.Value, count: int) -> Values:
    return [builder.extract_value(values, k) for k in range(count)]


def _pass_on(
    builder: ir.IRBuilder,
    vectors: list[Values],
    places: list[tuple[ir.Value, ...]],
    ends: Values,
) -> None:
    """Emit a pass on a tile's sums, [window][vector]: the common passes without branches.

    `places` are addresses for each window: what is added, where to store integers and bits, and the
    line's addends.
    """
    parts, row, *shifts = ends
    sizes = (4 * chain.NARROW, 4 * chain.NARROW, chain.NARROW // 8, 4 * chain.NARROW)

    def emit(known: int | ir.Value) -> None:
        whole = chain.Parts(builder, known, shifts, wide=False)
        for v in reversed(range(len(vectors[0]))):
            constants = whole.load(simd.offset(builder, row, v * chain.ROW_BYTES))
            for found, window in zip(vectors, places, strict=True):
                other, ints, bits, addends = (
                    simd.offset(builder, place, v * size)
                    for place, size in zip(window, sizes, strict=True)
                )
                addend = simd.load(builder, addends, whole.number, 64)
                whole.emit(found[v], constants, other, ints, bits, addend)

    done = builder.append_basic_block("done")
    for common in _COMMON:
        here = builder.icmp_unsigned("==", parts, ir.Constant(I64, common))
        with builder.if_then(here):
            emit(common)
            builder.branch(done)
    emit(parts)
    builder.branch(done)
    builder.position_at_start(done)


_COMMON = (
    chain.LINE | chain.STORE,
    chain.LINE | chain.ADD | chain.BEND | chain.STORE | chain.COMPARE,
)


_ROW_BYTES = chain.ROW_BYTES
_PIXELS, _VECTORS = binary.TILES[simd.level()]
_WIDE_VECTORS = integer.block_width() // integer.WIDE
_xnor = Arithmetic(2, _VECTORS, binary.add, binary.total, binary.compare)
_pairs = Arithmetic(
    1, _WIDE_VECTORS, integer.adder(integer.add_pairs), integer.total, integer.compare
)
# Without the instruction no plan asks for quads, and naming it would abort the compiler.
_add_quads = integer.add_quads if simd.has_dot_products() else integer.add_pairs
_quads = Arithmetic(1, _WIDE_VECTORS, integer.adder(_add_quads), integer.total, integer.compare)
_binary_bits, _binary_chain = (_tile(_xnor, chained=chained) for chained in (False, True))
_pair_bits, _pair_chain = (_tile(_pairs, chained=chained) for chained in (False, True))
_quad_bits, _quad_chain = (_tile(_quads, chained=chained) for chained in (False, True))


@dataclass(frozen=True, eq=False)
class Job:
    """What `convolve` needs to know beside its maps, as numbers that cost nothing to hand over.

    Parameters
    ----------
    kind
        What the tiles do: one of the six constants above.
    weights
        Blocks from `binary.pack_weights` or `integer.pack_weights`, (blocks, ..., width, ...).
    bounds
        One row a class of window: what each kernel is compared with, or the addend of its line.
    table
        int64 (4, group * windows of an image): byte offsets of each window in the source, of its
        class in `bounds`, and of its output in the integers and in the bits.
    group
        Images that `table` covers.
    shape
        (rows of a window, steps in a row, bytes between rows).
    ends
        A pass in 32 bits that has a line; its constants have a row for every 16 kernels of a block.
        None for tiles that compare.
    """

    kind: int
    weights: npt.NDArray[Any]
    bounds: npt.NDArray[Any]
    table: npt.NDArray[np.int64]
    group: int
    shape: tuple[int, int, int]
    ends: chain.Pass | None

    @cached_property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The job as `convolve` takes it; addresses are good as long as the job lives."""
        blocks = len(self.weights)
        width = self.bounds.shape[1] // blocks
        addresses = [a.ctypes.data for a in (self.weights, self.bounds, *self.table)]
        sizes = [self.weights[0].nbytes, width * self.bounds.itemsize, blocks, width]
        windows = [self.table.shape[1] // self.group, self.group]
        ends = [0, 0, 0, 0]
        if self.ends is not None:
            ends = [self.ends.parts, self.ends.rows.ctypes.data, *self.ends.shifts]
        numbers = [self.kind, *addresses, *sizes, *windows, *self.shape, *ends]
        return np.array(numbers, np.int64)


@njit(cache=True, nogil=True)
def convolve(job, source, paired, bits, ints, other):  # type: ignore[no-untyped-def]
    """Take every window of a batch of maps against every kernel.

    Parameters
    ----------
    job
        The numbers of a `Job`.
    source
        Maps with the images in front, C-contiguous: packed bits (uint64), int16 for pairs or uint8
        for quads.
    paired
        Room for the words of `source` with their halves paired (`binary.pair_halves`), of its
        shape; anything if it is no packed bits.
    bits
        Packed bits whose padding bits are zero, C-contiguous; anything if no bits are wanted.
    ints, other
        int32 maps of one shape, C-contiguous: what to write and what to add. The same where one is
        not wanted, anything where neither is.
    """
    kind, weights, bounds = job[0], job[1], job[2]
    places, kinds, outs, bit_outs = job[3], job[4], job[5], job[6]
    weight_bytes, bound_bytes, blocks, width, per_image, group = job[7:13]
    shape = (job[13], job[14], job[15])
    parts, constants, first_shift, second_shift = job[16:20]
    images = source.shape[0]
    source_bytes = source[0].size * source.itemsize
    ints_bytes, bits_bytes = ints[0].size * 4, bits[0].size * bits.itemsize
    row_bytes = _ROW_BYTES * (width // 16)
    to_bits = kind in (BINARY_BITS, PAIR_BITS, QUAD_BITS)
    in_bits = kind in (BINARY_BITS, BINARY_CHAIN)
    read = paired.ctypes.data if in_bits else source.ctypes.data
    touched = source_bytes + (bits_bytes if to_bits else ints_bytes)
    stretch = max(group, CACHED_BYTES // touched // group * group)
    for start in range(0, images, stretch):
        stop = min(start + stretch, images)
        if in_bits:
            binary.pair_halves(source[start:stop], paired[start:stop])
        for reverse in range(blocks):
            block = blocks - 1 - reverse
            w = weights + block * weight_bytes
            b = bounds + block * bound_bytes
            e = (parts, constants + block * row_bytes, first_shift, second_shift)
            for first in range(start, stop, group):
                count = min(group, stop - first) * per_image
                s = read + first * source_bytes
                move = first * ints_bytes + block * width * 4
                t = (
                    ints.ctypes.data + move,
                    bits.ctypes.data + first * bits_bytes + block * (width // 8),
                    other.ctypes.data + move,
                )
                for i in range(0, count, _PIXELS):
                    p = (places + 8 * i, kinds + 8 * i, outs + 8 * i, bit_outs + 8 * i)
                    left = count - i
                    if kind == BINARY_BITS:
                        _binary_bits(p, left, s, b, t, w, shape, e)
                    elif kind == BINARY_CHAIN:
                        _binary_chain(p, left, s, b, t, w, shape, e)
                    elif kind == PAIR_BITS:
                        _pair_bits(p, left, s, b, t, w, shape, e)
                    elif kind == PAIR_CHAIN:
                        _pair_chain(p, left, s, b, t, w, shape, e)
                    elif kind == QUAD_BITS:
                        _quad_bits(p, left, s, b, t, w, shape, e)
                    else:
                        _quad_chain(p, left, s, b, t, w, shape, e)
