"""An adder graph as hardware: two stages of adders with a register between them.

Requirements:

- The weights are wired in: a bit that counts inverted is taken from the other rail of its register,
  so there are no XNOR gates, and no weights are stored or read.
- A wire stands for ``2 * u + constant`` with u an unsigned number of some bits: an input bit a is
  ``2 a - 1``. Taking a wire off is adding its inverted bits, and a constant. Constants are never
  added up, they move into the thresholds.
- The first stage adds up what each node reads of the inputs, and all of the nodes below the cut;
  a register holds those sums; the second stage adds up the nodes and compares. Without the register
  each node would pass on its parent's glitches, which doubles the energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bitwright.circuits import Circuit
from bitwright.circuits.builder import Builder
from bitwright.circuits.columns import compress
from bitwright.circuits.comparator import at_least
from bitwright.targets.reuse.graph import AdderGraph, Integers

Wires = list[tuple[int, int]]
"""Wires of a stage with their weights."""


@dataclass(frozen=True)
class Number:
    """``2 * u + constant``, u the sum of wires times their weights, all powers of two."""

    wires: Wires = field(default_factory=list)
    constant: int = 0


@dataclass(frozen=True, eq=False)
class Datapath:
    """Both stages.

    Parameters
    ----------
    first
        Inputs 0 .. n - 1 are the activations, n .. 2 n - 1 their inverted rails; outputs are what
        the register holds.
    second
        From the register to the neurons' bits, or to numbers where there are no thresholds.
    bits
        Of each neuron, where it lies in the outputs of `second`; -1 for one that is constant.
    constant
        (neurons,) the bits of neurons that are constant.
    """

    first: Circuit
    second: Circuit
    bits: tuple[int, ...]
    constant: npt.NDArray[np.bool_]

    @property
    def registers(self) -> int:
        """How many bits are held between the stages."""
        return len(self.first.outputs)

    def whole(self, *, both_rails: bool = False) -> Circuit:
        """Return both stages as one circuit without the register.

        Output i is the bit of neuron i; neurons of one bit have copies of it.

        Parameters
        ----------
        both_rails
            Whether inverted activations are inputs, as they are those of `first`.
        """
        inputs = self.first.inputs if both_rails else self.first.inputs // 2
        builder = Builder(inputs)
        rails = list(range(inputs))
        if not both_rails:
            rails += [builder.gate("NOT", i) for i in range(inputs)]
        held = _copied(builder, self.first, rails)
        ends = _copied(builder, self.second, held or [0])
        taken: set[int] = set()
        bits = []
        for place, constant in zip(self.bits, self.constant.tolist(), strict=True):
            bit = ends[place] if place >= 0 else builder.gate("CONST1" if constant else "CONST0")
            if bit in taken:
                bit = builder.gate("NOT", builder.gate("NOT", bit))
            taken.add(bit)
            bits.append(bit)
        return builder.finish((bit, 1) for bit in bits)


def datapath(
    graph: AdderGraph,
    thresholds: Integers,
    rising: npt.NDArray[np.bool_],
    *,
    cut: int = 0,
) -> Datapath:
    """Return the hardware of a layer of bits.

    Parameters
    ----------
    graph
        Of the layer, for inputs of -1 and +1.
    thresholds, rising
        (neurons,): a bit is ``dot >= threshold`` where `rising`, else ``dot <= threshold``.
    cut
        Nodes of a depth below it lie whole in the first stage.
    """
    first = Builder(2 * graph.inputs)
    register = _Register()
    held = {wire: register.keep(n) for wire, n in _first_stage(graph, first, cut).items()}
    second = Builder(max(1, len(register.wires)))
    numbers = _second_stage(graph, second, held, cut)
    outputs: dict[int, int] = {}
    bits: list[int] = []
    constant = np.zeros(len(graph.outputs), np.bool_)
    for neuron, (wire, sign) in enumerate(zip(graph.outputs, graph.signs, strict=True)):
        threshold, up = int(thresholds[neuron]), bool(rising[neuron])
        if sign < 0:
            threshold, up = -threshold, not up
        number = numbers[int(wire)]
        # dot >= t where up; dot <= t is not (dot >= t + 1)
        least = -((number.constant - (threshold if up else threshold + 1)) // 2)
        if least <= 0 or least > sum(weight for _, weight in number.wires):
            constant[neuron] = (least <= 0) == up
            bits.append(-1)
            continue
        bit = at_least(second, number.wires, least)
        bit = bit if up else second.gate("NOT", bit)
        bits.append(outputs.setdefault(bit, len(outputs)))
    return Datapath(
        first.finish((wire, 1) for wire in register.wires),
        second.finish((wire, 1) for wire in outputs),
        tuple(bits),
        constant,
    )


def _copied(builder: Builder, circuit: Circuit, inputs: Sequence[int]) -> list[int]:
    """Add a circuit's cells that read these wires; return its outputs."""
    wires = list(inputs)
    for cell in circuit.cells:
        wires += builder.add(cell.kind, *(wires[wire] for wire in cell.inputs))
    return [wires[output.wire] for output in circuit.outputs]


class _Register:
    """What the first stage hands on: each wire once."""

    def __init__(self) -> None:
        self.wires: list[int] = []
        self._place: dict[int, int] = {}

    def keep(self, number: Number) -> Number:
        """Return a number as the second stage sees it."""
        seen: Wires = []
        for wire, weight in number.wires:
            if wire not in self._place:
                self._place[wire] = len(self.wires)
                self.wires.append(wire)
            seen.append((self._place[wire], weight))
        return Number(seen, number.constant)


def read_later(graph: AdderGraph, cut: int) -> set[int]:
    """Return the wires of which the second stage reads something."""
    needed = set(graph.outputs.tolist())
    for node in np.flatnonzero(graph.depth >= cut).tolist():
        sources, _ = graph.terms(node)
        needed.update(sources[sources >= graph.inputs].tolist())
        needed.add(graph.inputs + node)
    return needed


def _first_stage(graph: AdderGraph, builder: Builder, cut: int) -> dict[int, Number]:
    """Return what the second stage reads: nodes below the cut, of others their inputs' sums."""
    numbers: dict[int, Number] = {}
    needed = read_later(graph, cut)
    found = {wire: Number([(wire, 1)], -1) for wire in needed if wire < graph.inputs}
    for node in range(graph.nodes):
        sources, coefficients = graph.terms(node)
        whole = bool(graph.depth[node] < cut)
        parts = []
        for source, coefficient in zip(sources.tolist(), coefficients.tolist(), strict=True):
            if source < graph.inputs:
                rail, sign = (source, 1) if coefficient > 0 else (source + graph.inputs, -1)
                parts.append((Number([(rail, 1)], -1), sign * coefficient))
            elif whole:
                parts.append((numbers[source], coefficient))
        wire = graph.inputs + node
        number = add(builder, parts)
        if whole:
            numbers[wire] = number
        if wire in needed:
            found[wire] = number
    return found


def _second_stage(
    graph: AdderGraph, builder: Builder, held: dict[int, Number], cut: int
) -> dict[int, Number]:
    """Add up the nodes at and above the cut; return all numbers that are there, by wire."""
    numbers = {w: n for w, n in held.items() if w < graph.inputs}
    for node in range(graph.nodes):
        wire = graph.inputs + node
        if wire not in held:
            continue
        parts = [(held[wire], 1)]
        if graph.depth[node] >= cut:
            sources, coefficients = graph.terms(node)
            for source, coefficient in zip(sources.tolist(), coefficients.tolist(), strict=True):
                if source >= graph.inputs:
                    parts.append((numbers[source], coefficient))
        numbers[wire] = add(builder, parts)
    return numbers


def add(builder: Builder, parts: Sequence[tuple[Number, int]]) -> Number:
    """Add numbers times -2, -1, 1 or 2; return the sum, on one wire a weight."""
    columns: dict[int, list[int]] = {}
    constant = 0
    for number, factor in parts:
        constant += factor * number.constant
        for wire, weight in number.wires:
            scaled = weight * abs(factor)
            source = wire
            if factor < 0:
                # -w x = w (1 - x) - w, and the number counts twice its wires
                source, constant = builder.gate("NOT", wire), constant - 2 * scaled
            columns.setdefault(scaled.bit_length() - 1, []).append(source)
    return Number(compress(builder, columns), constant)
