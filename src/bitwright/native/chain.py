"""What residual networks do between convolutions: scale, add, bend, compare, in one pass.

Requirements:

- ``y = clamp(bend(line(x) + other))``, each part optional; `line` is one straight piece, `bend` one
  or two. `y` is stored; or compared with a threshold and stored as packed bits; or both; or it is
  stored as bytes that count from a least value.
- A pass goes over a map (`apply`), or takes the sums of a tile while they are in registers
  (`bitwright.native.tiles`): `Parts.emit` serves both. In a tile the line also makes dot products
  of sums, so its addend depends on the window and is given for each.
- A row of bytes holds the constants of a block of channels: 16 in 32-bit arithmetic where bounds
  allow it, 8 in 64-bit arithmetic elsewhere (`bitwright.ir.rules` keeps products within 62 bits).
- Which parts there are is the same for a whole pass: the branches are always predicted rightly.
- Rounding half up is an addend; rounding half to even is left to `bitwright.native.elementwise`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bitwright.native import simd
from bitwright.native.simd import I8, I32, I64, LANES, V64

Ints = npt.NDArray[np.int64]

LINE, ADD, BEND, CLAMP, STORE, COMPARE, BYTES = (1 << k for k in range(7))
"""The parts of a pass."""

NARROW, WIDE = 2 * LANES, LANES
"""Channels in a block."""

_FIELD = 64
_MULTIPLIER, _ADDEND, _BREAK, _SLOPE, _INTERCEPT, _LIMIT, _FLIP = 0, 1, 2, 3, 5, 7, 8
_LEAST, _GREATEST, _ORIGIN = 9, 10, 11
ROW_BYTES = 12 * _FIELD
"""Bytes of the constants of a block."""


@dataclass(frozen=True, eq=False)
class Lines:
    """One or two straight pieces a channel: ``(x * multiplier + addend) >> shift``.

    ``multiplier`` and ``addend`` are int64 (channels, pieces), ``breakpoint`` (channels,): the
    least x of the second piece. ``clamp`` holds results within (channels, 2).
    """

    multiplier: Ints
    addend: Ints
    shift: int
    breakpoint: Ints | None = None
    clamp: Ints | None = None

    def fits(self, lo: int, hi: int) -> bool:
        """Whether 32 bits hold every product and sum for x in lo..hi."""
        largest = np.abs(self.multiplier) * max(abs(lo), abs(hi)) + np.abs(self.addend)
        return bool(largest.max() < 2**31)


@dataclass(frozen=True, eq=False)
class Pass:
    """The constants of a pass, and which parts it has.

    Parameters
    ----------
    wide
        Whether to calculate in 64 bits.
    parts
        `LINE`, ..., added up.
    rows
        uint8 (blocks, ROW_BYTES), aligned.
    line
        The line, if there is one.
    shifts
        Of the line and of the bend.
    """

    wide: bool
    parts: int
    rows: npt.NDArray[np.uint8]
    line: Lines | None
    shifts: tuple[int, int]

    def on_sums(self, factor: int, base: Ints) -> tuple[Pass, Ints]:
        """Return a pass that takes sums where ``x = base + factor * sum``, and its line's addends.

        The pass calculates in 32 bits; `base` and the addends are (classes, channels).
        """
        channels = base.shape[1]
        one = np.ones((channels, 1), np.int64)
        line = self.line or Lines(one, one - 1, 0)
        rows = simd.aligned(self.rows.shape, np.uint8)
        rows[:] = self.rows
        for block, row in enumerate(rows):
            part = factor * line.multiplier[block * NARROW : (block + 1) * NARROW, 0]
            row[_MULTIPLIER * _FIELD :][: 4 * len(part)] = part.astype(np.int32).view(np.uint8)
        made = replace(self, parts=self.parts | LINE, rows=rows, line=None)
        return made, base * line.multiplier[:, 0] + line.addend[:, 0]


def make_pass(
    channels: int,
    wide: bool,
    line: Lines | None,
    bend: Lines | None,
    limits: Ints | None,
    falling: npt.NDArray[np.bool_] | None,
    *,
    added: bool,
    stored: bool,
    origin: int | None = None,
    width: int = 1,
) -> Pass:
    """Lay out a pass over `channels`, filled up to a multiple of `width` with what never gives a 1.

    ``limits`` are thresholds within 32 bits; where `falling`, a bit is set where y <= limit. Bytes
    are stored if they have an `origin`: the y that is 0.
    """
    lanes = WIDE if wide else NARROW
    big = np.dtype(np.int64 if wide else np.int32)
    small = np.dtype(np.int32)
    nothing = np.zeros((channels, 2), np.int64)
    straight, bent = (part or Lines(nothing, nothing, 0) for part in (line, bend))
    first = nothing[:, 0] if bent.breakpoint is None else bent.breakpoint
    clamp = nothing if bent.clamp is None else bent.clamp
    flip = np.zeros(channels, np.bool_) if falling is None else falling
    # y <= t is not (y >= t + 1).
    bounds = nothing[:, 0] if limits is None else limits + flip
    fields: dict[int, tuple[npt.NDArray[Any], np.dtype[Any], int]] = {
        _MULTIPLIER: (straight.multiplier[:, 0], small, 0),
        _ADDEND: (straight.addend[:, 0], big, 0),
        _BREAK: (first, small, 0),
        _SLOPE: (bent.multiplier[:, 0], small, 0),
        _SLOPE + 1: (bent.multiplier[:, -1], small, 0),
        _INTERCEPT: (bent.addend[:, 0], big, 0),
        _INTERCEPT + 1: (bent.addend[:, -1], big, 0),
        _LIMIT: (bounds, small, 2**31 - 1),
        _LEAST: (clamp[:, 0], small, 0),
        _GREATEST: (clamp[:, 1], small, 0),
        _ORIGIN: (np.full(channels, origin or 0), small, 0),
    }
    filled = -(-channels // width) * width
    rows = simd.aligned((-(-filled // lanes), ROW_BYTES), np.uint8)
    for block, row in enumerate(rows):
        part = slice(block * lanes, (block + 1) * lanes)
        for number, (values, kind, fill) in fields.items():
            full = np.full(lanes, fill, kind)
            full[: len(values[part])] = values[part]
            row[number * _FIELD :][: full.nbytes] = full.view(np.uint8)
        bits = np.packbits(flip[part], bitorder="little")
        row[_FLIP * _FIELD :][: len(bits)] = bits
    chosen = {
        LINE: line is not None,
        ADD: added,
        BEND: bend is not None,
        CLAMP: bent.clamp is not None,
        STORE: stored,
        COMPARE: limits is not None,
        BYTES: origin is not None,
    }
    parts = sum(part for part, there in chosen.items() if there)
    return Pass(wide, parts, rows, line, (straight.shift, bent.shift))


class Parts:
    """Emits a pass on one block of channels of one pixel.

    Parameters
    ----------
    builder
        Where to emit.
    parts
        As in `Pass`: a number if it is known when the code is emitted, or an LLVM int64.
    shifts
        As in `Pass`: two LLVM int64.
    wide
        As in `Pass`.
    """

    def __init__(
        self, builder: ir.IRBuilder, parts: int | ir.Value, shifts: list[ir.Value], wide: bool
    ) -> None:
        self.builder = builder
        self.parts = parts
        self.wide = wide
        self.number = ir.VectorType(I32, WIDE if wide else NARROW)
        self.exact = V64 if wide else self.number
        self.mask = ir.IntType(self.number.count)
        counts = shifts if wide else [builder.trunc(shift, I32) for shift in shifts]
        self.shifts = [simd.splat(builder, count, self.exact) for count in counts]

    def load(self, row: ir.Value) -> dict[int, ir.Value]:
        """Load the constants of a block from their address."""
        plain = (_MULTIPLIER, _BREAK, _SLOPE, _SLOPE + 1, _LIMIT, _LEAST, _GREATEST, _ORIGIN)
        kinds = dict.fromkeys(plain, self.number)
        kinds |= dict.fromkeys((_ADDEND, _INTERCEPT, _INTERCEPT + 1), self.exact)
        kinds[_FLIP] = self.mask
        return {
            field: simd.load(
                self.builder, simd.offset(self.builder, row, field * _FIELD), kind, _FIELD
            )
            for field, kind in kinds.items()
        }

    def emit(
        self,
        x: ir.Value,
        constants: dict[int, ir.Value],
        other: ir.Value,
        ints: ir.Value,
        packed: ir.Value,
        addend: ir.Value | None = None,
    ) -> None:
        """Take a vector x through the pass; `other`, `ints` and `packed` are addresses.

        `addend` stands in for the line's own.
        """
        builder = self.builder

        def line(y: ir.Value) -> ir.Value:
            own = constants[_ADDEND] if addend is None else addend
            return self._step(y, constants[_MULTIPLIER], own, self.shifts[0])

        def add(y: ir.Value) -> ir.Value:
            return builder.add(y, simd.load(builder, other, self.number, 4))

        def bend(y: ir.Value) -> ir.Value:
            beyond = builder.icmp_signed(">=", y, constants[_BREAK])
            slope, intercept = (
                builder.select(beyond, constants[field + 1], constants[field])
                for field in (_SLOPE, _INTERCEPT)
            )
            return self._step(y, slope, intercept, self.shifts[1])

        def clamp(y: ir.Value) -> ir.Value:
            low, high = constants[_LEAST], constants[_GREATEST]
            y = builder.select(builder.icmp_signed("<", y, low), low, y)
            return builder.select(builder.icmp_signed(">", y, high), high, y)

        def store(y: ir.Value) -> ir.Value:
            simd.store(builder, y, ints, 4)
            return y

        def compare(y: ir.Value) -> ir.Value:
            fires = builder.icmp_signed(">=", y, constants[_LIMIT])
            flipped = builder.xor(builder.bitcast(fires, self.mask), constants[_FLIP])
            simd.store(builder, flipped, packed)
            return y

        def count(y: ir.Value) -> ir.Value:
            counted = builder.sub(y, constants[_ORIGIN])
            small = builder.trunc(counted, ir.VectorType(I8, self.number.count))
            simd.store(builder, small, packed)
            return y

        acts = {LINE: line, ADD: add, BEND: bend, CLAMP: clamp}
        acts |= {STORE: store, COMPARE: compare, BYTES: count}
        for part, act in acts.items():
            x = self._perhaps(part, act, x)

    def _perhaps(self, part: int, act: Callable[[ir.Value], ir.Value], x: ir.Value) -> ir.Value:
        """Emit a part: always, never, or behind a branch."""
        if isinstance(self.parts, int):
            return act(x) if self.parts & part else x
        y = simd.variable(self.builder, self.number, x)
        there = self.builder.and_(self.parts, ir.Constant(I64, part))
        with self.builder.if_then(self.builder.icmp_unsigned("!=", there, ir.Constant(I64, 0))):
            self.builder.store(act(x), y)
        return self.builder.load(y, typ=self.number)

    def _step(self, x: ir.Value, slope: ir.Value, intercept: ir.Value, shift: ir.Value) -> ir.Value:
        builder = self.builder
        if self.wide:
            x, slope = builder.sext(x, self.exact), builder.sext(slope, self.exact)
        result = builder.ashr(builder.add(builder.mul(x, slope), intercept), shift)
        return builder.trunc(result, self.number) if self.wide else result


def _block(wide: bool) -> Any:
    """Return an intrinsic for one block of channels of one image; its arguments are int64."""

    def block(  # type: ignore[no-untyped-def]
        typingctx, parts, source, other, ints, packed, row, size, pitches, shifts
    ):
        def emit(context, builder, signature, args):  # type: ignore[no-untyped-def]
            parts, source, other, ints, packed, row, size, pitches, shifts = args
            rows, columns = (builder.extract_value(size, k) for k in range(2))
            pitch, packed_pitch, packed_row = (builder.extract_value(pitches, k) for k in range(3))
            moves = [builder.extract_value(shifts, k) for k in range(2)]
            whole = Parts(builder, parts, moves, wide)
            constants = whole.load(row)
            with cgutils.for_range(builder, rows) as line:
                first = builder.mul(line.index, builder.mul(columns, pitch))
                packed_first = builder.add(packed, builder.mul(line.index, packed_row))
                with cgutils.for_range(builder, columns) as column:
                    at = builder.add(first, builder.mul(column.index, pitch))
                    packed_at = builder.add(packed_first, builder.mul(column.index, packed_pitch))
                    x = simd.load(builder, builder.add(source, at), whole.number, 4)
                    added, stored = (builder.add(base, at) for base in (other, ints))
                    whole.emit(x, constants, added, stored, packed_at)
            return context.get_dummy_value()

        return types.void(parts, source, other, ints, packed, row, size, pitches, shifts), emit

    return intrinsic(block)


_narrow, _wide = _block(wide=False), _block(wide=True)


@njit(cache=True, nogil=True)
def apply(wide, parts, source, other, ints, packed, constants, shifts):  # type: ignore[no-untyped-def]
    """Take int32 maps (images, rows, columns, channels), C-contiguous, through one pass.

    Parameters
    ----------
    wide, parts, constants, shifts
        Those of a `Pass` over whole blocks of channels.
    source, other, ints
        x, what is added, and what is stored; any map where a part is left out.
    packed
        Packed bits or bytes, a view without its halo; anything where neither is wanted.
    """
    lanes = 8 if wide else 16
    image = source[0].size * 4
    size = (source.shape[1], source.shape[2])
    pitches = (source.shape[3] * 4, packed.strides[2], packed.strides[1])
    for n in range(source.shape[0]):
        x, b = source.ctypes.data + n * image, other.ctypes.data + n * image
        y, z = ints.ctypes.data + n * image, packed.ctypes.data + n * packed.strides[0]
        for block in range(constants.shape[0]):
            k = constants[block].ctypes.data
            move = block * lanes * 4
            bit = block * lanes if parts & BYTES else block * lanes // 8
            if wide:
                _wide(parts, x + move, b + move, y + move, z + bit, k, size, pitches, shifts)
            else:
                _narrow(parts, x + move, b + move, y + move, z + bit, k, size, pitches, shifts)
