"""Columns of linear cells solved by marching, as emitted vector code.

With linear cells the voltage across cells, u, and the current that they have passed on, S, are
linear in what they are at the first row. The kernel marches from there down the rows that conduct:
along a joint wire of `gap` pitches, and past a row of conductance c,

    u += gap (source + bit) S,  S += c u.

Fed at the last row, the source line carries S as the bit line does: with u = 1 and S = 0 at first,
the column's current is ``volt S / (u + ends S)`` at last. Fed at the first row it carries the
current I less S: the same march in ``S - share I`` for S, share = source / (source + bit). The
current comes from two of them, u and S from (1, 0), and v and T from (0, 1):

    I = volt S / ((1 - share)^2 u + 2 share (1 - share) + share^2 T + drop S),

v being gone by ``u T - v S = 1``, which a march keeps. Only numbers above 0 are added, so errors do
not grow with the rows, but the numbers themselves do: as ``exp(rows sqrt((source + bit) c))``.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from bitwright.native import reals, simd
from bitwright.native.reals import BYTES, VD, Reals
from bitwright.native.simd import I64
from bitwright.targets.crossbar.solver.intrinsics import intrinsic_of

(BOTH, BY_U, ALONE, BY_T, BY_S, VOLT, NUMBERS) = range(7)
"""Scalars: (source + bit) of a pitch; what multiplies u, 1, T and S in the denominator; the voltage
between the ends."""


def march(vectors: int, *, far: bool):
    """Return an intrinsic that solves 8 * `vectors` columns.

    It takes the addresses of the rows' list (int64: offset of a row's conductances), of the
    conductances, of the gaps before each row, of the scalars and of the currents, and the number of
    rows. T is marched only if `far`.
    """

    def emit(builder: ir.IRBuilder, args: list[ir.Value]) -> None:
        offsets, conductances, gaps, scalars, currents, rows = args
        numbers = [reals.splat(builder, scalars, 8 * k) for k in range(NUMBERS)]
        zero, one = reals.constant(builder, 0.0), reals.constant(builder, 1.0)
        starts = (one, zero, zero, one) if far else (one, zero)
        slots = [
            [simd.variable(builder, VD, start.value) for start in starts] for _ in range(vectors)
        ]
        with cgutils.for_range(builder, rows) as loop:
            step = builder.mul(loop.index, ir.Constant(I64, 8))
            rise = numbers[BOTH] * reals.splat(builder, builder.add(gaps, step))
            offset = simd.load(builder, builder.add(offsets, step), I64)
            at = builder.add(conductances, offset)
            for k, slot in enumerate(slots):
                conductance = reals.load(builder, at, k * BYTES)
                for first in range(0, len(slot), 2):
                    u, s = (Reals(builder, builder.load(v, typ=VD)) for v in slot[first:][:2])
                    u = u + rise * s
                    builder.store(u.value, slot[first])
                    builder.store((s + conductance * u).value, slot[first + 1])
        for k, slot in enumerate(slots):
            u, s, *second = (Reals(builder, builder.load(v, typ=VD)) for v in slot)
            below = numbers[BY_U] * u + numbers[ALONE] + numbers[BY_S] * s
            if far:
                below = below + numbers[BY_T] * second[-1]
            reals.store(numbers[VOLT] * s * (1.0 / below), currents, k * BYTES)

    return intrinsic_of(emit, 6)
