"""Any network with circuits in it: they make dot products, the native engine does the rest.

Requirements:

- A circuit's value becomes a signed dot product by an integer table, and stays within the bounds
  that the program states for it; what follows cannot tell the difference.
- The program is cut at its circuits (`bitwright.native.parts`); the native engine runs the rest.
- A value is dropped when its last reader has run.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bitwright.circuits.circuit import Circuit
from bitwright.circuits.jit import Compiled
from bitwright.errors import ConfigError
from bitwright.ir import ops as o
from bitwright.ir.program import Program, check_batch
from bitwright.ir.types import Bits
from bitwright.native import binary
from bitwright.native.convolution import Dot, dot_of
from bitwright.native.geometry import map_shape
from bitwright.native.parts import Part, Sum, cut, reads
from bitwright.native.sliced import SlicedLayer, SlicedShape, slice_words
from bitwright.native.sliced_network import Observer, circuit_layer, in_blocks
from bitwright.native.sliced_stage import padded_products, sliced_shape

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CircuitDot:
    """A dot product that a circuit does.

    Parameters
    ----------
    name, source
        The dot product and the bits that it reads.
    layer
        The circuit on the weights.
    shape
        How the source lies when sliced.
    offsets
        What border windows add to a dot product, (classes of windows, neurons).
    table
        The dot product of each value, from the circuit's least one on: (1 or neurons, values).
    bounds
        The least and the greatest dot product.
    """

    name: str
    source: str
    layer: SlicedLayer
    shape: SlicedShape
    offsets: Integers
    table: npt.NDArray[np.int32]
    bounds: tuple[int, int]

    def dots(self, source: Array, images: int) -> npt.NDArray[np.int32]:
        """Return the dot products of a sliced map, (images, rows, columns, neurons)."""
        values = self.layer.counts(source, images)
        classes = self.layer.classes if len(self.offsets) > 1 else self.layer.classes * 0
        _correct(
            values.reshape(images, -1, values.shape[3]), self.table, self.layer.code.least,
            self.offsets, classes, *self.bounds,
        )  # fmt: skip
        return values


Step = CircuitDot | Part | Sum


class CircuitGraph:
    """A program in which circuits do some dot products.

    Parameters
    ----------
    program
        The program.
    circuits
        The circuits by the names of their dot products.
    tables
        The dot product of each value of a circuit, as `CircuitDot` takes them, by the names of the
        dot products; where none is given, twice the value over its divisor, rounded down, less the
        fan-in.

    Raises
    ------
    ConfigError
        If a layer does not exist or is no dot product of bits, or its circuit has another number of
        inputs.
    """

    def __init__(
        self,
        program: Program,
        circuits: Mapping[str, Circuit],
        tables: Mapping[str, npt.NDArray[np.integer[Any]]] | None = None,
    ) -> None:
        self.program = program
        dots = {
            op.output: dot_of(program, op)
            for op in program.ops
            if isinstance(op, o.Conv2d | o.Dense)
        }
        possible = {name: dot for name, dot in dots.items() if dot.method == "binary"}
        for name in circuits:
            if name not in possible:
                raise ConfigError(
                    f"'{name}' is no dot product of bits",
                    f"layers that circuits can do: {', '.join(possible) or 'none'}",
                )
        self.bits = tuple(
            op.output
            for op in program.ops
            if isinstance(op, o.Threshold) and _depends(program, op.output, circuits)
        )
        self._wanted = (*program.outputs, *self.bits)
        compiled: dict[str, Compiled] = {}
        made = {
            name: _circuit_dot(program, possible[name], circuit, compiled)
            for name, circuit in circuits.items()
        }
        self.stages: list[Step] = cut(program, made, self._wanted)
        for name, table in (tables or {}).items():
            self.correct_by(name, table)
        self._last: dict[str, int] = {}
        for k, stage in enumerate(self.stages):
            for name in reads(stage):
                self._last[name] = k

    @property
    def layers(self) -> list[CircuitDot]:
        """The dot products that circuits do, in order."""
        return [stage for stage in self.stages if isinstance(stage, CircuitDot)]

    def correct_by(self, name: str, table: npt.NDArray[np.integer[Any]]) -> None:
        """Give a dot product another table of its circuit's values (`CircuitDot`)."""
        for k, stage in enumerate(self.stages):
            if isinstance(stage, CircuitDot) and stage.name == name:
                rows = np.atleast_2d(np.asarray(table, np.int32))
                self.stages[k] = replace(stage, table=np.ascontiguousarray(rows))

    def run(
        self, batch: Any, *, threads: int | None = None, observe: Observer | None = None
    ) -> dict[str, Array]:
        """Run the network on a batch; all is as for `CircuitNetwork.run`."""
        images = check_batch(self.program, batch)
        for stage in self.layers:
            code = stage.layer.code  # compiled when first asked for: not by two threads at once
            _ = code.prepare, code.count
        return in_blocks(self._block, images, threads, observe)

    def enter(self, images: Array) -> dict[str, Array]:
        """Return the values of at most 512 images before the first step."""
        value = self.program.input_type
        if isinstance(value, Bits):
            packed = images.reshape(len(images), *map_shape(value))
            return {self.program.input_name: binary.pack_channels(packed)}
        return {self.program.input_name: images}

    def step(self, stage: Step, values: dict[str, Array]) -> None:
        """Add what a step makes to `values`, and drop what no later one reads."""
        if isinstance(stage, CircuitDot):
            array = self.source(stage, values)
            made = stage.dots(array, len(values[stage.source]))
            values[stage.name] = made.reshape(len(made), *self.program.types[stage.name].shape)
        elif isinstance(stage, Sum):
            first, second = stage.op.inputs
            values[stage.op.output] = values[first] + values[second]
        else:
            source = values[stage.source]
            value = self.program.types[stage.source]
            if isinstance(value, Bits):  # the program's own input: no other root holds bits
                bits = binary.unpack_channels(source, map_shape(value)[2])
                source = bits.reshape(len(bits), *value.shape)
            values.update(stage.native.run(source, threads=1, packed=True))
        done = self.stages.index(stage)
        for name in reads(stage):
            if self._last[name] == done and name not in self._wanted:
                del values[name]

    def source(self, stage: CircuitDot, values: dict[str, Array]) -> Array:
        """Return the sliced map that a dot product reads."""
        array = stage.shape.allocate()
        slice_words(values[stage.source], stage.shape.interior(array))
        return array

    def words(
        self, name: str, values: dict[str, Array], images: int, rows: slice = slice(None)
    ) -> Array:
        """Return the packed bits of a value, (images, rows, columns, words), of so many images."""
        return values[name][:images, rows]

    def _block(self, images: Array, observe: Observer | None) -> dict[str, Array]:
        values = self.enter(images)
        for stage in self.stages:
            if observe is not None:
                observe(stage, values)
            self.step(stage, values)
        if observe is not None:
            observe(None, values)
        return {name: self._output(name, values[name]) for name in self.program.outputs}

    def _output(self, name: str, array: Array) -> Array:
        value = self.program.types[name]
        if isinstance(value, Bits):
            array = binary.unpack_channels(array, map_shape(value)[2])
        else:
            array = array.astype(np.int32, copy=False)  # an image may come as bytes
        return array.reshape(len(array), *value.shape)


def dot_tables(stage: CircuitDot, counts: npt.NDArray[Any]) -> Integers:
    """Return a table of dot products from the counts of matches that values stand for.

    Rounded to the nearest integer, halves to even.
    """
    return np.asarray(np.rint(2 * counts - stage.layer.weights[0].size), np.int64)


def _depends(program: Program, name: str, on: Mapping[str, Any]) -> bool:
    """Whether a value depends on any of some others."""
    seen, todo = set(), [name]
    while todo:
        one = todo.pop()
        if one in on:
            return True
        if one not in seen and one in program.definitions:
            seen.add(one)
            todo += program.definitions[one].inputs
    return False


def _circuit_dot(
    program: Program, dot: Dot, circuit: Circuit, compiled: dict[str, Compiled]
) -> CircuitDot:
    shape = sliced_shape(program, dot.source, [dot])
    layer = circuit_layer(dot, circuit, shape, compiled)
    lost, counted = padded_products(dot)
    values = layer.code.least + np.arange(1 << layer.code.planes)
    bounds = (dot.bounds.lo, dot.bounds.hi)
    empty = np.zeros((1, 0), np.int32)
    made = CircuitDot(dot.op.output, dot.source, layer, shape, lost - 2 * counted, empty, bounds)
    table = dot_tables(made, values // circuit.divisor).astype(np.int32)
    return replace(made, table=table[None])


@njit(cache=True, nogil=True)
def _correct(values, table, least, offsets, classes, low, high):
    several = table.shape[0] > 1
    for image in range(values.shape[0]):
        for p in range(values.shape[1]):
            row = offsets[classes[p]]
            for k in range(values.shape[2]):
                at = values[image, p, k] - least
                dot = table[k if several else 0, at] + row[k]
                values[image, p, k] = min(max(dot, low), high)
