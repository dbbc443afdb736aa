"""Fixed-point lines, ``(x * multiplier[c, s] + addend[c, s]) >> shift``, eight channels at a time.

Requirements:

- Constants of eight channels stay in registers while all pixels go by; a channel's segment is
  chosen by one comparison and two selections for each breakpoint.
- Products are 32 x 32 -> 64 bits: `bitwright.ir.rules` keeps them within 62 bits.
- Rounding half up is an addend; rounding half to even is left to `bitwright.native.elementwise`, as
  are channels beyond the last whole eight and functions of more than `MAX_PIECES` pieces.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bitwright.native import simd
from bitwright.native.simd import I32, LANES, V64

MAX_PIECES = 4
HALF = ir.VectorType(I32, LANES)


def pack(
    breakpoints: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    addend: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint8]:
    """Lay out constants (channels, ...) by eight channels: one aligned row of bytes each.

    A row holds breakpoints, then multipliers (int32), then addends (int64), piece by piece.
    """
    pieces = multiplier.shape[1]
    blocks = len(multiplier) // LANES
    width = LANES * (4 * (2 * pieces - 1) + 8 * pieces)
    rows = simd.aligned((blocks, -(-width // simd.ALIGNMENT) * simd.ALIGNMENT), np.uint8)
    for block, row in enumerate(rows):
        channels = slice(block * LANES, (block + 1) * LANES)
        parts = (breakpoints[channels].T, multiplier[channels].T, addend[channels].T)
        data = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
        row[: len(data)] = np.frombuffer(data, np.uint8)
    return rows


def _column(pieces: int) -> Any:
    """Return an intrinsic for eight channels of all pixels; all its arguments are int64."""

    def column(typingctx, source, target, constants, pixels, pitch, shift):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
            source, target, constants, pixels, pitch, shift = args
            at = constants

            def take(kind: ir.VectorType, size: int, count: int) -> list[ir.Value]:
                nonlocal at
                found = []
                for _ in range(count):
                    found.append(simd.load(builder, at, kind, 4))
                    at = simd.offset(builder, at, size * LANES)
                return found

            breaks = take(HALF, 4, pieces - 1)
            multipliers = take(HALF, 4, pieces)
            addends = take(V64, 8, pieces)
            shifts = simd.splat(builder, shift, V64)
            with cgutils.for_range(builder, pixels) as pixel:
                step = builder.mul(pixel.index, pitch)
                x = simd.load(builder, builder.add(source, step), HALF, 4)
                multiplier, addend = multipliers[0], addends[0]
                for k in range(pieces - 1):
                    beyond = builder.icmp_signed(">=", x, breaks[k])
                    multiplier = builder.select(beyond, multipliers[k + 1], multiplier)
                    addend = builder.select(beyond, addends[k + 1], addend)
                product = builder.mul(builder.sext(x, V64), builder.sext(multiplier, V64))
                result = builder.ashr(builder.add(product, addend), shifts)
                simd.store(builder, builder.trunc(result, HALF), builder.add(target, step), 4)
            return context.get_dummy_value()

        arguments = (source, target, constants, pixels, pitch, shift)
        return types.void(*[types.int64 for _ in arguments]), emit

    return intrinsic(column)


_one, _two, _three, _four = (_column(pieces) for pieces in range(1, MAX_PIECES + 1))


@njit(cache=True, nogil=True)
def apply(x, constants, pieces, shift, out):  # type: ignore[no-untyped-def]
    """Apply lines of one to four pieces to int32 maps (pixels, channels), C-contiguous.

    Channels beyond the last whole eight are left alone.
    """
    pixels, pitch = x.shape[0], x.shape[1] * 4
    source, target = x.ctypes.data, out.ctypes.data
    for block in range(constants.shape[0]):
        row = constants[block].ctypes.data
        s, t = source + block * 32, target + block * 32
        if pieces == 1:
            _one(s, t, row, pixels, pitch, shift)
        elif pieces == 2:
            _two(s, t, row, pixels, pitch, shift)
        elif pieces == 3:
            _three(s, t, row, pixels, pitch, shift)
        else:
            _four(s, t, row, pixels, pitch, shift)
