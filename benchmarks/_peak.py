"""Ask what the most is that the vector units can do, with loops that touch registers only.

`binary_rate` runs xor, popcount and add on sixteen independent sums of eight 64-bit lanes: what an
XNOR-popcount kernel does, without its loads, compares and stores. Nothing can be hoisted out of the
loop, because each sum feeds its own xor.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bitwright.native import simd
from bitwright.native.simd import LANES, V64

SUMS = 16
CONSTANTS = 4
ROUNDS = 400_000


@intrinsic
def _spin(typingctx, rounds, seed):
    """Run `rounds` steps of sixteen xor-popcount-add chains; return something of their sums."""

    def emit(context, builder, signature, args):
        rounds, seed = args
        start = simd.splat(builder, seed, V64)
        # Few constants, so that these and all sums fit the registers.
        constants = [
            builder.add(start, ir.Constant(V64, [lane * SUMS + i for lane in range(LANES)]))
            for i in range(CONSTANTS)
        ] * (SUMS // CONSTANTS)
        sums = [
            simd.variable(builder, V64, builder.add(start, ir.Constant(V64, [i] * LANES)))
            for i in range(SUMS)
        ]
        with cgutils.for_range(builder, rounds):
            for total, constant in zip(sums, constants, strict=True):
                old = builder.load(total, typ=V64)
                count = simd.popcount(builder, builder.xor(old, constant))
                builder.store(builder.add(old, count), total)
        result = builder.load(sums[0], typ=V64)
        for total in sums[1:]:
            result = builder.xor(result, builder.load(total, typ=V64))
        return builder.extract_element(result, ir.Constant(simd.I32, 0))

    return types.int64(types.int64, types.int64), emit


@njit(cache=True, nogil=True)
def _run(rounds, seed):
    return _spin(rounds, seed)


def binary_rate(threads: int = 1, rounds: int = ROUNDS) -> float:
    """Return binary operations (one bit's xor, count and add) a second, all threads together."""

    def timed(seed: int) -> float:
        began = time.perf_counter()
        _run(rounds, seed)
        return time.perf_counter() - began

    _run(1, 1)
    with ThreadPoolExecutor(threads) as pool:
        seconds = list(pool.map(timed, range(threads)))
    return threads * rounds * SUMS * LANES * 64 / max(seconds)
