"""`AdderGraph`: the dot products of one layer, each from earlier ones and from a few inputs.

Requirements:

- Wires are numbered: the inputs are 0 .. inputs - 1, node k is wire inputs + k. A node reads only
  wires that were defined before it, so a graph cannot hold a loop.
- The value of a node is the sum of ``coefficient * value of its source`` over its terms. That is
  linear: what holds for inputs of -1 and +1 holds for any integers, and for 0 in padding.
- A graph says what is added, not how: whole kernels and tiles, tables and common subexpressions are
  all graphs, and one checker (`bitwright.targets.reuse.proof`) does for all of them.

With kernels w of -1 and +1, and D the places where two of them differ, ``w_j = s * w_i`` elsewhere:
``dot_j = s * dot_i + 2 * sum(w_j[D] * x[D])``. In counts of matches P that is the relation
``P_j = P_i + |D| - 2 c`` with c the matches of kernel i on D, and for s = -1 ``P(not K) = n - P``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class AdderGraph:
    """What is added up for each neuron of a layer.

    Parameters
    ----------
    inputs
        The fan-in: wires 0 .. inputs - 1.
    starts
        (nodes + 1,) int64: the terms of node k are ``starts[k] .. starts[k + 1] - 1``.
    sources
        (terms,) int32: the wire that each term reads.
    coefficients
        (terms,) int8: -2, -1, 1 or 2.
    outputs
        (neurons,) int64: the wire that holds each neuron's dot product.
    signs
        (neurons,) int64: 1 or -1; the dot product is ``sign * value of the wire``.

    Raises
    ------
    ConfigError
        If one of these rules is broken.
    """

    inputs: int
    starts: Integers
    sources: Integers
    coefficients: Integers
    outputs: Integers
    signs: Integers

    def __post_init__(self) -> None:
        nodes = np.repeat(np.arange(self.nodes), np.diff(self.starts))
        legal = (
            len(self.sources) == len(self.coefficients) == len(nodes)
            and len(self.outputs) == len(self.signs)
            and bool((self.sources >= 0).all() and (self.sources < self.inputs + nodes).all())
            and bool(np.isin(self.coefficients, (-2, -1, 1, 2)).all())
            and bool(((self.outputs >= 0) & (self.outputs < self.inputs + self.nodes)).all())
            and bool(np.isin(self.signs, (-1, 1)).all())
        )
        if not legal:
            raise ConfigError(
                "an adder graph reads what is not defined yet, or has terms that are no -2, -1, 1, "
                "2",
                "number inputs first, then nodes, and read only what is already defined",
            )

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.starts) - 1

    def terms(self, node: int) -> tuple[Integers, Integers]:
        """Return the sources and coefficients of a node."""
        span = slice(int(self.starts[node]), int(self.starts[node + 1]))
        return self.sources[span], self.coefficients[span]

    @cached_property
    def depth(self) -> Integers:
        """(nodes,): 0 for nodes that read inputs alone, else one more than the deepest source."""
        found = np.zeros(self.nodes, np.int64)
        for node in range(self.nodes):
            sources, _ = self.terms(node)
            inner = sources[sources >= self.inputs] - self.inputs
            if len(inner):
                found[node] = 1 + found[inner].max()
        return found

    def part(self, first: int, inputs: int, neurons: int) -> AdderGraph:
        """Return what some neurons add up of some inputs: a layer of its own, by linearity.

        Parameters
        ----------
        first, inputs
            The inputs first .. first + inputs - 1 stay, and are numbered anew.
        neurons
            So many stay, from the first on.

        Raises
        ------
        ConfigError
            If a neuron's wire is an input that goes.
        """
        kept = (self.sources >= self.inputs) | (
            (self.sources >= first) & (self.sources < first + inputs)
        )
        before = np.concatenate([[0], np.cumsum(kept)])

        def renumbered(wires: Integers) -> Integers:
            return np.where(wires < self.inputs, wires - first, wires - self.inputs + inputs)

        return AdderGraph(
            inputs,
            before[self.starts],
            renumbered(self.sources[kept]).astype(np.int32),
            self.coefficients[kept],
            renumbered(self.outputs[:neurons]),
            self.signs[:neurons],
        )

    def values(self, inputs: Integers) -> Integers:
        """Return the dot products of a batch.

        Parameters
        ----------
        inputs
            (fan-in, vectors) integers: input i of all vectors is a row.

        Returns
        -------
        array
            (neurons, vectors) int32.
        """
        wires = np.zeros((self.inputs + self.nodes, inputs.shape[1]), np.int32)
        wires[: self.inputs] = inputs
        for node in range(self.nodes):
            sources, coefficients = self.terms(node)
            total = wires[self.inputs + node]
            for coefficient in (-2, -1, 1, 2):
                chosen = sources[coefficients == coefficient]
                if len(chosen):
                    total += np.int32(coefficient) * wires[chosen].sum(0, dtype=np.int32)
        return self.signs[:, None].astype(np.int32) * wires[self.outputs]


class GraphBuilder:
    """A graph in the making.

    Parameters
    ----------
    inputs
        The fan-in.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self._starts = [0]
        self._sources: list[Integers] = []
        self._coefficients: list[Integers] = []

    def add(self, sources: Sequence[int] | Integers, coefficients: Sequence[int] | Integers) -> int:
        """Add a node of these terms; return its wire. A node may have no term: its value is 0."""
        self._sources.append(np.asarray(sources, np.int32))
        self._coefficients.append(np.asarray(coefficients, np.int8))
        self._starts.append(self._starts[-1] + len(self._sources[-1]))
        return self.inputs + len(self._starts) - 2

    def root(self, row: Integers) -> int:
        """Add a node that adds all inputs up: its row is a kernel of -1 and +1. Return its wire."""
        return self.add(np.arange(len(row)), row)

    def child(self, parent: int, parent_row: Integers, row: Integers) -> int:
        """Add the node of a kernel from another kernel's by the relation above; return its wire.

        Whichever of the parent and its complement differs less is taken. Both rows are of -1 and
        +1 over all inputs.
        """
        sign = 1 if int(parent_row @ row) >= 0 else -1
        differ = np.flatnonzero(row != sign * parent_row)
        sources = np.concatenate([[parent], differ])
        return self.add(sources, np.concatenate([[sign], 2 * row[differ]]))

    def finish(self, outputs: Iterable[int], signs: Iterable[int]) -> AdderGraph:
        """Return the graph whose neurons are these wires times these signs."""
        return AdderGraph(
            self.inputs,
            np.asarray(self._starts, np.int64),
            np.concatenate([np.zeros(0, np.int32), *self._sources]),
            np.concatenate([np.zeros(0, np.int8), *self._coefficients]),
            np.asarray(list(outputs), np.int64),
            np.asarray(list(signs), np.int64),
        )
