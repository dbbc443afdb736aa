"""The full cost of a layer's adder graph: adders, registers, selection, indices, buffers, control.

Requirements:

- Every design, the dense one too, is an adder graph and is priced by the same pieces
  (`bitwright.targets.reuse.prices`).
- ``hardwired``: the weights are wires, as `bitwright.targets.reuse.datapath` builds them. What a
  node reads is decided when the chip is made.
- ``programmed``: the weights, or what stands for them, are held in registers that do not change
  while a layer runs. A dense design compares each input with a weight bit; any other has to select
  what each term reads, by an index that is stored.
- Numbers of a graph are known by which of their bits there are: `mask` has bit e set where there is
  a wire of weight 2**e. The same rules as in `bitwright.circuits.columns` say what adding them up
  takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bitwright.targets.reuse.datapath import read_later
from bitwright.targets.reuse.graph import AdderGraph, Integers
from bitwright.targets.reuse.prices import PieceTable, Price

Style = Literal["hardwired", "programmed"]
PARTS = (
    "sums of inputs",
    "sums of nodes",
    "selection",
    "pipeline",
    "thresholds",
    "activations",
    "control",
)
"""What a cost is made of, in the order in which it is shown."""


@dataclass(frozen=True)
class LayerShape:
    """What a cost needs to know of a layer beside its graph.

    Parameters
    ----------
    name
        Of its dot product.
    neurons, fan_in
        Of its weights.
    windows
        Of an image.
    input_bits
        Of each activation: 1 for bits.
    rows, channels
        Of the kernel: each activation is read once by each kernel row.
    decides
        Whether a threshold follows.
    """

    name: str
    neurons: int
    fan_in: int
    windows: int
    input_bits: int
    rows: int
    channels: int
    decides: bool = True

    @property
    def operations(self) -> int:
        """Bit operations of an image where nothing is left out."""
        return self.neurons * self.fan_in * self.windows * self.input_bits


@dataclass(frozen=True)
class Cost:
    """What a design of a layer takes.

    Parameters
    ----------
    parts
        By the names of `PARTS`: of one window.
    windows
        Of an image.
    delay_s
        Of its slower stage.
    adders
        Full adders, half ones as halves.
    registers
        Bits held between stages.
    index_bits
        Bits that say what is selected.
    """

    parts: Mapping[str, Price]
    windows: int
    delay_s: float
    adders: float
    registers: int
    index_bits: int

    @property
    def total(self) -> Price:
        """Of one window."""
        return sum(self.parts.values(), Price())

    @property
    def energy_j(self) -> float:
        """Of an image."""
        return self.total.energy_j * self.windows


def cost_of(
    graph: AdderGraph,
    layer: LayerShape,
    table: PieceTable,
    *,
    style: Style = "hardwired",
    cut: int | None = 0,
    reach: int = 0,
) -> Cost:
    """Return the cost of a layer's graph.

    Parameters
    ----------
    cut
        Where the register is, as `bitwright.targets.reuse.datapath` has it; None for none at all,
        which makes everything one stage.
    reach
        Of a programmed design: among how many inputs each term is selected, the tile's width; 0
        for all. Dense nodes, which read all inputs, select nothing.
    """
    walk = _Walk(graph, layer, table, style, cut, reach or layer.fan_in)
    walk.run()
    activations = table.held * (layer.fan_in * layer.input_bits)
    traffic = layer.channels * layer.input_bits * (1 + layer.rows)
    activations = activations + Price(table.held.energy_j * traffic)
    bits = max(1, int(layer.windows).bit_length())
    counter = table.held + table.each("sum", 2, 3)
    parts = {
        "sums of inputs": walk.inputs,
        "sums of nodes": walk.nodes,
        "selection": walk.selection,
        "pipeline": table.held * walk.registers,
        "thresholds": walk.thresholds,
        "activations": activations,
        "control": counter * bits,
    }
    stages = walk.delays
    delay = max(stages) if cut is not None else sum(stages)
    return Cost(parts, layer.windows, delay, walk.adders, walk.registers, walk.index_bits)


def compressed(heights: list[int]) -> tuple[float, int]:
    """Return the adders that columns of these heights take, and the mask of the sum.

    A half adder counts one half.
    """
    adders, mask, carried, exponent = 0.0, 0, 0, 0
    while exponent < len(heights) or carried:
        height = carried + (heights[exponent] if exponent < len(heights) else 0)
        carried = height // 2
        if height:
            adders += (height - 1) // 2 + 0.5 * ((height - 1) % 2)
            mask |= 1 << exponent
        exponent += 1
    return adders, mask


class _Walk:
    """Goes through a graph's nodes and adds up what they take."""

    def __init__(
        self,
        graph: AdderGraph,
        layer: LayerShape,
        table: PieceTable,
        style: Style,
        cut: int | None,
        reach: int,
    ) -> None:
        self.graph, self.layer, self.table = graph, layer, table
        self.style, self.reach = style, reach
        self.cut = int(graph.depth.max(initial=0)) + 1 if cut is None else cut
        self.one_stage = cut is None
        self.inputs = self.nodes = self.selection = self.thresholds = Price()
        self.adders, self.registers, self.index_bits = 0.0, 0, 0
        self.delays = [0.0, 0.0]
        self._masks: dict[int, int] = {}
        self._merges: dict[int, int] = {}

    def run(self) -> None:
        """Visit all nodes, then the thresholds."""
        graph = self.graph
        later = set() if self.one_stage else read_later(graph, self.cut)
        for node in range(graph.nodes):
            self._visit(node, graph.inputs + node in later)
        self.registers += sum(wire < graph.inputs for wire in later) * self.layer.input_bits
        if self.layer.decides:
            for wire in graph.outputs.tolist():
                bits = self._mask(wire).bit_count()
                self.thresholds = self.thresholds + self.table.each("compare", bits) * bits
            self.thresholds = self.thresholds + self.table.held * len(graph.outputs)
            self.delays[1] += self.table.delay("compare", 12)

    def _visit(self, node: int, later: bool) -> None:
        graph, wire = self.graph, self.graph.inputs + node
        sources, coefficients = graph.terms(node)
        is_input = sources < graph.inputs
        inner = list(
            zip(sources[~is_input].tolist(), coefficients[~is_input].tolist(), strict=True)
        )
        whole = bool(graph.depth[node] < self.cut)
        factors = np.abs(coefficients[is_input])
        parts: list[tuple[int, int]] = []
        if whole and inner:
            parts = [(self._mask(0), factor) for factor in factors.tolist()]
        elif len(factors):
            parts = [(self._sum_inputs(factors), 1)]
            if later and not whole:
                self.registers += parts[0][0].bit_count()
        parts += [(self._mask(source), abs(factor)) for source, factor in inner]
        self._masks[wire] = self._sum_nodes(parts, [s for s, _ in inner], wire, whole)
        if later and whole:
            self.registers += self._masks[wire].bit_count()
        self._choose(int(is_input.sum()), [self._mask(source) for source, _ in inner])

    def _sum_inputs(self, factors: Integers) -> int:
        """Add up the inputs that a node reads; return the sum's mask."""
        width = self.layer.input_bits
        size = len(factors)
        doubled = int((factors == 2).sum())
        heights = [size - doubled, *[size] * (width - 1), doubled]
        adders, mask = compressed(heights)
        if adders:
            self.adders += adders
            if self.style == "programmed" and size == self.layer.fan_in and width == 1:
                price = self.table.each("match", size) * size
            else:
                price = self.table.each("sum", size, width) * adders
            self.inputs = self.inputs + price
            self.delays[0] = max(self.delays[0], self.table.delay("sum", size, width))
        return mask

    def _sum_nodes(
        self, parts: list[tuple[int, int]], sources: list[int], wire: int, whole: bool
    ) -> int:
        """Add up numbers; return the sum's mask."""
        length = max((mask.bit_length() + factor - 1 for mask, factor in parts), default=0)
        heights = [0] * length
        for mask, factor in parts:
            for bit in range(mask.bit_length()):
                heights[bit + factor - 1] += mask >> bit & 1
        adders, mask = compressed(heights)
        steps = max((self._merges.get(source, 0) for source in sources), default=0)
        if len(parts) > 1:
            steps += 1
            self.adders += adders
            if len(parts) == 2:
                price, delay = self.table.merged(steps), self.table.delay("merge", steps)
            else:
                price = self.table.each("sum", len(parts), 3)
                delay = self.table.delay("sum", len(parts), 3)
                delay += self.table.delay("merge", steps - 1) if steps > 1 else 0.0
            self.nodes = self.nodes + price * adders
            stage = 0 if whole and not self.one_stage else 1
            self.delays[stage] = max(self.delays[stage], delay)
        self._merges[wire] = 0 if whole and not self.one_stage else steps
        return mask

    def _choose(self, inputs: int, numbers: list[int]) -> None:
        """Account for what selects a node's terms, where weights are not wires."""
        if self.style == "hardwired" or (inputs == self.layer.fan_in and not numbers):
            if self.style == "programmed":
                self.index_bits += inputs
                self.selection = self.selection + Price(0.0, self.table.held.area) * inputs
            return
        each = max(1, (self.reach - 1).bit_length())
        selector = self.table.each("select", max(2, self.reach)) * max(2, self.reach)
        bits = inputs + sum(mask.bit_count() for mask in numbers)
        index = each * (inputs + len(numbers))
        self.index_bits += index
        self.selection = self.selection + selector * bits + Price(0.0, self.table.held.area) * index

    def _mask(self, wire: int) -> int:
        if wire < self.graph.inputs:
            return (1 << self.layer.input_bits) - 1
        return self._masks[wire]
