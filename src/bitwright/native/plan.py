"""From a program to a plan: which kernels run, in which order, on which buffers.

Planning goes over the program twice. Backwards, it finds which values must lie in memory: not a dot
product whose only reader is its threshold, nor what lies within a chain (see `fusion`), nor a table
or a flattened map that its readers take as they come. Forwards, it writes down the steps that make
them, and the conversions between layouts when the first reader asks for one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Bits
from bitwright.native import binary, elementwise
from bitwright.native.convolution import Dot, Kernel, block_width, dot_of, make_chained, make_kernel
from bitwright.native.fusion import (
    Chain,
    Fused,
    find_chains,
    find_fused,
    is_wide,
    make_pass,
    only_reader,
)
from bitwright.native.geometry import NO_HALO, Halo, Layout, map_shape, natural
from bitwright.native.op_kernels import Array, Arrays, OneOutput, of_op, over_maps


@dataclass(frozen=True)
class Slot:
    """One value in one layout."""

    value: str
    layout: Layout


@dataclass(frozen=True)
class Step:
    """One kernel call: reads slots, writes others. `op` is the op that it ends with."""

    op: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
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
        made = {slot for step in self.steps for slot in step.outputs}
        types = self.program.types
        natural_kinds = {name: "bits" if isinstance(types[name], Bits) else "int" for name in types}
        names = {slot.value for slot in made if slot.layout.kind == natural_kinds[slot.value]}
        return tuple(name for name in types if name in names)


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
        self.dots = {name: self._with_lows(dot) for name, dot in self.dots.items()}
        self.fused = find_fused(program, self.keep, self.dots)
        self.chains = find_chains(program, self.keep, self.fused)
        self.needed = self._find_needed()
        self.halos = self._find_halos()
        self.steps: list[Step] = []
        self.made: dict[tuple[str, Layout], Slot] = {}
        self.done: set[Chain] = set()

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

    def _find_needed(self) -> set[str]:
        needed = set(self.keep)
        for op in reversed(self.program.ops):
            if op.output in needed:
                if op.output in self.fused:
                    needed.update(self._sources(self.fused[op.output].dot))
                elif op.output in self.dots:
                    needed.update(self._sources(self.dots[op.output]))
                elif op.output in self.chains:
                    needed.update(self._chain_sources(self.chains[op.output]))
                else:
                    needed.update(op.inputs)
        return needed

    def _chain_sources(self, made: Chain) -> tuple[str, ...]:
        dot = self._tiled(made)
        first = (made.source,) if dot is None else self._sources(dot)
        return (*first, *made.inputs[1:])

    def _tiled(self, made: Chain) -> Dot | None:
        """The dot product whose tiles a chain can take on, if only the chain reads it."""
        dot = self.dots.get(made.source)
        if dot is None or dot.method == "wide" or is_wide(self.program, made):
            return None
        alone = only_reader(self.program, self.keep, made.source)
        bytes_only = self._read_as_bytes(made.value)  # their halo lies where tiles write too far
        return dot if alone and made.other != made.source and bytes_only is None else None

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

    def _with_lows(self, dot: Dot) -> Dot:
        """Let bytes of a table's channels count each from its own least integer, if they fit so."""
        table = self._direct_lookup(dot)
        if table is None or dot.fits_bytes:
            return dot
        entries = self.program.tensor(table, "table")
        if entries.ndim != 2:
            return dot
        least = np.minimum(entries.min(axis=1), dot.pad_value)
        if (np.maximum(entries.max(axis=1), dot.pad_value) - least > 255).any():
            return dot
        return replace(dot, lows=tuple(int(n) for n in least))

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

    def _step(
        self,
        op: str,
        inputs: Sequence[Slot],
        output: Slot,
        kernel: OneOutput,
    ) -> Slot:
        def call(inputs: Arrays, outputs: Arrays) -> None:
            kernel(inputs, outputs[0])

        self.steps.append(Step(op, tuple(inputs), (output,), call))
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
            lows = np.array(dot.lows)[:, None] if dot.lows and least else least
            values = np.atleast_2d(self.program.tensor(table, "table")) - lows
            values = values.astype(slot.layout.dtype)
            lo = self.program.types[table.input].lo
            given = self._slot(table.input)
            if lo == 0 and (values == np.arange(values.shape[1])).all():
                # A table of straight lines, counted from its least integers: the pixels themselves.
                return self._converted(
                    slot, given, lambda x, out: np.copyto(out, x, casting="unsafe")
                )
            return self._converted(
                slot, given, lambda x, out: elementwise.lookup(x, lo, values, out)
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
        elif op.output in self.chains:
            self._add_chain(op.output, self.chains[op.output])
        else:
            self._add_elementwise(op)

    def _add_dot(self, name: str, dot: Dot, target: Slot, threshold: o.Threshold | None) -> None:
        source = self._dot_source(dot)
        kernel = make_kernel(self.program, dot, source.layout, target.layout, threshold)
        self.steps.append(Step(name, (source,), (target, *self._scratch(dot)), kernel))

    def _dot_source(self, dot: Dot) -> Slot:
        if dot.method == "binary":
            return self._slot(dot.source)
        return self._narrow(dot) if dot.method == "narrow" else self._integers(dot.source)

    def _scratch(self, dot: Dot) -> tuple[Slot, ...]:
        """Where a binary dot product pairs the halves of its source's words."""
        if dot.method != "binary":
            return ()
        return (Slot(dot.op.output, replace(self._slot(dot.source).layout, kind="paired")),)

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

    def _add_chain(self, name: str, made: Chain) -> None:
        if made in self.done:
            return
        self.done.add(made)
        value, threshold = self._slot(made.value), made.threshold
        bytes_only = self._read_as_bytes(made.value)
        wanted = []
        if made.stores and made.value in self.needed:
            wanted.append(value if bytes_only is None else bytes_only)
        compared = threshold is not None and threshold.output in self.needed
        if threshold is not None and compared:
            wanted.append(self._slot(threshold.output))
        others = [self._slot(name) for name in made.inputs[1:]]
        dot = self._tiled(made)
        whole = make_pass(
            self.program,
            made,
            stored=value in wanted,
            compared=compared,
            origin=None if bytes_only is None else self.program.types[made.value].lo,
            width=1 if dot is None else block_width(dot),
        )
        packed = wanted[-1].layout if wanted[-1] != value else None
        if dot is None:
            source = self._slot(made.source)
            kernel = over_maps(whole, packed)
        else:
            source = self._dot_source(dot)
            kernel = make_chained(dot, source.layout, value.layout, packed, whole)
        scratch = () if dot is None else self._scratch(dot)
        self.steps.append(Step(name, (source, *others), (*wanted, *scratch), kernel))
        if bytes_only is not None:
            self.made[made.value, bytes_only.layout] = bytes_only

    def _read_as_bytes(self, name: str) -> Slot | None:
        """The slot of a value that only dot products read, all as the same bytes."""
        dots = [self.dots.get(op.output) for op in self.program.uses[name]]
        layouts = {dot.stored for dot in dots if dot is not None and dot.method == "narrow"}
        sources = {dot.source for dot in dots if dot is not None}
        if name in self.keep or None in dots or sources != {name} or len(layouts) != 1:
            return None
        (layout,) = layouts
        return Slot(name, layout) if layout.kind == "bytes" else None

    def _add_elementwise(self, op: o.Op) -> None:
        target = self._slot(op.output)
        bits = isinstance(self.program.types[op.input], Bits)
        if isinstance(op, o.MaxPool2d) and bits:
            inverted = np.zeros(target.layout.steps, np.uint64)
            self._add_bit_pool(op.output, op, self._slot(op.input), target, inverted)
            return
        keeps_bits = isinstance(op, o.Flatten | o.Subsample)
        sources = [self._slot(name) if keeps_bits else self._integers(name) for name in op.inputs]
        call = of_op(self.program, op)

        def kernel(inputs: Arrays, out: Array) -> None:
            views = [s.layout.interior(x) for s, x in zip(sources, inputs, strict=True)]
            call(views, target.layout.interior(out))

        self._step(op.output, sources, target, kernel)
