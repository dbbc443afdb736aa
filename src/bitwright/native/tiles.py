"""Register tiles: many windows against many kernels, with all sums in registers.

Requirements:

- A tile is some windows by one block of kernels. Its sums stay in registers for the whole fan-in;
  the weights of a block stay in the L1 cache for all windows of a stretch of images, and those
  images' maps in the L2 cache for all blocks.
- Addresses come from tables of byte offsets made once (`bitwright.native.geometry`), so stride,
  padding, map borders and image borders cost nothing here.
- The last tile of a group of images is filled up with its last window: done twice, to no harm.
- Integer outputs are stored in whole vectors. What the last vector of a window writes beyond its
  channels is written again, rightly, because blocks run from the last to the first and windows
  from the first to the last; behind the last window the buffer needs `SLACK` bytes.

Each tile multiplies and adds (`bitwright.native.binary`, `bitwright.native.integer`), then either
compares with a bound and writes the mask as packed bits, or combines with a base and writes int32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bitwright.native import binary, integer, simd
from bitwright.native.simd import I64

SLACK = 256
CACHED_BYTES = 2**18
"""Maps that are read again for each block of kernels are kept to this size, in the L2 cache."""

BINARY_BITS, BINARY_INTEGERS, PAIR_BITS, PAIR_INTEGERS, QUAD_BITS, QUAD_INTEGERS = range(6)
"""What a tile does: XNOR-popcount, 16-bit or 8-bit products; to packed bits or to int32."""

Emit = Callable[[ir.IRBuilder, ir.Value, ir.Value, ir.Value], ir.Value]
Finish = Callable[[ir.IRBuilder, list[ir.Value], ir.Value, ir.Value], None]


@dataclass(frozen=True)
class Arithmetic:
    """What a tile does with one word of a window and the same word of a block of kernels.

    `word` is the scalar type that is loaded from a window, `total` the vector type of sums and of
    the kernels' words; a block has `vectors` of them. `add` emits the sum that goes on.
    """

    word: ir.Type
    total: ir.VectorType
    vectors: int
    add: Emit


def _sums(
    arithmetic: Arithmetic, builder: ir.IRBuilder, windows: list[ir.Value], shape: list[ir.Value]
) -> list[list[ir.Value]]:
    """Emit the loops over the fan-in; return the sums, [window][vector]."""
    weights, rows, steps, pitch = shape
    total, vectors = arithmetic.total, arithmetic.vectors
    nothing = ir.Constant(total, None)
    sums = [[simd.variable(builder, total, nothing) for _ in range(vectors)] for _ in windows]
    weight = simd.variable(builder, I64, weights)
    size = ir.Constant(I64, arithmetic.word.width // 8)
    with cgutils.for_range(builder, rows) as row:
        start = builder.mul(row.index, pitch)
        bases = [builder.add(window, start) for window in windows]
        with cgutils.for_range(builder, steps) as step:
            at = builder.load(weight, typ=I64)
            kernels = [
                simd.load(builder, simd.offset(builder, at, 64 * v), total, 64)
                for v in range(vectors)
            ]
            builder.store(simd.offset(builder, at, 64 * vectors), weight)
            byte = builder.mul(step.index, size)
            for base, totals in zip(bases, sums, strict=True):
                word = simd.load(builder, builder.add(base, byte), arithmetic.word)
                everywhere = simd.splat(builder, word, total)
                for kernel, slot in zip(kernels, totals, strict=True):
                    old = builder.load(slot, typ=total)
                    builder.store(arithmetic.add(builder, old, everywhere, kernel), slot)
    return [[builder.load(slot, typ=total) for slot in totals] for totals in sums]


def _tile(arithmetic: Arithmetic, finish: Finish) -> Any:
    """Return an intrinsic that does one tile; all its arguments are int64.

    `places`, `outs` and `kinds` are the addresses of the tile's entries in the tables of windows,
    outputs and bounds; `left` is the number of windows left in the group.
    """

    def tile(  # type: ignore[no-untyped-def]
        typingctx, places, outs, kinds, left, source, target, bounds, weights, rows, steps, pitch
    ):
        def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
            places, outs, kinds, left, source, target, bounds, *shape = args
            last = builder.sub(left, ir.Constant(I64, 1))
            entries = []
            for p in range(_PIXELS):
                index = ir.Constant(I64, p)
                nearest = builder.select(builder.icmp_signed("<", index, last), index, last)
                entries.append(builder.shl(nearest, ir.Constant(I64, 3)))

            def addresses(base: ir.Value, table: ir.Value) -> list[ir.Value]:
                offsets = [simd.load(builder, builder.add(table, e), I64, 8) for e in entries]
                return [builder.add(base, offset) for offset in offsets]

            sums = _sums(arithmetic, builder, addresses(source, places), shape)
            where = zip(sums, addresses(bounds, kinds), addresses(target, outs), strict=True)
            for totals, bound, out in where:
                finish(builder, totals, bound, out)
            return context.get_dummy_value()

        arguments = (
            places, outs, kinds, left, source, target, bounds, weights, rows, steps, pitch,
        )  # fmt: skip
        return types.void(*[types.int64 for _ in arguments]), emit

    return intrinsic(tile)


_PIXELS, _VECTORS = binary.TILES[simd.level()]
_WIDE_VECTORS = integer.block_width() // integer.WIDE
_xnor = Arithmetic(simd.I64, simd.V64, _VECTORS, binary.add)
_pairs = Arithmetic(simd.I32, simd.V32, _WIDE_VECTORS, integer.add_pairs)
# Without the instruction no plan asks for quads, and naming it would abort the compiler.
_add_quads = integer.add_quads if simd.has_dot_products() else integer.add_pairs
_quads = Arithmetic(simd.I32, simd.V32, _WIDE_VECTORS, _add_quads)
_binary_bits = _tile(_xnor, binary.compare)
_binary_integers = _tile(_xnor, binary.combine)
_pair_bits = _tile(_pairs, integer.compare)
_pair_integers = _tile(_pairs, integer.combine)
_quad_bits = _tile(_quads, integer.compare)
_quad_integers = _tile(_quads, integer.combine)


@njit(cache=True, nogil=True)
def convolve(kind, source, target, weights, bounds, table, images, group, shape):  # type: ignore[no-untyped-def]
    """Take every window of a batch of maps against every kernel.

    Parameters
    ----------
    kind
        What the tiles do: one of the six constants above.
    source, target
        Maps with the images in front, C-contiguous. A source is packed bits (uint64), int16 for
        pairs or uint8 for quads; a target is packed bits whose padding bits are zero, or int32.
    weights
        Blocks from `binary.pack_weights` or `integer.pack_weights`, (blocks, ..., width, ...).
    bounds
        One row a class of window: what each kernel is compared or combined with.
    table
        int64 (3, group * windows of an image): byte offsets of each window in the source, of its
        output in the target, and of its class in `bounds`.
    images, group
        Images to do; images that `table` covers.
    shape
        (rows of a window, steps in a row, bytes between rows).
    """
    rows, steps, pitch = shape
    per_image = table.shape[1] // group
    places, outs, kinds = table[0].ctypes.data, table[1].ctypes.data, table[2].ctypes.data
    source_bytes = source[0].size * source.itemsize
    target_bytes = target[0].size * target.itemsize
    blocks = weights.shape[0]
    weight_bytes = weights[0].size * weights.itemsize
    bound_bytes = bounds.shape[1] // blocks * bounds.itemsize
    width = bounds.shape[1] // blocks
    to_bits = kind in (BINARY_BITS, PAIR_BITS, QUAD_BITS)
    out_bytes = width // 8 if to_bits else width * 4
    stretch = max(group, CACHED_BYTES // (source_bytes + target_bytes) // group * group)
    for start in range(0, images, stretch):
        stop = min(start + stretch, images)
        for reverse in range(blocks):
            block = blocks - 1 - reverse
            w = weights.ctypes.data + block * weight_bytes
            b = bounds.ctypes.data + block * bound_bytes
            for first in range(start, stop, group):
                count = min(group, stop - first) * per_image
                s = source.ctypes.data + first * source_bytes
                t = target.ctypes.data + first * target_bytes + block * out_bytes
                for i in range(0, count, _PIXELS):
                    p, o, k, left = places + 8 * i, outs + 8 * i, kinds + 8 * i, count - i
                    if kind == BINARY_BITS:
                        _binary_bits(p, o, k, left, s, t, b, w, rows, steps, pitch)
                    elif kind == BINARY_INTEGERS:
                        _binary_integers(p, o, k, left, s, t, b, w, rows, steps, pitch)
                    elif kind == PAIR_BITS:
                        _pair_bits(p, o, k, left, s, t, b, w, rows, steps, pitch)
                    elif kind == PAIR_INTEGERS:
                        _pair_integers(p, o, k, left, s, t, b, w, rows, steps, pitch)
                    elif kind == QUAD_BITS:
                        _quad_bits(p, o, k, left, s, t, b, w, rows, steps, pitch)
                    else:
                        _quad_integers(p, o, k, left, s, t, b, w, rows, steps, pitch)
