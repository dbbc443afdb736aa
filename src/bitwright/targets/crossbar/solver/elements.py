"""What flows through a cell, as emitted vector code: its elements' currents and derivatives.

Each function's twin in NumPy is in `bitwright.targets.crossbar.devices.cells`, where the equations
and their sources are. ``high`` and ``low`` are the voltages at an element's ends.

The curves of single voltages are either computed or, where `bitwright.native.simd.level` is avx512
and `...solver.tables` has them, looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from bitwright.native import reals
from bitwright.native.reals import BYTES, Reals, exp, softplus
from bitwright.native.simd import LANES, offset
from bitwright.targets.crossbar.solver.tables import FORMS

NUMBERS = LANES
"""Of a cell, at most; they take one vector, the cell's tables follow."""


@dataclass(frozen=True)
class Flow:
    """A current and how it changes: ``d i = by_high * d high - by_low * d low``."""

    current: Reals
    by_high: Reals
    by_low: Reals


@dataclass(frozen=True)
class Charge:
    """A transistor's normalised current at one of its ends, and its derivative by voltage."""

    forward: Reals
    slope: Reals


Pair = tuple[Flow, Flow, Reals]
"""A cell's two elements in units of what multiplies both, and that."""

Cell = Callable[[Reals, Reals, Reals, Reals], Pair]
"""From (source line, middle, bit line, weight) to a cell's elements."""


def charge(voltage: Reals, pinch_off: Reals, half_inverse: Reals) -> Charge:
    """Return F = ln(1 + exp((pinch_off - v) half_inverse))^2 and -dF/dv."""
    log, share = softplus((pinch_off - voltage) * half_inverse)
    return Charge(log * log, 2.0 * log * share * half_inverse)


def charge_from(table: ir.Value, voltage: Reals) -> Charge:
    """Return the same, looked up."""
    form = FORMS[voltage.kind]
    forward, slope = reals.look_up(voltage, table, form.terms, form.steep)
    return Charge(forward, 0.0 - slope)


def transistor(high: Reals, low: Reals, at_high: Charge, at_low: Charge, length: Reals) -> Flow:
    """Return what flows through a transistor: EKV with channel-length modulation.

    In units of its specific current.
    """
    modulated = (high - low) * length + 1.0
    plain = at_low.forward - at_high.forward
    extra = length * plain
    return Flow(
        plain * modulated, at_high.slope * modulated + extra, at_low.slope * modulated + extra
    )


def sinh_resistor(high: Reals, low: Reals, scale: Reals, inverse_volt: Reals) -> Flow:
    """Return what flows through a memristor: ``scale * sinh((high - low) * inverse_volt)``."""
    up = exp((high - low) * inverse_volt)
    down = 1.0 / up
    slope = scale * inverse_volt * 0.5 * (up + down)
    return Flow(scale * 0.5 * (up - down), slope, slope)


def sinh_resistor_from(table: ir.Value, high: Reals, low: Reals, weight: Reals) -> Flow:
    """Return the same, looked up; the table has the scale, which ``weight`` multiplies."""
    form = FORMS[high.kind]
    current, slope = reals.look_up(high - low, table, form.terms, form.steep)
    slope = slope * weight
    return Flow(current * weight, slope, slope)


def sram8t(builder: ir.IRBuilder, device: ir.Value, kind: ir.VectorType, *, tables: bool) -> Cell:
    """Return the emitter of `...devices.cells.Sram8T`, whose memory is at an address."""
    pinch_off, half_inverse, specific, length = (
        reals.splat(builder, device, 8 * k, kind) for k in range(4)
    )
    table = offset(builder, device, BYTES)

    def at_end(voltage: Reals) -> Charge:
        return charge_from(table, voltage) if tables else charge(voltage, pinch_off, half_inverse)

    def pair(s: Reals, x: Reals, b: Reals, weight: Reals) -> Pair:
        ends = [at_end(v) for v in (s, x, b)]
        return (
            transistor(s, x, ends[0], ends[1], length),
            transistor(x, b, ends[1], ends[2], length),
            weight * specific,
        )

    return pair


def reram1t1r(
    builder: ir.IRBuilder, device: ir.Value, kind: ir.VectorType, *, tables: bool
) -> Cell:
    """Return the emitter of `...devices.cells.Reram1T1R`, whose memory is at an address."""
    pinch_off, half_inverse, specific, length, scale, inverse_volt = (
        reals.splat(builder, device, 8 * k, kind) for k in range(6)
    )
    by_specific = scale * (1.0 / specific)
    first = offset(builder, device, BYTES)
    second = offset(builder, first, (1 + FORMS[kind].terms) * BYTES)

    def pair(s: Reals, x: Reals, b: Reals, weight: Reals) -> Pair:
        if tables:
            upper = sinh_resistor_from(second, s, x, weight)
            ends = [charge_from(first, v) for v in (x, b)]
        else:
            upper = sinh_resistor(s, x, by_specific * weight, inverse_volt)
            ends = [charge(v, pinch_off, half_inverse) for v in (x, b)]
        return upper, transistor(x, b, ends[0], ends[1], length), specific

    return pair
