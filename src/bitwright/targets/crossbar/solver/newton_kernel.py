"""Newton's method on eight columns at a time, or, in floats, on sixteen, as emitted vector code.

Requirements:

- The unknowns of a row are the drops p and b of its two rails (`...solver.ladder`) and the voltage
  x between the cell's two elements. A step replaces every cell by its tangent
  ``I = i0 - gp p - gb b`` and solves the linear ladder exactly.
- The linear ladder is eliminated row by row from row 0 on, as Norton equivalents: what lies above a
  row puts the currents ``c - Y (p, b)`` into it, Y being 2 by 2. Along wires R, Y becomes
  ``inverse(1 + Y R) Y``. Nothing is subtracted that nearly cancels, whatever the wires, and wires
  of zero are as good as others: this is block Gaussian elimination with rows scaled by R.
- The voltage x is eliminated inside its cell; it moves with the step by ``k0 - k1 dp + k2 db``.
- Rows that no cell conducts in are not there: the wires beside them are joined (`gaps`).
- Floats come near in half of the time; what they find is a start for doubles, never a result.

Memory: a row's `FIELDS` vectors, one after another; `WIRES` and the device's numbers as scalars.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import partial

from llvmlite import ir
from numba.core import cgutils

from bitwright.native import reals, simd
from bitwright.native.reals import BYTES, F64, VD, VF, Reals
from bitwright.native.simd import I64
from bitwright.targets.crossbar.solver.elements import reram1t1r, sram8t
from bitwright.targets.crossbar.solver.intrinsics import intrinsic_of

(P, B, X, GP, GB, I0, K0, K1, K2, Y11, Y12, Y21, Y22, C1, C2, FIELDS) = range(16)
"""A row's vectors."""

ROW_BYTES = FIELDS * BYTES

(READ, SOURCE, BIT, START, END_P, END_B, WIRES) = range(7)
"""The ladder's scalars: voltage, wires, and conductances at the ends: of the source line's before
row 0, and of both rails' behind the last row."""

(GP0, GB0, I00, X0, X_SCALES, K10, ONE_LESS_K20, TANGENT) = range(8)
"""The tangent at no drop, by which the first step goes: of a cell of weight 1."""

MEAN = (GP, GB, I0, K1, K2, P, B, X)
"""What a row's mean holds."""

LEAST_WEIGHT = 1e-30
"""Keeps the mean of columns without a cell finite."""

CELLS = {"sram8t": sram8t, "reram1t1r": reram1t1r}
"""The emitted cells."""


def linearise(cell: str, kind: ir.VectorType, *, tables: bool):
    """Return an intrinsic that puts tangents in place of the cells of some rows.

    It takes the addresses of the rows' memory, of the list of rows (int64 pairs: place in memory,
    offset of the weights), of the weights, of the cell's memory and of the ladder's scalars, and
    the number of rows.
    """

    def emit(builder: ir.IRBuilder, args: list[ir.Value]) -> None:
        work, pairs, weights, device, wires, rows = args
        elements = CELLS[cell](builder, device, kind, tables=tables)
        read = reals.splat(builder, wires, 8 * READ, kind=kind)
        with cgutils.for_range(builder, rows) as loop:
            at, weight = _row(kind, builder, loop.index, work, pairs, weights)
            p, b, x = (reals.load(builder, at, field * BYTES, kind=kind) for field in (P, B, X))
            upper, lower, factor = elements(read - p, x, b, weight)
            inverse = 1.0 / (upper.by_low + lower.by_high)
            k0 = (upper.current - lower.current) * inverse
            k1, k2 = upper.by_high * inverse, lower.by_low * inverse
            gp, gb = lower.by_high * k1, upper.by_low * k2
            i0 = lower.current + lower.by_high * k0 + gp * p + gb * b
            found = {GP: gp * factor, GB: gb * factor, I0: i0 * factor, K0: k0, K1: k1, K2: k2}
            for field, value in found.items():
                reals.store(value, at, field * BYTES)

    return intrinsic_of(emit, 6)


def _start(kind: ir.VectorType, builder: ir.IRBuilder, args: list[ir.Value]) -> None:
    """Set rows to no drop, and the tangents there: (work, pairs, weights, tangent, rows)."""
    work, pairs, weights, tangent, rows = args
    numbers = [reals.splat(builder, tangent, 8 * k, kind=kind) for k in range(TANGENT)]
    zero = reals.constant(builder, 0.0, kind)
    with cgutils.for_range(builder, rows) as loop:
        at, weight = _row(kind, builder, loop.index, work, pairs, weights)
        share = _share(weight, numbers[X_SCALES])
        found = {
            P: zero,
            B: zero,
            X: numbers[X0] * share,
            GP: numbers[GP0] * weight,
            GB: numbers[GB0] * weight,
            I0: numbers[I00] * weight,
            K0: zero,
            K1: numbers[K10] * share,
            K2: 1.0 - share * numbers[ONE_LESS_K20],
        }
        for field, value in found.items():
            reals.store(value, at, field * BYTES)


def _share(weight: Reals, scales: Reals) -> Reals:
    """Return what the middle's voltage is about proportional to: the weight, or 1 if not `scales`.

    Where weights multiply one element, the other takes the less of the voltage the less they are.
    """
    return (1.0 + scales * (weight - 1.0)).min(1.0)


def _average(kind: ir.VectorType, builder: ir.IRBuilder, args: list[ir.Value]) -> None:
    """Average rows over the eight columns: (work, pairs, weights, mean, tangent, rows).

    The mean is eight scalars a row, in the order of `MEAN`, for weight 1: of X what is above the
    bit line, of K2 what it lacks of 1.
    """
    work, pairs, weights, mean, tangent, rows = args
    scales = reals.splat(builder, tangent, 8 * X_SCALES, kind=kind)
    lanes = ir.Constant(F64, float(kind.count))
    with cgutils.for_range(builder, rows) as loop:
        at, weight = _row(kind, builder, loop.index, work, pairs, weights)
        row = {field: reals.load(builder, at, field * BYTES, kind=kind) for field in MEAN}
        row[X], row[K2] = row[X] - row[B], 1.0 - row[K2]
        weight, share = (reals.total(v) for v in (weight + LEAST_WEIGHT, _share(weight, scales)))
        to = builder.add(mean, builder.mul(loop.index, ir.Constant(I64, BYTES)))
        for k, (field, value) in enumerate(row.items()):
            total = {GP: weight, GB: weight, I0: weight, P: lanes, B: lanes}.get(field, share)
            simd.store(
                builder, builder.fdiv(reals.total(value), total), simd.offset(builder, to, 8 * k)
            )


def _restart(kind: ir.VectorType, builder: ir.IRBuilder, args: list[ir.Value]) -> None:
    """Set rows to the mean of other columns: (work, pairs, weights, mean, tangent, rows)."""
    work, pairs, weights, mean, tangent, rows = args
    scales = reals.splat(builder, tangent, 8 * X_SCALES, kind=kind)
    zero = reals.constant(builder, 0.0, kind)
    with cgutils.for_range(builder, rows) as loop:
        at, weight = _row(kind, builder, loop.index, work, pairs, weights)
        share = _share(weight, scales)
        start = builder.add(mean, builder.mul(loop.index, ir.Constant(I64, BYTES)))
        row = {field: reals.splat(builder, start, 8 * k, kind=kind) for k, field in enumerate(MEAN)}
        row |= {field: row[field] * weight for field in (GP, GB, I0)}
        row |= {field: row[field] * share for field in (X, K1, K2)}
        row |= {K0: zero, X: row[B] + row[X], K2: 1.0 - row[K2]}
        for field, value in row.items():
            reals.store(value, at, field * BYTES)


def _row(
    kind: ir.VectorType,
    builder: ir.IRBuilder,
    index: ir.Value,
    work: ir.Value,
    pairs: ir.Value,
    weights: ir.Value,
) -> tuple[ir.Value, Reals]:
    """Return the address of a listed row's vectors, and its weights."""
    pair = builder.add(pairs, builder.mul(index, ir.Constant(I64, 16)))
    at = builder.add(work, simd.load(builder, pair, I64))
    offset = simd.load(builder, simd.offset(builder, pair, 8), I64)
    if kind == VF:
        # Lists are of doubles' offsets, floats take half.
        offset = builder.lshr(offset, ir.Constant(I64, 1))
    return at, reals.load(builder, builder.add(weights, offset), kind=kind)


def _widen(builder: ir.IRBuilder, args: list[ir.Value]) -> None:
    """Take eight of sixteen columns' drops and middles over as doubles: (floats, doubles, rows).

    The address of the floats is that of the first of the eight in the first row.
    """
    floats, doubles, rows = args
    half = ir.VectorType(reals.F32, VD.count)
    with cgutils.for_range(builder, rows) as loop:
        row = builder.mul(loop.index, ir.Constant(I64, ROW_BYTES))
        for field in (P, B, X):
            near = simd.offset(builder, builder.add(floats, row), field * BYTES)
            value = Reals(builder, builder.fpext(simd.load(builder, near, half), VD))
            reals.store(value, builder.add(doubles, row), field * BYTES)


def _along(
    y: list[Reals], c: list[Reals], source: Reals, bit: Reals
) -> tuple[list[Reals], list[Reals]]:
    """Return the Norton equivalent (Y by rows, c) of a rail pair at the other end of wires R.

    ``inverse(1 + Y R) Y = (Y + |Y| adjugate(R)) / |1 + Y R|``, and the like for c.
    """
    both = y[0] * y[3] - y[1] * y[2]
    inverse = 1.0 / (1.0 + source * y[0] + bit * y[3] + source * bit * both)
    return (
        [
            (y[0] + bit * both) * inverse,
            y[1] * inverse,
            y[2] * inverse,
            (y[3] + source * both) * inverse,
        ],
        [
            (c[0] + bit * (y[3] * c[0] - y[1] * c[1])) * inverse,
            (c[1] + source * (y[0] * c[1] - y[2] * c[0])) * inverse,
        ],
    )


def _eliminate(kind: ir.VectorType, builder: ir.IRBuilder, args: list[ir.Value]) -> None:
    """Eliminate all rows from the first on: (work, gaps, wires, rows)."""
    work, gaps, wires, rows = args
    source, bit = (
        reals.splat(builder, wires, 8 * SOURCE, kind=kind),
        reals.splat(builder, wires, 8 * BIT, kind=kind),
    )
    zero = reals.constant(builder, 0.0, kind)
    gap = reals.splat(builder, gaps, kind=kind)
    y, c = _along(
        [reals.splat(builder, wires, 8 * START, kind=kind), zero, zero, zero],
        [zero, zero],
        source * gap,
        bit * gap,
    )
    slots = [simd.variable(builder, kind, v.value) for v in (*y, *c)]
    with cgutils.for_range(builder, rows) as loop:
        at = builder.add(work, builder.mul(loop.index, ir.Constant(I64, ROW_BYTES)))
        below = builder.add(gaps, builder.mul(loop.index, ir.Constant(I64, 8)))
        gap = reals.splat(builder, below, 8, kind=kind)
        y11, y12, y21, y22, c1, c2 = (Reals(builder, builder.load(s, typ=kind)) for s in slots)
        gp, gb, i0 = (reals.load(builder, at, field * BYTES, kind=kind) for field in (GP, GB, I0))
        y, c = _along(
            [y11 + gp, y12 + gb, y21 + gp, y22 + gb], [c1 + i0, c2 + i0], source * gap, bit * gap
        )
        for field, slot, value in zip(range(Y11, FIELDS), slots, (*y, *c), strict=True):
            reals.store(value, at, field * BYTES)
            builder.store(value.value, slot)


def _substitute(kind: ir.VectorType, builder: ir.IRBuilder, args: list[ir.Value]) -> None:
    """Work out all rows from the last on: (work, gaps, wires, rows, result).

    The result is two vectors: the bit lines' currents, and the largest move of any drop in volt.
    """
    work, gaps, wires, rows, result = args
    source, bit = (
        reals.splat(builder, wires, 8 * SOURCE, kind=kind),
        reals.splat(builder, wires, 8 * BIT, kind=kind),
    )
    read = reals.splat(builder, wires, 8 * READ, kind=kind)
    end_p, end_b = (
        reals.splat(builder, wires, 8 * END_P, kind=kind),
        reals.splat(builder, wires, 8 * END_B, kind=kind),
    )
    last = builder.sub(rows, ir.Constant(I64, 1))
    at = builder.add(work, builder.mul(last, ir.Constant(I64, ROW_BYTES)))
    y11, y12, y21, y22, c1, c2 = (
        reals.load(builder, at, field * BYTES, kind=kind) for field in range(Y11, FIELDS)
    )
    y11, y22 = y11 + end_p, y22 + end_b
    inverse = 1.0 / (y11 * y22 - y12 * y21)
    p, b = (y22 * c1 - y12 * c2) * inverse, (y11 * c2 - y21 * c1) * inverse
    reals.store(b * end_b, result)
    zero = reals.constant(builder, 0.0, kind)
    slots = [simd.variable(builder, kind, v.value) for v in (p, b, zero)]
    with cgutils.for_range(builder, rows) as loop:
        row = builder.sub(last, loop.index)
        at = builder.add(work, builder.mul(row, ir.Constant(I64, ROW_BYTES)))
        here = builder.add(gaps, builder.mul(row, ir.Constant(I64, 8)))
        gap = reals.splat(builder, here, 8, kind=kind)
        p, b, moved = (Reals(builder, builder.load(s, typ=kind)) for s in slots)
        y11, y12, y21, y22, c1, c2 = (
            reals.load(builder, at, field * BYTES, kind=kind) for field in range(Y11, FIELDS)
        )
        p, b = (
            p + source * gap * (c1 - y11 * p - y12 * b),
            b + bit * gap * (c2 - y21 * p - y22 * b),
        )
        new_p, new_b = p.max(0.0).min(read), b.max(0.0).min(read)
        dp, db = (
            new_p - reals.load(builder, at, P * BYTES, kind=kind),
            new_b - reals.load(builder, at, B * BYTES, kind=kind),
        )
        k0, k1, k2 = (reals.load(builder, at, field * BYTES, kind=kind) for field in (K0, K1, K2))
        x = reals.load(builder, at, X * BYTES, kind=kind) + k0 - k1 * dp + k2 * db
        reals.store(new_p, at, P * BYTES)
        reals.store(new_b, at, B * BYTES)
        reals.store(x.max(0.0).min(read), at, X * BYTES)
        moved = moved.max(dp.abs()).max(db.abs()).max(k0.abs())
        for slot, value in zip(slots, (p, b, moved), strict=True):
            builder.store(value.value, slot)
    reals.store(Reals(builder, builder.load(slots[2], typ=kind)), result, BYTES)


start, start_near = (intrinsic_of(partial(_start, kind), 5) for kind in (VD, VF))
average_near = intrinsic_of(partial(_average, VF), 6)
restart_near = intrinsic_of(partial(_restart, VF), 6)
eliminate, eliminate_near = (intrinsic_of(partial(_eliminate, kind), 4) for kind in (VD, VF))
substitute, substitute_near = (intrinsic_of(partial(_substitute, kind), 5) for kind in (VD, VF))
widen = intrinsic_of(_widen, 3)
