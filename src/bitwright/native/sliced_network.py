"""Whole networks in which circuits do the popcounts, 512 images at a time.

Requirements:

- The first ops, up to the first layer with a circuit, run on the native engine; from there bits
  stay sliced through layers, pools and flattenings; the last ops run on the native engine again.
- What lies between must be a chain: dot products of bits with a threshold behind them, perhaps a
  max-pool between, and what only moves bits. Anything else is refused by its name.
- A layer without a circuit of its own counts exactly, by `exact`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
from bitwright.native.geometry import NO_HALO, map_shape
from bitwright.native.sliced import SlicedLayer, SlicedShape, pool, slice_words, unslice_words

Array = npt.NDArray[Any]

Exact = Callable[[int], Circuit]
"""Returns the exact popcount of a fan-in."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A layer of the sliced part: what it reads, its circuit, and the bits that it makes.

    Parameters
    ----------
    name
        The dot product's name.
    source, bits
        The values that it reads and makes.
    layer
        The circuit on the weights.
    rising
        Whether a bit is value >= threshold, or value <= threshold; (neurons,).
    exact
        The thresholds of an exact circuit, (classes of windows, neurons).
    limits
        What the circuit's values are compared with, as `SlicedLayer.decide` takes it.
    unpooled, pool
        The bits before a max-pool behind it, if there is one.
    """

    name: str
    source: str
    bits: str
    layer: SlicedLayer
    rising: npt.NDArray[np.bool_]
    exact: npt.NDArray[np.int64]
    limits: npt.NDArray[np.int64]
    unpooled: SlicedShape | None
    pool: o.MaxPool2d | None

    @property
    def inverted(self) -> npt.NDArray[np.uint64]:
        """All ones for the neurons of which a pool takes the AND, zeros where it takes the OR."""
        return np.where(self.rising, 0, -1).astype(np.int64).view(np.uint64)

    @property
    def shifts(self) -> npt.NDArray[np.int64]:
        """How much higher the thresholds of each window are than inner ones, (windows, neurons)."""
        moved = self.exact - self.exact[0]
        classes = self.layer.classes
        return np.asarray(moved[classes if len(moved) > 1 else classes * 0])

    def decided_by(self, thresholds: npt.NDArray[np.int64]) -> Stage:
        """Return the stage with other thresholds (neurons,); border windows shift them as ever."""
        by_class = thresholds + self.exact - self.exact[0]
        limits = [self.layer.code.limits(row, self.rising) for row in by_class]
        return replace(self, limits=np.ascontiguousarray(np.stack(limits)))


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
        Layers' thresholds in units of their circuits' values, (neurons,); where none are given, a
        circuit's value divided by its divisor, rounded down, is compared as an exact count.
        A bit is ``value >= threshold`` or, for falling neurons, ``value <= threshold``.

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
        self._exact = exact
        self._compiled: dict[str, Compiled] = {}
        dots = {
            op.output: dot_of(program, op)
            for op in program.ops
            if isinstance(op, o.Conv2d | o.Dense)
        }
        fused = find_fused(program, program.outputs, dots)
        made = {f.dot.op.output: name for name, f in fused.items() if f.dot.method == "binary"}
        for name in circuits:
            if name not in made:
                raise ConfigError(
                    f"'{name}' is no layer of bits with a threshold behind it",
                    f"layers that circuits can do: {', '.join(made) or 'none'}",
                )
        first = next((op.output for op in program.ops if op.output in circuits), None)
        if first is None:
            raise ConfigError("no layer has a circuit", "name one")
        self.entry = dots[first].source
        self._plan(circuits, thresholds or {}, fused, dots)
        self.head = NativeProgram(program, keep=[self.entry])
        self.tail = NativeProgram(self._rest())

    def _plan(
        self,
        circuits: Mapping[str, Circuit],
        thresholds: Mapping[str, npt.NDArray[np.int64]],
        fused: Mapping[str, Fused],
        dots: Mapping[str, Dot],
    ) -> None:
        program = self.program
        # A tap padded with 0 adds nothing. In a halo of -1 it counts where the weight is -1, and
        # the thresholds of border windows make up for that (`_exact_thresholds`).
        paddings = {
            dot.source: (dot.padding, dot.pad_value > 0)
            for dot in dots.values()
            if dot.method == "binary" and any(dot.padding)
        }
        sliced = {self.entry}
        self._shape(self.entry, paddings)
        self.exit = self.entry
        for op in program.ops:
            if isinstance(op, o.Threshold) and op.output in fused:
                one = fused[op.output]
                if one.dot.source not in sliced or one.dot.method != "binary":
                    continue
                name = one.dot.op.output
                circuit = circuits.get(name) or self._exact(one.dot.weights[0].size)
                self.stages.append(self._stage(op, one, circuit, thresholds.get(name)))
            elif isinstance(op, o.MaxPool2d) and op.input in sliced:
                self.stages.append(op)
            else:
                continue
            sliced.add(op.output)
            self._shape(op.output, paddings)
            self.exit = op.output

    def _shape(self, name: str, paddings: Mapping[str, Any]) -> None:
        halo, ones = paddings.get(name, (NO_HALO, False))
        self.shapes[name] = SlicedShape(map_shape(self.program.types[name]), halo, ones)

    def _stage(
        self,
        op: o.Threshold,
        fused: Fused,
        circuit: Circuit,
        given: npt.NDArray[np.int64] | None,
    ) -> Stage:
        dot, name = fused.dot, fused.dot.op.output
        fan_in = dot.weights[0].size
        if circuit.inputs != fan_in:
            raise ConfigError(
                f"layer '{name}' has a fan-in of {fan_in}, its circuit {circuit.inputs} inputs",
                f"give a circuit of {fan_in} inputs",
            )
        code = self._compiled.setdefault(circuit.digest, Compiled(circuit))
        # Of floor(value / divisor): a value up to divisor - 1 beyond a multiple is that multiple.
        within = np.where(self.program.tensor(op, "rising"), 0, circuit.divisor - 1)
        exact = _exact_thresholds(self.program, op, dot) * circuit.divisor + within
        stage = Stage(
            name,
            dot.source,
            op.output,
            SlicedLayer(code, dot.weights, dot.windows, self.shapes[dot.source]),
            self.program.tensor(op, "rising"),
            exact,
            exact,
            SlicedShape(map_shape(Bits(dot.bounds.shape))) if fused.pool else None,
            fused.pool,
        )
        return stage.decided_by(exact[0] if given is None else given)

    def _rest(self) -> Program:
        """The program from the last sliced bits on."""
        program = self.program
        known, ops = {self.exit}, []
        for op in program.ops:
            if set(op.inputs) <= known:
                ops.append(op)
                known.add(op.output)
        missing = [name for name in program.outputs if name not in known]
        if missing:
            raise ConfigError(
                f"'{missing[0]}' depends on more than '{self.exit}', the last bits of the layers "
                "with circuits",
                "give circuits to networks without shortcuts",
            )
        names = {getattr(op, field) for op in ops for field in op.constants}
        return Program(
            input_name=self.exit,
            input_type=program.types[self.exit],
            ops=tuple(ops),
            tensors={name: program.tensors[name] for name in names},
            outputs=program.outputs,
        )

    def run(self, batch: Any, *, threads: int | None = None) -> dict[str, Array]:
        """Run the network on a batch.

        Parameters
        ----------
        batch
            As for `NativeProgram.run`.
        threads
            How many threads to use; by default one for each core that this process may use.

        Returns
        -------
        dict
            The program's outputs, as `NativeProgram.run` returns them.
        """
        images = check_batch(self.program, batch)
        starts = range(0, len(images), SAMPLES)
        workers = max(1, threads or len(os.sched_getaffinity(0)))
        if len(starts) == 1 or workers == 1:
            parts = [self._block(images[start : start + SAMPLES]) for start in starts]
        else:
            with ThreadPoolExecutor(workers) as pool_of_threads:
                blocks = (images[start : start + SAMPLES] for start in starts)
                parts = list(pool_of_threads.map(self._block, blocks))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    @property
    def layers(self) -> list[Stage]:
        """The layers that circuits do, in order."""
        return [stage for stage in self.stages if isinstance(stage, Stage)]

    def decide_by(self, name: str, thresholds: npt.NDArray[np.int64]) -> None:
        """Give a layer, by its dot product's name, thresholds in units of its circuit's values."""
        for k, stage in enumerate(self.stages):
            if isinstance(stage, Stage) and stage.name == name:
                self.stages[k] = stage.decided_by(np.asarray(thresholds, np.int64))

    def enter(self, images: Array) -> dict[str, Array]:
        """Return the sliced map of the first bits of at most 512 images, by its name."""
        entry = self.shapes[self.entry]
        array = entry.allocate()
        packed = self.head.run(images, threads=1, packed=True)[self.entry]
        slice_words(packed, entry.interior(array))
        return {self.entry: array}

    def step(self, stage: Stage | o.MaxPool2d, maps: dict[str, Array]) -> None:
        """Add the sliced bits that a stage makes to `maps`."""
        if isinstance(stage, Stage):
            name, source = stage.bits, maps[stage.source]
        else:
            name, source = stage.output, maps[stage.input]
        maps[name] = self.shapes[name].allocate()
        out = self.shapes[name].interior(maps[name])
        if isinstance(stage, Stage):
            self._layer(stage, source, out)
        else:
            inside = self.shapes[stage.input].interior(source)
            nothing = np.zeros(out.shape[2], np.uint64)
            pool(inside, stage.kernel, stage.stride, stage.padding, nothing, out)

    def _block(self, images: Array) -> dict[str, Array]:
        maps = self.enter(images)
        for stage in self.stages:
            self.step(stage, maps)
        words = unslice_words(self.shapes[self.exit].interior(maps[self.exit]), len(images))
        value = self.program.types[self.exit]
        bits = binary.unpack_channels(words, map_shape(value)[2])
        return self.tail.run(bits.reshape(len(images), *value.shape), threads=1)

    def _layer(self, stage: Stage, source: Array, out: Array) -> None:
        if stage.unpooled is None or stage.pool is None:
            stage.layer.decide(source, stage.limits, out)
            return
        whole = stage.unpooled.allocate()
        stage.layer.decide(source, stage.limits, whole)
        window = stage.pool
        pool(whole, window.kernel, window.stride, window.padding, stage.inverted, out)


def _exact_thresholds(program: Program, op: o.Threshold, dot: Dot) -> npt.NDArray[np.int64]:
    """Return what an exact count of matches is compared with, (classes of windows, neurons)."""
    fan_in = dot.weights[0].size
    limits = program.tensor(op, "thresholds").astype(np.int64)
    lost, counted = np.zeros((1, 1), np.int64), np.zeros((1, len(limits)), np.int64)
    if any(dot.padding) and not dot.pad_value:
        padded = dot.windows.padded_taps().astype(np.int64)
        lost = padded.sum(axis=(1, 2))[:, None] * dot.weights.shape[3]
        counted = np.tensordot(padded, (~dot.weights).sum(axis=3), ([1, 2], [1, 2]))
    # d = 2 m - n >= t where m >= (n + t) / 2, rounded up; d <= t where m is not above it.
    total = limits + fan_in - lost
    rising = program.tensor(op, "rising")
    return np.asarray(np.where(rising, -(-total // 2), total // 2) + counted)
