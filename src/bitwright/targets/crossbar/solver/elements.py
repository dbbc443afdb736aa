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

from bitwright.native import doubles as d
from bitwright.native.doubles import BYTES, Doubles, exp, softplus
from bitwright.native.simd import LANES, offset
from bitwright.targets.crossbar.solver.tables import STEEP, TERMS

TABLE_BYTES = (1 + TERMS) * BYTES
"""A cell's memory is one vector of its numbers, then its tables."""

NUMBERS = LANES
"""Of a cell, at most."""


@dataclass(frozen=True)
class Flow:
    """A current and how it changes: ``d i = by_high * d high - by_low * d low``."""

    current: Doubles
    by_high: Doubles
    by_low: Doubles


@dataclass(frozen=True)
class Charge:
    """A transistor's normalised current at one of its ends, and its derivative by voltage."""

    forward: Doubles
    slope: Doubles


Pair = tuple[Flow, Flow, Doubles | None]
"""A cell's two elements, and what multiplies both; nothing does if it is None."""

Cell = Callable[[Doubles, Doubles, Doubles, Doubles], Pair]
"""From (source line, middle, bit line, weight) to a cell's elements."""


def charge(voltage: Doubles, pinch_off: Doubles, half_inverse: Doubles) -> Charge:
    """Return F = ln(1 + exp((pinch_off - v) half_inverse))^2 and -dF/dv."""
    log, share = softplus((pinch_off - voltage) * half_inverse)
    return Charge(log * log, 2.0 * log * share * half_inverse)


def charge_from(table: ir.Value, voltage: Doubles) -> Charge:
    """Return the same, looked up."""
    forward, slope = d.look_up(voltage, table, TERMS, STEEP)
    return Charge(forward, 0.0 - slope)


def transistor(
    high: Doubles, low: Doubles, at_high: Charge, at_low: Charge, specific: Doubles, length: Doubles
) -> Flow:
    """Return what flows through a transistor: EKV with channel-length modulation."""
    modulated = (high - low) * length + 1.0
    plain = at_low.forward - at_high.forward
    extra = length * plain
    return Flow(
        specific * plain * modulated,
        specific * (at_high.slope * modulated + extra),
        specific * (at_low.slope * modulated + extra),
    )


def sinh_resistor(high: Doubles, low: Doubles, scale: Doubles, inverse_volt: Doubles) -> Flow:
    """Return what flows through a memristor: ``scale * sinh((high - low) * inverse_volt)``."""
    up = exp((high - low) * inverse_volt)
    down = 1.0 / up
    slope = scale * inverse_volt * 0.5 * (up + down)
    return Flow(scale * 0.5 * (up - down), slope, slope)


def sinh_resistor_from(table: ir.Value, high: Doubles, low: Doubles, weight: Doubles) -> Flow:
    """Return the same, looked up; the table has the scale, ``weight`` multiplies it."""
    current, slope = d.look_up(high - low, table, TERMS, STEEP)
    slope = slope * weight
    return Flow(current * weight, slope, slope)


def sram8t(builder: ir.IRBuilder, device: ir.Value, *, tables: bool) -> Cell:
    """Return the emitter of `...devices.cells.Sram8T`, whose memory is at an address."""
    pinch_off, half_inverse, specific, length = (d.splat(builder, device, 8 * k) for k in range(4))
    table = offset(builder, device, BYTES)

    def at_end(voltage: Doubles) -> Charge:
        return charge_from(table, voltage) if tables else charge(voltage, pinch_off, half_inverse)

    def pair(s: Doubles, x: Doubles, b: Doubles, weight: Doubles) -> Pair:
        ends = [at_end(v) for v in (s, x, b)]
        return (
            transistor(s, x, ends[0], ends[1], specific, length),
            transistor(x, b, ends[1], ends[2], specific, length),
            weight,
        )

    return pair


def reram1t1r(builder: ir.IRBuilder, device: ir.Value, *, tables: bool) -> Cell:
    """Return the emitter of `...devices.cells.Reram1T1R`, whose memory is at an address."""
    pinch_off, half_inverse, specific, length, scale, inverse_volt = (
        d.splat(builder, device, 8 * k) for k in range(6)
    )
    first = offset(builder, device, BYTES)
    second = offset(builder, first, TABLE_BYTES)

    def pair(s: Doubles, x: Doubles, b: Doubles, weight: Doubles) -> Pair:
        if tables:
            upper = sinh_resistor_from(second, s, x, weight)
            ends = [charge_from(first, v) for v in (x, b)]
        else:
            upper = sinh_resistor(s, x, scale * weight, inverse_volt)
            ends = [charge(v, pinch_off, half_inverse) for v in (x, b)]
        return upper, transistor(x, b, ends[0], ends[1], specific, length), None

    return pair
