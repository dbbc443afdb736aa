"""Which ops of a program run together: what only the next op reads never lies in memory.

- A threshold, and perhaps the pool before it, runs with its dot product (`find_fused`).
- A scale, an addition, a bend and a threshold run as one pass over a map (`find_chains`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Bits
from bitwright.native import chain
from bitwright.native.chain import Ints
from bitwright.native.convolution import Dot


@dataclass(frozen=True)
class Fused:
    """A threshold with the dot product, and perhaps the pool, that only it reads."""

    dot: Dot
    pool: o.MaxPool2d | None


@dataclass(frozen=True)
class Chain:
    """``bend(line(source) + other)``, each part optional, compared with a threshold or not.

    `value` names the result; without any part before the threshold it is `source` itself.
    """

    source: str
    value: str
    line: o.Affine | None = None
    other: str | None = None
    bend: o.Affine | o.PiecewiseLinear | None = None
    threshold: o.Threshold | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The values that it reads."""
        return (self.source,) if self.other is None else (self.source, self.other)

    @property
    def stores(self) -> bool:
        """Whether its value is one that it makes."""
        return self.value != self.source


def is_wide(program: Program, made: Chain) -> bool:
    """Whether a chain needs 64-bit arithmetic, or its channels are no whole blocks of 32-bit's."""
    wide = bool(program.types[made.value].shape[-1] % chain.NARROW)
    for op in (made.line, made.bend):
        lines = lines_of(program, op)
        if lines is not None and op is not None:
            given = program.types[op.input]
            wide = wide or not lines.fits(given.lo, given.hi)
    return wide


def only_reader(program: Program, keep: Collection[str], name: str) -> o.Op | None:
    """Return the op that alone reads a value that nobody keeps."""
    uses = program.uses[name]
    return uses[0] if len(uses) == 1 and name not in keep else None


def find_fused(
    program: Program, keep: Collection[str], dots: Mapping[str, Dot]
) -> dict[str, Fused]:
    """Return the thresholds that run with their dot products, by the names of their bits."""
    fused = {}
    for op in program.ops:
        if isinstance(op, o.Threshold):
            name, pool = op.input, None
            before = program.definitions.get(name)
            if isinstance(before, o.MaxPool2d) and only_reader(program, keep, name):
                name, pool = before.input, before
            dot = dots.get(name)
            if dot and dot.method != "wide" and only_reader(program, keep, name):
                fused[op.output] = Fused(dot, pool)
    return fused


def find_chains(
    program: Program, keep: Collection[str], fused: Collection[str]
) -> dict[str, Chain]:
    """Return the chains of a program, by the names of their values and of their bits."""
    return _Chains(program, keep, fused).found


class _Chains:
    """One search, from the last op to the first."""

    def __init__(self, program: Program, keep: Collection[str], fused: Collection[str]) -> None:
        self.program = program
        self.keep = keep
        self.found: dict[str, Chain] = {}
        taken: set[str] = set()
        for op in reversed(program.ops):
            if op.output in taken or op.output in fused:
                continue
            if isinstance(op, o.Threshold):
                if self._maps(op.input) and not self._ends(self._made(op.input)):
                    self.found[op.output] = Chain(op.input, op.input, threshold=op)
            elif self._ends(op):
                made = self._chain(op)
                self.found[op.output] = made
                if made.threshold is not None:
                    self.found[made.threshold.output] = made
                taken.update(part.output for part in self._parts(made))

    def _made(self, name: str) -> o.Op | None:
        return self.program.definitions.get(name)

    def _maps(self, *names: str) -> bool:
        """Whether these are integers made by the program, in whole blocks of channels."""
        for name in names:
            value = self.program.types[name]
            if isinstance(value, Bits) or name == self.program.input_name:
                return False
            if not value.shape or value.shape[-1] % chain.WIDE:
                return False
        return True

    def _ends(self, op: o.Op | None) -> bool:
        """Whether a chain can end with this op."""
        return (isinstance(op, o.Add) and self._maps(*op.inputs)) or self._bends(op)

    def _bends(self, op: o.Op | None) -> bool:
        if not isinstance(op, o.Affine | o.PiecewiseLinear) or not self._maps(op.input):
            return False
        return lines_of(self.program, op) is not None

    def _inner(self, name: str) -> o.Op | None:
        """The op that makes a value for one reader alone."""
        return self._made(name) if only_reader(self.program, self.keep, name) else None

    def _line(self, name: str) -> o.Affine | None:
        op = self._inner(name)
        return op if isinstance(op, o.Affine) and self._bends(op) else None

    def _chain(self, op: o.Op) -> Chain:
        bend, before = None, op
        if isinstance(op, o.Affine | o.PiecewiseLinear):
            bend = op
            inner = self._inner(op.input)
            if not (isinstance(inner, o.Add) and self._maps(*inner.inputs)):
                line = self._line(op.input)
                source = op.input if line is None else line.input
                return Chain(source, op.output, line, None, bend, self._threshold(op.output))
            before = inner
        first, second = before.inputs
        line = self._line(second)
        if line is None or first == second:
            line, first, second = self._line(first), second, first
        source = second if line is None else line.input
        return Chain(source, op.output, line, first, bend, self._threshold(op.output))

    def _threshold(self, name: str) -> o.Threshold | None:
        for op in self.program.uses[name]:
            if isinstance(op, o.Threshold):
                return op
        return None

    def _parts(self, made: Chain) -> list[o.Op]:
        """The ops within a chain whose values lie nowhere, and its threshold."""
        parts: list[o.Op] = [p for p in (made.line, made.threshold) if p is not None]
        if made.bend is not None and made.other is not None:
            before = self._made(made.bend.input)
            parts += [] if before is None else [before]
        return parts


def make_pass(
    program: Program,
    made: Chain,
    *,
    stored: bool,
    compared: bool,
    origin: int | None,
    width: int,
) -> chain.Pass:
    """Return the constants of a chain of which integers, bits, or bytes from an origin are wanted.

    They are laid out for whole blocks of `width` channels.
    """
    value = program.types[made.value]
    limits = falling = None
    if made.threshold is not None and compared:
        falling = ~program.tensor(made.threshold, "rising")
        limits = program.tensor(made.threshold, "thresholds").astype(np.int64)
        limits = np.clip(limits, value.lo - falling, value.hi + ~falling)
    return chain.make_pass(
        value.shape[-1],
        is_wide(program, made),
        lines_of(program, made.line),
        lines_of(program, made.bend),
        limits,
        falling,
        added=made.other is not None,
        stored=stored,
        origin=origin,
        width=width,
    )


def lines_of(program: Program, op: o.Affine | o.PiecewiseLinear | None) -> chain.Lines | None:
    """Return the constants of an op, rounding half up put in the addend.

    None if there is no op, or it is none of one or two pieces, nor one that is held within bounds.
    """
    if op is None or (op.rounding == "half_even" and op.shift):
        return None
    channels = program.types[op.output].shape[-1]
    multiplier, addend = (
        program.tensor(op, field).reshape(channels, -1).astype(np.int64)
        for field in ("multiplier", "addend")
    )
    addend = addend + ((1 << op.shift) >> 1 if op.rounding == "half_up" else 0)
    breaks = np.empty((channels, 0), np.int64)
    if isinstance(op, o.PiecewiseLinear):
        breaks = program.tensor(op, "breakpoints").astype(np.int64)
    pieces = multiplier.shape[1]
    if pieces <= 2:
        return chain.Lines(multiplier, addend, op.shift, breaks[:, 0] if pieces == 2 else None)
    return _clamped(multiplier, addend, op.shift, breaks) if pieces == 3 else None


def _clamped(multiplier: Ints, addend: Ints, shift: int, breaks: Ints) -> chain.Lines | None:
    """Three pieces of which the middle one rises and the outer ones are its bounds."""
    slope, intercept = multiplier[:, 1], addend[:, 1]
    low, high = addend[:, 0] >> shift, addend[:, 2] >> shift

    def middle(x: Ints) -> Ints:
        return (x * slope + intercept) >> shift

    first, last = breaks[:, 0], breaks[:, 1] - 1
    same = (multiplier[:, [0, 2]] == 0).all() and (slope >= 0).all()
    same = same and bool((middle(first - 1) <= low).all() and (middle(first) >= low).all())
    same = same and bool((middle(last) <= high).all() and (middle(last + 1) >= high).all())
    if not same:
        return None
    held = np.stack([low, high], axis=1)
    return chain.Lines(multiplier[:, 1:2], addend[:, 1:2], shift, None, held)
