"""XNOR-popcount, the fan-in of a tile of packed bits.

Requirements:

- Padding bits (channels beyond the last, halo around a map) are 0 in activations and weights alike,
  because popcount counts them: 0 against 0 is no mismatch. What a halo should have counted is
  put right in the bounds, by class of window (`bitwright.native.geometry`).
- Lanes have 32 bits. Each 64-bit word is read as its lower half and the XOR of both halves
  (`pair_halves`), activations and weights alike.
- Weights are laid out (block, half word of the fan-in, kernel of the block): one aligned vector
  holds the same half word of 16 kernels.

Mismatches are counted carry-save. With x and y the mismatches of the two halves and s a running
parity, ``s + x + y = s' + 2 c``: the new parity is ``s' = s ^ x ^ y``, and x ^ y is the XOR of the
halves' XORs, so y is never needed: the carry is x where s = s', else s. For 64 taps that is one XOR
and two functions of three bits (an instruction each in AVX-512), one popcount and one addition:
five instructions in place of the six that count each half.

With n taps and m mismatches the signed dot product is ``d = n - 2 m``, so a rising threshold
``d >= t`` is ``m <= (n - t) / 2``: one compare, and its mask is the packed output.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit

from bitwright.native import simd
from bitwright.native.simd import LANES, V32

WIDE = 2 * LANES
MASK = ir.IntType(WIDE)
TILES: dict[simd.Level, tuple[int, int]] = {"avx512": (4, 2), "avx2": (2, 1), "portable": (1, 1)}
"""(windows, vectors of 16 kernels) of a tile: what fits the registers of each level."""


def block_width() -> int:
    """Return the number of kernels in a block of weights."""
    return TILES[simd.level()][1] * WIDE


def pack_channels(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Pack the last axis into 64-bit words, the first channel in the lowest bit."""
    spare = -bits.shape[-1] % 64
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, spare)])
    return np.packbits(padded, axis=-1, bitorder="little").view("<u8")


def unpack_channels(words: npt.NDArray[np.uint64], channels: int) -> npt.NDArray[np.bool_]:
    """Undo `pack_channels`."""
    data = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(data, axis=-1, count=channels, bitorder="little").view(np.bool_)


@njit(cache=True, nogil=True)
def pair_halves(words, out):  # type: ignore[no-untyped-def]
    """Leave the lower half of each word, and put the XOR of both in the upper one; C-contiguous."""
    source, target = words.reshape(-1), out.reshape(-1)
    for i in range(source.size):
        word = np.uint64(source[i])
        target[i] = word ^ (word << np.uint64(32))


def pack_weights(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    """Lay out kernels (out, kh, kw, in), True is +1, as (block, 2 kh * kw * words of in, width).

    The kernels of the last block beyond the last one are zeros.
    """
    out = len(bits)
    words = pack_channels(bits)
    pair_halves(words, words)
    words = words.reshape(out, -1).view("<u4")
    width = block_width()
    packed = simd.aligned((-(-out // width), words.shape[1], width), np.uint32)
    for block, kernels in enumerate(packed):
        rows = words[block * width : (block + 1) * width]
        kernels[:, : len(rows)] = rows.T
    return packed


def add(
    builder: ir.IRBuilder,
    sums: list[list[ir.Value]],
    kernels: list[list[ir.Value]],
    window: ir.Value,
    byte: ir.Value,
) -> list[list[ir.Value]]:
    """Emit the carries counted so far and the parity, with one word's mismatches added.

    `sums` and `kernels` (lower halves, XORs of both) are for each vector of kernels; the word lies
    at ``window + byte``.
    """
    if simd.level() == "avx512":
        return _add_in_order(builder, sums, kernels, window, byte)
    lower_half, both = simd.words(builder, builder.add(window, byte), 2)
    found = []
    for (carries, parity), (kernel_lower, kernel_both) in zip(sums, kernels, strict=True):
        lower, change = builder.xor(lower_half, kernel_lower), builder.xor(both, kernel_both)
        carry = builder.xor(lower, builder.and_(change, builder.xor(parity, lower)))
        counted = builder.add(carries, simd.popcount(builder, carry))
        found.append([counted, builder.xor(parity, change)])
    return found


_IN_ORDER = """
vmovdqa64   {parity0}, {old0}
vpternlogd  $$0x96, 4({word}){{1to16}}, {both0}, {parity0}
vmovdqa64   {parity1}, {old1}
vpxord      ({word}){{1to16}}, {lower0}, {carry0}
vpternlogd  $$0xB2, {old0}, {parity0}, {carry0}
vpternlogd  $$0x96, 4({word}){{1to16}}, {both1}, {parity1}
vpxord      ({word}){{1to16}}, {lower1}, {carry1}
vpternlogd  $$0xB2, {old1}, {parity1}, {carry1}
vpopcntd    {carry0}, {carry0}
vpopcntd    {carry1}, {carry1}
vpaddd      {carry1}, {carries1}, {carries1}
vpaddd      {carry0}, {carries0}, {carries0}
""".strip()
"""A word and two vectors of kernels: 0x96 is a ^ b ^ c, 0xB2 is c where a = b, else a.

Written out because the order decides: a processor spreads instructions over its ports as they come,
and only some ports count ones. Measured on Zen 4, this order takes 83 % of the time of counting
each half, most others (a compiler's too) 90 to 100 %.
"""
_TIED = ("carries0", "parity0", "carries1", "parity1")
_TEMPORARY = ("old0", "carry0", "old1", "carry1")
_READ = ("lower0", "both0", "lower1", "both1")


def _add_in_order(
    builder: ir.IRBuilder,
    sums: list[list[ir.Value]],
    kernels: list[list[ir.Value]],
    window: ir.Value,
    byte: ir.Value,
) -> list[list[ir.Value]]:
    written = (*_TIED, *_TEMPORARY)
    operands = (*written, *(f"{name} before" for name in _TIED), "window", "byte", *_READ)
    number = {name: f"${k}" for k, name in enumerate(operands)}
    text = _IN_ORDER.format(word=f"{number['window']},{number['byte']}", **number)
    ties = [str(k) for k in range(len(_TIED))]
    registers = ["=&v"] * len(written) + ties + ["r", "r"] + ["v"] * len(_READ)
    given = [*sums[0], *sums[1], window, byte, *kernels[0], *kernels[1]]
    result = ir.LiteralStructType([V32] * len(written))
    kind = ir.FunctionType(result, [value.type for value in given])
    made = builder.asm(kind, text, ",".join([*registers, "~{memory}"]), given, True)
    carries0, parity0, carries1, parity1 = (
        builder.extract_value(made, k) for k in range(len(_TIED))
    )
    return [[carries0, parity0], [carries1, parity1]]


def total(builder: ir.IRBuilder, sums: list[ir.Value]) -> ir.Value:
    """Emit the mismatches: two for each carry, and what the parity holds."""
    carries, parity = sums
    return builder.add(builder.add(carries, carries), simd.popcount(builder, parity))


def compare(builder: ir.IRBuilder, totals: list[ir.Value], bound: ir.Value, out: ir.Value) -> None:
    """Emit ``mismatches <= bound`` as packed bits; bounds are int32."""
    for v, count in enumerate(totals):
        limit = simd.load(builder, simd.offset(builder, bound, 64 * v), V32, 64)
        mask = builder.bitcast(builder.icmp_signed("<=", count, limit), MASK)
        simd.store(builder, mask, simd.offset(builder, out, 2 * v))
