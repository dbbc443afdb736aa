"""From a program to a plan: which kernels run, in which order, on which buffers.

Planning goes over the program twice. Backwards, it finds which values must lie in memory: not a dot
product whose only reader is its threshold, nor a table or a flattened map that its readers take as
they come. Forwards, it writes down the steps that make them, and the conversions between layouts
when the first reader asks for one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.reference import stretch
from bitwright.ir.types import Bits
from bitwright.native import binary, elementwise, lines
from bitwright.native.convolution import Dot, Kernel, dot_of, make_kernel
from bitwright.native.geometry import NO_HALO, Halo, Layout, map_shape, natural

Array = npt.NDArray[Any]
Arrays = Sequence[Array]


@dataclass(frozen=True)
class Slot:
    """One value in one layout."""

    value: str
    layout: Layout


@dataclass(frozen=True)
class Step:
    """One kernel call: reads slots, writes one. `op` is the op that it ends with."""

    op: str
    inputs: tuple[Slot, ...]
    output: Slot
    kernel: Kernel


@dataclass(frozen=True)
class Plan:
    """Steps in order. The batch itself lies in `source`, the values asked for in `kept`."""

    program: Program
    source: Slot
    steps: tuple[Step, ...]
    kept: dict[str, Slot]

    @property
    def materialised(self) -> tuple[str, ...]:
        """The program's values that lie in memory in their own type, in the program's order."""
        made = {step.output for step in self.steps}
        types = self.program.types
        natural_kinds = {name: "bits" if isinstance(types[name], Bits) else "int" for name in types}
        names = {slot.value for slot in made if slot.layout.kind == natural_kinds[slot.value]}
        return tuple(name for name in types if name in names)


@dataclass(frozen=True)
class Fused:
    """A threshold with the dot product, and perhaps the pool, that only it reads."""

    dot: Dot
    pool: o.MaxPool2d | None


def plan(program: Program, keep: Collection[str]) -> Plan:
    """Return the plan that makes the values `keep` of a program."""
    return _Planner(program, keep).plan()


class _Planner:
    def __init__(self, program: Program, keep: Collection[str]) -> None:
        self.program = program
        self.keep = tuple(dict.fromkeys(keep))
        self.dots = {
            op.output: dot_of(program, op)
            for op in program.ops
            if isinstance(op, o.Conv2d | o.Dense)
        }
        self.fused = self._find_fused()
        self.needed = self._find_needed()
        self.halos = self._find_halos()
        self.steps: list[Step] = []
        self.made: dict[tuple[str, Layout], Slot] = {}

    def plan(self) -> Plan:
        program = self.program
        value = program.types[program.input_name]
        # A batch of bits comes as bools, one of integers as it is: both look like plain arrays. The
        # bools have a name of their own: they are not yet the value, nor that value as integers.
        given = program.input_name + (":bools" if isinstance(value, Bits) else "")
        source = Slot(given, Layout("int", map_shape(value)))
        self._add_input(source)
        for op in program.ops:
            if op.output in self.needed:
                self._add(op)
        kept = {name: self._slot(name) for name in self.keep}
        return Plan(program, source, tuple(self.steps), kept)

    # What must lie in memory.

    def _only_reader(self, name: str) -> o.Op | None:
        """The op that alone reads a value that nobody keeps."""
        uses = self.program.uses[name]
        return uses[0] if len(uses) == 1 and name not in self.keep else None

    def _find_fused(self) -> dict[str, Fused]:
        fused = {}
        for op in self.program.ops:
            if isinstance(op, o.Threshold):
                name, pool = op.input, None
                before = self.program.definitions.get(name)
                if isinstance(before, o.MaxPool2d) and self._only_reader(name):
                    name, pool = before.input, before
                dot = self.dots.get(name)
                if dot and dot.method != "wide" and self._only_reader(name):
                    fused[op.output] = Fused(dot, pool)
        return fused

    def _find_needed(self) -> set[str]:
        needed = set(self.keep)
        for op in reversed(self.program.ops):
            if op.output in needed:
                if op.output in self.fused:
                    needed.update(self._sources(self.fused[op.output].dot))
                elif op.output in self.dots:
                    needed.update(self._sources(self.dots[op.output]))
                else:
                    needed.update(op.inputs)
        return needed

    def _sources(self, dot: Dot) -> tuple[str, ...]:
        table = self._direct_lookup(dot)
        return (table.input,) if table else (dot.source,)

    def _direct_lookup(self, dot: Dot) -> o.Lookup | None:
        """The table that a narrow dot product reads through, if only such read it."""
        table = self.program.definitions.get(dot.source)
        if not isinstance(table, o.Lookup) or dot.source in self.keep or dot.method != "narrow":
            return None
        readers = self.program.uses[dot.source]
        return table if all(op.output in self.dots for op in readers) else None

    def _find_halos(self) -> dict[str, Halo]:
        halos: dict[str, Halo] = {}
        for dot in self.dots.values():
            if dot.method == "binary":
                old = halos.get(dot.source, NO_HALO)
                top, bottom, left, right = (
                    max(a, b) for a, b in zip(old, dot.padding, strict=True)
                )
                halos[dot.source] = (top, bottom, left, right)
        return halos

    # Slots and steps.

    def _layout(self, name: str) -> Layout:
        return natural(self.program.types[name], self.halos.get(name, NO_HALO))

    def _slot(self, name: str) -> Slot:
        """The slot of a value in its natural layout; it has been made."""
        if name == self.program.input_name and not isinstance(self.program.input_type, Bits):
            return Slot(name, Layout("int", map_shape(self.program.input_type)))
        return Slot(name, self._layout(name))

    def _step(self, op: str, inputs: Sequence[Slot], output: Slot, kernel: Kernel) -> Slot:
        self.steps.append(Step(op, tuple(inputs), output, kernel))
        return output

    def _add_input(self, source: Slot) -> None:
        name = self.program.input_name
        if isinstance(self.program.input_type, Bits) and name in self.needed:
            layout = self._layout(name)

            def pack(inputs: Arrays, out: Array) -> None:
                elementwise.pack(inputs[0], layout.interior(out))

            self._step(name, (source,), Slot(name, layout), pack)

    def _integers(self, name: str) -> Slot:
        """A value as plain integers; bits become -1 and +1."""
        value = self.program.types[name]
        if not isinstance(value, Bits):
            return self._slot(name)
        slot, bits = Slot(name, Layout("int", map_shape(value))), self._slot(name)
        return self._converted(slot, bits, elementwise.unpack)

    def _narrow(self, dot: Dot) -> Slot:
        """The source of a narrow dot product as it is read, with its halo."""
        slot = Slot(dot.source, dot.stored)
        least = dot.value.lo if slot.layout.kind == "bytes" else 0
        table = self._direct_lookup(dot)
        if table is not None:
            values = np.atleast_2d(self.program.tensor(table, "table")) - least
            values = values.astype(slot.layout.dtype)
            lo = self.program.types[table.input].lo
            return self._converted(
                slot, self._slot(table.input), lambda x, out: elementwise.lookup(x, lo, values, out)
            )
        if isinstance(dot.value, Bits):
            return self._converted(slot, self._slot(dot.source), elementwise.unpack)
        return self._converted(
            slot, self._slot(dot.source), lambda x, out: elementwise.subtract(x, least, out)
        )

    def _converted(self, slot: Slot, source: Slot, kernel: Any) -> Slot:
        if (slot.value, slot.layout) not in self.made:

            def convert(inputs: Arrays, out: Array) -> None:
                kernel(source.layout.interior(inputs[0]), slot.layout.interior(out))

            self.made[slot.value, slot.layout] = self._step(slot.value, (source,), slot, convert)
        return slot

    def _add(self, op: o.Op) -> None:
        if op.output in self.fused:
            assert isinstance(op, o.Threshold)  # noqa: S101 - only thresholds are fused
            self._add_fused(op, self.fused[op.output])
        elif op.output in self.dots:
            dot = self.dots[op.output]
            self._add_dot(op.output, dot, self._slot(op.output), None)
        else:
            self._add_elementwise(op)

    def _add_dot(self, name: str, dot: Dot, target: Slot, threshold: o.Threshold | None) -> None:
        if dot.method == "binary":
            source = self._slot(dot.source)
        elif dot.method == "narrow":
            source = self._narrow(dot)
        else:
            source = self._integers(dot.source)
        kernel = make_kernel(self.program, dot, source.layout, target.layout, threshold)
        self._step(name, (source,), target, kernel)

    def _add_fused(self, op: o.Threshold, fused: Fused) -> None:
        target = self._slot(op.output)
        if fused.pool is None:
            self._add_dot(op.output, fused.dot, target, op)
            return
        # max(d) >= t is the OR of d >= t; max(d) <= t is the AND of d <= t.
        unpooled = Slot(fused.dot.op.output, natural(Bits(fused.dot.bounds.shape)))
        self._add_dot(unpooled.value, fused.dot, unpooled, op)
        inverted = binary.pack_channels(~self.program.tensor(op, "rising"))
        self._add_bit_pool(op.output, fused.pool, unpooled, target, inverted)

    def _add_bit_pool(
        self, name: str, pool: o.MaxPool2d, source: Slot, target: Slot, inverted: Array
    ) -> None:
        def kernel(inputs: Arrays, out: Array) -> None:
            elementwise.pool_bits(
                source.layout.interior(inputs[0]),
                pool.kernel,
                pool.stride,
                pool.padding,
                inverted,
                target.layout.interior(out),
            )

        self._step(name, (source,), target, kernel)

    def _add_elementwise(self, op: o.Op) -> None:
        target = self._slot(op.output)
        bits = isinstance(self.program.types[op.input], Bits)
        if isinstance(op, o.MaxPool2d) and bits:
            inverted = np.zeros(target.layout.steps, np.uint64)
            self._add_bit_pool(op.output, op, self._slot(op.input), target, inverted)
            return
        keeps_bits = isinstance(op, o.Flatten | o.Subsample)
        sources = [self._slot(name) if keeps_bits else self._integers(name) for name in op.inputs]
        call = _elementwise(self.program, op)

        def kernel(inputs: Arrays, out: Array) -> None:
            views = [s.layout.interior(x) for s, x in zip(sources, inputs, strict=True)]
            call(views, target.layout.interior(out))

        self._step(op.output, sources, target, kernel)


def _elementwise(program: Program, op: o.Op) -> Kernel:
    """Return the kernel of an op that is no dot product, on maps without halos."""
    constant = {field: program.tensor(op, field) for field in op.constants}
    value = program.types[op.input]
    match op:
        case o.Threshold():
            thresholds, rising = constant["thresholds"], constant["rising"]
            return lambda x, out: elementwise.threshold(x[0], thresholds, rising, out)
        case o.Lookup():
            table, lo = np.atleast_2d(constant["table"]), value.lo
            return lambda x, out: elementwise.lookup(x[0], lo, table, out)
        case o.MaxPool2d():
            return lambda x, out: elementwise.max_pool(x[0], op.kernel, op.stride, op.padding, out)
        case o.SumPool2d():
            return lambda x, out: elementwise.sum_pool(x[0], op.kernel, op.stride, op.padding, out)
        case o.Offset():
            offset = np.ascontiguousarray(stretch(constant["offset"], *value.shape[:2])).reshape(
                1, -1
            )
            return lambda x, out: elementwise.add(_rows(x[0]), offset, _rows(out))
        case o.Add():
            return lambda x, out: elementwise.add(_rows(x[0]), _rows(x[1]), _rows(out))
        case o.Affine() | o.PiecewiseLinear():
            return _fixed_point(program, op)
        case o.PadChannels():
            return lambda x, out: elementwise.pad_channels(x[0], op.before, out)
        case o.Subsample():
            rows, columns = op.stride
            return lambda x, out: elementwise.copy(x[0][:, ::rows, ::columns], out)
        case o.Flatten():
            if isinstance(value, Bits):
                channels = value.shape[-1]
                return lambda x, out: elementwise.flatten_bits(x[0], channels, out)
            return lambda x, out: elementwise.copy(x[0].reshape(out.shape), out)
        case o.ArgMax():
            return lambda x, out: elementwise.arg_max(x[0], out)
    raise TypeError(f"no kernel for {op.kind}")


def _rows(array: Array) -> Array:
    """A batch of integer maps, which have no halo, as one row an image."""
    return array.reshape(len(array), -1)


def _fixed_point(program: Program, op: o.Affine | o.PiecewiseLinear) -> Kernel:
    """Return the kernel of lines: eight channels at a time, and plain loops for what is left."""
    multiplier, addend = program.tensor(op, "multiplier"), program.tensor(op, "addend")
    multiplier, addend = (t.reshape(len(t), -1) for t in (multiplier, addend))
    channels, pieces = multiplier.shape
    breaks = np.empty((channels, 0), np.int32)
    if isinstance(op, o.PiecewiseLinear):
        breaks = program.tensor(op, "breakpoints")
    rounding = elementwise.ROUNDINGS[op.rounding]
    even = op.rounding == "half_even" and op.shift > 0
    direct = op.input == program.input_name or isinstance(program.types[op.input], Bits)
    whole = 0 if even or direct or pieces > lines.MAX_PIECES else channels // 8 * 8
    half = (1 << op.shift) >> 1 if op.rounding == "half_up" else 0
    packed = lines.pack(breaks[:whole], multiplier[:whole], addend[:whole] + half)
    rest = tuple(np.ascontiguousarray(t[whole:]) for t in (breaks, multiplier, addend))

    def kernel(inputs: Arrays, out: Array) -> None:
        x = inputs[0]
        if whole:
            flat = (x.reshape(-1, channels), out.reshape(-1, channels))
            lines.apply(flat[0], packed, pieces, op.shift, flat[1])
        if whole < channels:
            elementwise.piecewise(x[..., whole:], *rest, op.shift, rounding, out[..., whole:])

    return kernel
