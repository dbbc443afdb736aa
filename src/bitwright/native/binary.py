"""XNOR-popcount, the fan-in of a tile of packed bits.

Requirements:

- Padding bits (channels beyond the last, halo around a map) are 0 in activations and weights alike,
  because popcount counts them: 0 against 0 is no mismatch. What a halo should have counted is
  put right in the bounds, by class of window (`bitwright.native.geometry`).
- Weights are laid out (block, word of the fan-in, kernel of the block): one aligned vector holds
  the same word of eight kernels.

With n taps and m mismatches the signed dot product is ``d = n - 2 m``, so a rising threshold
``d >= t`` is ``m <= (n - t) / 2``: one compare, and its mask is the packed output.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from bitwright.native import simd
from bitwright.native.simd import I8, I32, LANES, V64

TILES: dict[simd.Level, tuple[int, int]] = {"avx512": (4, 4), "avx2": (2, 2), "portable": (1, 2)}
"""(windows, vectors of 8 kernels) of a tile: what fits the registers of each level."""


def block_width() -> int:
    """Return the number of kernels in a block of weights."""
    return TILES[simd.level()][1] * LANES


def pack_channels(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Pack the last axis into 64-bit words, the first channel in the lowest bit."""
    spare = -bits.shape[-1] % 64
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, spare)])
    return np.packbits(padded, axis=-1, bitorder="little").view("<u8")


def unpack_channels(words: npt.NDArray[np.uint64], channels: int) -> npt.NDArray[np.bool_]:
    """Undo `pack_channels`."""
    data = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(data, axis=-1, count=channels, bitorder="little").view(np.bool_)


def pack_weights(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Lay out kernels (out, kh, kw, in), True is +1, as (block, kh * kw * words of in, width).

    The kernels of the last block beyond the last one are zeros.
    """
    out = len(bits)
    words = pack_channels(bits).reshape(out, -1)
    width = block_width()
    packed = simd.aligned((-(-out // width), words.shape[1], width), np.uint64)
    for block, kernels in enumerate(packed):
        rows = words[block * width : (block + 1) * width]
        kernels[:, : len(rows)] = rows.T
    return packed


def add(builder: ir.IRBuilder, total: ir.Value, word: ir.Value, kernels: ir.Value) -> ir.Value:
    """Emit a count of mismatches plus those of one word with the same word of eight kernels."""
    return builder.add(total, simd.popcount(builder, builder.xor(kernels, word)))


def compare(builder: ir.IRBuilder, totals: list[ir.Value], bound: ir.Value, out: ir.Value) -> None:
    """Emit ``mismatches <= bound`` as packed bits; bounds are int64."""
    for v, total in enumerate(totals):
        limit = simd.load(builder, simd.offset(builder, bound, 64 * v), V64, 64)
        mask = builder.icmp_signed("<=", total, limit)
        simd.store(builder, builder.bitcast(mask, I8), simd.offset(builder, out, v))


def counts(builder: ir.IRBuilder, totals: list[ir.Value]) -> list[ir.Value]:
    """Emit the mismatches as int32, 16 to a vector."""
    small = [builder.trunc(total, ir.VectorType(I32, LANES)) for total in totals]
    both = ir.Constant(ir.VectorType(I32, 2 * LANES), list(range(2 * LANES)))
    return [builder.shuffle_vector(*small[v : v + 2], both) for v in range(0, len(small), 2)]
