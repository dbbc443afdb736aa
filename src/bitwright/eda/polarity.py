"""Which adder and majority cells work on inverted signals, so that few inverters are needed.

A full adder and a majority gate are self-dual: fed with inverted inputs, they give inverted
outputs. A library whose cells invert (ASAP7's do) therefore needs no inverter between two rows of
cells that work in alternating polarity, only where rows of the same polarity meet. Gates invert,
too: an AND before such a cell is a NAND if the cell wants it inverted, else a NAND and an inverter.
Finding the least number of inverters is a maximum-cut problem; a greedy start and simulated
annealing with a fixed seed come near it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

_SWEEPS = 120
_FEWEST_STEPS = 10_000
"""Small circuits get more sweeps: with 120 some of ten nodes do not come out best."""
_HOTTEST, _COLDEST = 1.0, 0.05
"""Temperatures, in inverters."""


@dataclass(frozen=True)
class Mode:
    """One way to build a node.

    Parameters
    ----------
    inverted_inputs, inverted_outputs
        Which inputs it wants, and which outputs it gives, inverted.
    area
        Of its cell.
    """

    inverted_inputs: tuple[bool, ...]
    inverted_outputs: tuple[bool, ...]
    area: float


@dataclass(frozen=True)
class Node:
    """A cell to be placed: the ways to build it, and its nets by number."""

    modes: tuple[Mode, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def choose_modes(
    nodes: Sequence[Node],
    comes: Mapping[int, bool],
    wanted: Collection[int],
    inverter_area: float,
    seed: int = 0,
) -> tuple[int, ...]:
    """Choose how each node is built so that cells and inverters together take little area.

    Parameters
    ----------
    nodes
        Each behind those that drive it.
    comes
        Nets that no node drives, and whether they come inverted: inputs do not, nets of logic as
        its last gate gives them. Nets that are missing can be had either way.
    wanted
        Nets that are needed as they are, such as outputs.
    inverter_area
        What it costs to have a net both ways, or the other way than it comes.

    Returns
    -------
    tuple of int
        The index of each node's mode.
    """
    if not nodes:
        return ()
    state = _State(nodes, comes, wanted, inverter_area)
    state.start()
    state.anneal(random.Random(seed))  # noqa: S311 - not for secrets
    return tuple(state.best)


class _State:
    """Modes of all nodes, and what they make of the nets."""

    def __init__(
        self,
        nodes: Sequence[Node],
        comes: Mapping[int, bool],
        wanted: Collection[int],
        inverter_area: float,
    ) -> None:
        nets = {net for node in nodes for net in (*node.inputs, *node.outputs)}
        self.nodes = nodes
        self.inverter_area = inverter_area
        self.modes = [0] * len(nodes)
        self.best = list(self.modes)
        self.comes: dict[int, bool | None] = {net: comes.get(net) for net in nets}
        """Whether a net comes inverted; None if it can be had either way."""
        self.needs = {net: [int(net in wanted), 0] for net in nets}
        """How many sinks need a net straight, and inverted."""
        self.touched = [tuple({*node.inputs, *node.outputs}) for node in nodes]

    def cost(self, index: int) -> float:
        """Return the area of a node and of the inverters at its nets."""
        inverters = 0
        for net in self.touched[index]:
            straight, inverted = self.needs[net]
            comes = self.comes[net]
            if comes is None:
                inverters += straight > 0 and inverted > 0
            else:
                inverters += (straight if comes else inverted) > 0
        area = self.nodes[index].modes[self.modes[index]].area
        return area + inverters * self.inverter_area

    def place(self, index: int, mode: int, sign: int = 1) -> None:
        """Add what a node in some mode makes of its nets, or with a sign of -1 remove it."""
        node, built = self.nodes[index], self.nodes[index].modes[mode]
        self.modes[index] = mode
        for net, inverted in zip(node.inputs, built.inverted_inputs, strict=True):
            self.needs[net][inverted] += sign
        for net, inverted in zip(node.outputs, built.inverted_outputs, strict=True):
            self.comes[net] = inverted

    def switch(self, index: int, mode: int) -> None:
        self.place(index, self.modes[index], -1)
        self.place(index, mode)

    def start(self) -> None:
        """Place the nodes one by one, each as suits those before it."""
        for index, node in enumerate(self.nodes):
            self.place(index, 0)
            costs = []
            for mode in range(len(node.modes)):
                self.switch(index, mode)
                costs.append(self.cost(index))
            self.switch(index, costs.index(min(costs)))
        self.best = list(self.modes)

    def anneal(self, rng: random.Random) -> None:
        """Switch nodes at random, worse ones ever more rarely; keep the best that was seen."""
        several = [index for index, node in enumerate(self.nodes) if len(node.modes) > 1]
        gain = best_gain = 0.0
        steps = max(_SWEEPS * len(several), _FEWEST_STEPS) if several else 0
        for step in range(steps):
            temperature = _HOTTEST * (_COLDEST / _HOTTEST) ** (step / steps) * self.inverter_area
            index = several[int(rng.random() * len(several))]
            old = self.modes[index]
            new = int(rng.random() * (len(self.nodes[index].modes) - 1))
            before = self.cost(index)
            self.switch(index, new + (new >= old))
            change = self.cost(index) - before
            if change > 0 and rng.random() >= math.exp(-change / temperature):
                self.switch(index, old)
                continue
            gain -= change
            if gain > best_gain + 1e-9:
                best_gain = gain
                self.best = list(self.modes)
