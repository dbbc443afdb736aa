"""Small integers against small weights, the fan-in of a tile of a first (or last) layer.

Requirements:

- Activations are int16, or uint8 where the processor multiplies bytes (`simd.has_dot_products`),
  with their halo filled in; weights are +-1 or int8.
- One 32-bit word holds neighbouring taps of a row: two of 16 bits or four of 8. One or two
  instructions multiply them with the weights and add the products. A row is filled up with weights
  of zero, so a source may be read up to 3 bytes beyond its last row.
- Sums are int32: `bitwright.ir.verify` keeps every partial sum below 2**31.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils

from bitwright.native import binary, simd
from bitwright.native.simd import I32, LANES, V16, V32

WIDE = 2 * LANES
MASK = ir.IntType(WIDE)


def block_width() -> int:
    """Return the number of kernels in a block of weights: as in `binary`, 16 at the least."""
    return max(WIDE, binary.block_width())


def pack_weights(weights: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Lay out integer kernels (out, kh, kw, in) as (block, kh * words in a row, width, taps).

    `dtype` is int16 (two taps in a word) or int8 (four).
    """
    out, kh = weights.shape[:2]
    taps = 4 // np.dtype(dtype).itemsize
    rows = weights.reshape(out, kh, -1).astype(dtype)
    rows = np.pad(rows, ((0, 0), (0, 0), (0, -rows.shape[2] % taps)))
    words = rows.reshape(out, -1, taps)
    width = block_width()
    packed = simd.aligned((-(-out // width), words.shape[1], width, taps), dtype)
    for block, kernels in enumerate(packed):
        part = words[block * width : (block + 1) * width]
        kernels[:, : len(part)] = part.transpose(1, 0, 2)
    return packed


def add_quads(builder: ir.IRBuilder, total: ir.Value, taps: ir.Value, kernel: ir.Value) -> ir.Value:
    """Emit a sum plus the products of four unsigned with four signed bytes in each 32-bit lane."""
    kind = ir.FunctionType(V32, [V32, V32, V32])
    name = "llvm.x86.avx512.vpdpbusd.512"
    intrinsic = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(intrinsic, [total, taps, kernel])


def add_pairs(builder: ir.IRBuilder, total: ir.Value, taps: ir.Value, kernel: ir.Value) -> ir.Value:
    """Emit a sum plus the products of two with two 16-bit integers in each 32-bit lane."""
    a, b = (builder.bitcast(word, V16) for word in (taps, kernel))
    return builder.add(total, _multiply_pairs(builder, a, b))


def adder(products: Callable[[ir.IRBuilder, ir.Value, ir.Value, ir.Value], ir.Value]) -> Any:
    """Return what emits the sums of one word of a window with each vector of kernels."""

    def add(
        builder: ir.IRBuilder,
        sums: list[list[ir.Value]],
        kernels: list[list[ir.Value]],
        window: ir.Value,
        byte: ir.Value,
    ) -> list[list[ir.Value]]:
        (taps,) = simd.words(builder, builder.add(window, byte), 1)
        pairs = zip(sums, kernels, strict=True)
        return [[products(builder, total, taps, kernel)] for (total,), (kernel,) in pairs]

    return add


def total(builder: ir.IRBuilder, sums: list[ir.Value]) -> ir.Value:
    """Return the sum itself."""
    return sums[0]


def _multiply_pairs(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    if simd.level() == "avx512":
        return _call(builder, "llvm.x86.avx512.pmaddw.d.512", V32, a, b)
    if simd.level() == "avx2":
        half32 = ir.VectorType(I32, LANES)
        halves = [
            _call(
                builder,
                "llvm.x86.avx2.pmadd.wd",
                half32,
                *(_lanes(builder, v, range(first, first + WIDE)) for v in (a, b)),
            )
            for first in (0, WIDE)
        ]
        both = ir.Constant(ir.VectorType(I32, WIDE), list(range(WIDE)))
        return builder.shuffle_vector(*halves, both)
    products = []
    for first in (0, 1):
        parts = [_lanes(builder, v, range(first, 2 * WIDE, 2)) for v in (a, b)]
        products.append(builder.mul(*(builder.sext(part, V32) for part in parts)))
    return builder.add(*products)


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, a: ir.Value, b: ir.Value) -> ir.Value:
    kind = ir.FunctionType(result, [a.type, b.type])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b])


def _lanes(builder: ir.IRBuilder, vector: ir.Value, lanes: range) -> ir.Value:
    mask = ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def compare(builder: ir.IRBuilder, totals: list[ir.Value], bound: ir.Value, out: ir.Value) -> None:
    """Emit ``dot >= bound`` as packed bits; bounds are int32."""
    for v, total in enumerate(totals):
        limit = simd.load(builder, simd.offset(builder, bound, 64 * v), V32, 64)
        mask = builder.bitcast(builder.icmp_signed(">=", total, limit), MASK)
        simd.store(builder, mask, simd.offset(builder, out, 2 * v))
