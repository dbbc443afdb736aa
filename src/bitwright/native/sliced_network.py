"""Chains in which circuits do the popcounts, 512 images at a time.

Requirements:

- The first ops, up to the first layer with a circuit, run on the native engine; from there bits
  stay sliced through layers, pools and flattenings; the last ops run on the native engine again.
- What lies between must be a chain: dot products of bits with a threshold behind them, perhaps a
  max-pool between, and what only moves bits. Anything else is refused by its name;
  `bitwright.native.circuit_graph` runs it.
- A layer without a circuit of its own counts exactly, by `exact`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits.circuit import Circuit
from bitwright.circuits.jit import SAMPLES, Compiled
from bitwright.errors import ConfigError
from bitwright.ir import ops as o
from bitwright.ir.program import Program, check_batch
from bitwright.ir.types import Bits
from bitwright.native import binary
from bitwright.native.convolution import Dot, dot_of
from bitwright.native.engine import NativeProgram
from bitwright.native.fusion import Fused, find_fused
from bitwright.native.geometry import map_shape
from bitwright.native.sliced import SlicedLayer, SlicedShape, pool, slice_words, unslice_words
from bitwright.native.sliced_stage import Stage, exact_thresholds, sliced_shape

Array = npt.NDArray[Any]

Exact = Callable[[int], Circuit]
"""Returns the exact popcount of a fan-in."""

Observer = Callable[[Any, dict[str, Array]], None]
"""Called before each step of the first 512 images of a batch with the step and the values so far,
and after the last step with None and the values."""


class CircuitNetwork:
    """A program whose popcounts are circuits.

    Parameters
    ----------
    program
        The program.
    circuits
        A circuit for each layer that has one of its own, by the name of its dot product.
    exact
        Makes the circuits of all later layers.
    thresholds
        Layers' thresholds in units of their circuits' values, as `Stage.decided_by` takes them;
        where none are given, a circuit's value by its divisor, rounded down, is compared as an
        exact count is. A bit is ``value >= threshold`` or, for falling neurons,
        ``value <= threshold``.

    Raises
    ------
    ConfigError
        If a layer does not exist, or is none that circuits can do; or its circuit has another
        number of inputs; or what lies between layers is no chain.
    """

    def __init__(
        self,
        program: Program,
        circuits: Mapping[str, Circuit],
        exact: Exact,
        thresholds: Mapping[str, npt.NDArray[np.int64]] | None = None,
    ) -> None:
        self.program = program
        self.shapes: dict[str, SlicedShape] = {}
        self.stages: list[Stage | o.MaxPool2d] = []
        self._compiled: dict[str, Compiled] = {}
        dots, fused = _layers(program)
        made = [f.dot.op.output for f in fused.values()]
        for name in circuits:
            if name not in made:
                raise ConfigError(
                    f"'{name}' is no layer of bits with a threshold behind it",
                    f"layers that circuits can do: {', '.join(made) or 'none'}",
                )
        if not circuits:
            raise ConfigError("no layer has a circuit", "name one")
        self.entry, sliced, rest, missing = _parts(program, circuits, dots, fused)
        self.exit = sliced[-1].output
        if missing:
            raise ConfigError(
                f"'{missing[0]}' depends on more than '{self.exit}', the last bits of the layers "
                "with circuits",
                "run it as a CircuitGraph",
            )
        readers = [dot for dot in dots.values() if dot.method == "binary"]
        self.shapes[self.entry] = sliced_shape(program, self.entry, readers)
        for op in sliced:
            self.shapes[op.output] = sliced_shape(program, op.output, readers)
            if isinstance(op, o.Threshold):
                one = fused[op.output]
                name = one.dot.op.output
                circuit = circuits.get(name) or exact(one.dot.weights[0].size)
                self.stages.append(self._stage(op, one, circuit, (thresholds or {}).get(name)))
            elif isinstance(op, o.MaxPool2d):
                self.stages.append(op)
        names = {getattr(op, field) for op in rest for field in op.constants}
        tail = Program(
            input_name=self.exit,
            input_type=program.types[self.exit],
            ops=tuple(rest),
            tensors={name: program.tensors[name] for name in names},
            outputs=program.outputs,
        )
        self.head = NativeProgram(program, keep=[self.entry])
        self.tail = NativeProgram(tail)

    def _stage(
        self,
        op: o.Threshold,
        fused: Fused,
        circuit: Circuit,
        given: npt.NDArray[np.int64] | None,
    ) -> Stage:
        dot = fused.dot
        exact = exact_thresholds(self.program, op, dot)
        stage = Stage(
            dot.op.output,
            dot.source,
            op.output,
            circuit_layer(dot, circuit, self.shapes[dot.source], self._compiled),
            self.program.tensor(op, "rising"),
            exact,
            exact,
            SlicedShape(map_shape(Bits(dot.bounds.shape))) if fused.pool else None,
            fused.pool,
        )
        return stage.decided_by(stage.naive if given is None else given)

    def run(
        self, batch: Any, *, threads: int | None = None, observe: Observer | None = None
    ) -> dict[str, Array]:
        """Run the network on a batch.

        Parameters
        ----------
        batch
            As for `NativeProgram.run`.
        threads
            How many threads to use; by default one for each core that this process may use.
        observe
            Sees the values of the first 512 images as they are made.

        Returns
        -------
        dict
            The program's outputs, as `NativeProgram.run` returns them.
        """
        images = check_batch(self.program, batch)
        for stage in self.layers:
            code = stage.layer.code  # compiled when first asked for: not by two threads at once
            _ = code.prepare, code.decide
        return in_blocks(self._block, images, threads, observe)

    @property
    def layers(self) -> list[Stage]:
        """The layers that circuits do, in order."""
        return [stage for stage in self.stages if isinstance(stage, Stage)]

    @property
    def bits(self) -> tuple[str, ...]:
        """The bits that circuits decide, after a pool behind them, by name."""
        return tuple(stage.bits for stage in self.layers)

    def decide_by(self, name: str, thresholds: npt.NDArray[np.int64]) -> None:
        """Give a layer, by its dot product's name, thresholds as `Stage.decided_by` takes them."""
        for k, stage in enumerate(self.stages):
            if isinstance(stage, Stage) and stage.name == name:
                self.stages[k] = stage.decided_by(thresholds)

    def enter(self, images: Array) -> dict[str, Array]:
        """Return the sliced map of the first bits of at most 512 images, by its name."""
        entry = self.shapes[self.entry]
        array = entry.allocate()
        packed = self.head.run(images, threads=1, packed=True)[self.entry]
        slice_words(packed, entry.interior(array))
        return {self.entry: array}

    def step(self, stage: Stage | o.MaxPool2d, maps: dict[str, Array]) -> None:
        """Add the sliced bits that a stage makes to `maps`."""
        name = stage.bits if isinstance(stage, Stage) else stage.output
        maps[name] = self.shapes[name].allocate()
        out = self.shapes[name].interior(maps[name])
        if isinstance(stage, Stage):
            stage.decide(maps[stage.source], out)
        else:
            inside = self.shapes[stage.input].interior(maps[stage.input])
            nothing = np.zeros(out.shape[2], np.uint64)
            pool(inside, stage.kernel, stage.stride, stage.padding, nothing, out)

    def source(self, stage: Stage, maps: dict[str, Array]) -> Array:
        """Return the sliced map that a layer reads."""
        return maps[stage.source]

    def words(
        self, name: str, maps: dict[str, Array], images: int, rows: slice = slice(None)
    ) -> Array:
        """Return the packed bits of a value, (images, rows, columns, words), of so many images."""
        return unslice_words(self.shapes[name].interior(maps[name])[rows], images)

    def _block(self, images: Array, observe: Observer | None) -> dict[str, Array]:
        maps = self.enter(images)
        for stage in self.stages:
            if observe is not None:
                observe(stage, maps)
            self.step(stage, maps)
        if observe is not None:
            observe(None, maps)
        words = self.words(self.exit, maps, len(images))
        value = self.program.types[self.exit]
        bits = binary.unpack_channels(words, map_shape(value)[2])
        return self.tail.run(bits.reshape(len(images), *value.shape), threads=1)


def is_chain(program: Program, names: Collection[str]) -> bool:
    """Return whether `CircuitNetwork` can run circuits in these layers."""
    dots, fused = _layers(program)
    if not set(names) <= {f.dot.op.output for f in fused.values()}:
        return False
    return not _parts(program, names, dots, fused)[3]


def circuit_layer(
    dot: Dot, circuit: Circuit, source: SlicedShape, compiled: dict[str, Compiled]
) -> SlicedLayer:
    """Return a dot product's circuit on its weights; equal circuits are compiled once.

    Raises
    ------
    ConfigError
        If the circuit has another number of inputs than the dot product.
    """
    name, fan_in = dot.op.output, dot.weights[0].size
    if circuit.inputs != fan_in:
        raise ConfigError(
            f"layer '{name}' has a fan-in of {fan_in}, its circuit {circuit.inputs} inputs",
            f"give a circuit of {fan_in} inputs",
        )
    code = compiled.setdefault(circuit.digest, Compiled(circuit))
    return SlicedLayer(code, dot.weights, dot.windows, source)


def in_blocks(
    block: Callable[[Array, Observer | None], dict[str, Array]],
    images: Array,
    threads: int | None,
    observe: Observer | None,
) -> dict[str, Array]:
    """Run 512 images at a time, each block on one thread; the first one is observed."""
    starts = range(0, len(images), SAMPLES)

    def one(start: int) -> dict[str, Array]:
        return block(images[start : start + SAMPLES], None if start else observe)

    workers = max(1, threads or len(os.sched_getaffinity(0)))
    if len(starts) == 1 or workers == 1:
        parts = [one(start) for start in starts]
    else:
        with ThreadPoolExecutor(workers) as pool_of_threads:
            parts = list(pool_of_threads.map(one, starts))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _layers(program: Program) -> tuple[dict[str, Dot], dict[str, Fused]]:
    """Return the dot products by name, and the thresholds that follow those of bits."""
    dots = {
        op.output: dot_of(program, op) for op in program.ops if isinstance(op, o.Conv2d | o.Dense)
    }
    fused = find_fused(program, program.outputs, dots)
    return dots, {name: f for name, f in fused.items() if f.dot.method == "binary"}


def _parts(
    program: Program, names: Iterable[str], dots: Mapping[str, Dot], fused: Mapping[str, Fused]
) -> tuple[str, list[o.Op], list[o.Op], list[str]]:
    """Return the first bits that are sliced, the ops on sliced bits, those after them, and the
    outputs that these do not make.
    """  # noqa: D205 - four things
    wanted = set(names)
    first = next(op.output for op in program.ops if op.output in wanted)
    entry = dots[first].source
    known, sliced = {entry}, list[o.Op]()
    for op in program.ops:
        if isinstance(op, o.Threshold) and op.output in fused:
            if fused[op.output].dot.source not in known:
                continue
        elif not (isinstance(op, o.MaxPool2d) and op.input in known):
            continue
        known.add(op.output)
        sliced.append(op)
    after, rest = {sliced[-1].output}, []
    for op in program.ops:
        if set(op.inputs) <= after:
            rest.append(op)
            after.add(op.output)
    return entry, sliced, rest, [name for name in program.outputs if name not in after]
