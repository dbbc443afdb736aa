"""What an adder graph takes to compute, counted."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bitwright.targets.reuse.graph import AdderGraph
from bitwright.targets.reuse.static.rooted import Indices

BLOCK = 256
"""So many inputs' coefficients in all nodes are held at a time."""


@dataclass(frozen=True)
class Operations:
    """What all dot products of one window take.

    Parameters
    ----------
    neurons, inputs
        Of the layer.
    nodes
        Of the graph.
    xnors
        Bit operations left: terms that read an input.
    adds
        Additions and subtractions of two numbers: of each node its terms but one.
    merges
        Terms that read a node.
    merge_bits
        Bits of the numbers that merges read. If the absolute values of a node's coefficients of
        the inputs add up to s, it is known by a count up to s, in as many bits as s has.
    depth
        Merges on the longest way from an input to a neuron.
    """

    neurons: int
    inputs: int
    nodes: int
    xnors: int
    adds: int
    merges: int
    merge_bits: int
    depth: int

    @property
    def dense_xnors(self) -> int:
        """Bit operations of a layer that shares nothing: one for each weight."""
        return self.neurons * self.inputs

    @property
    def dense_adds(self) -> int:
        """Additions of two numbers in a layer that shares nothing."""
        return self.neurons * (self.inputs - 1)

    @property
    def xnors_left(self) -> float:
        """Bit operations left, as a part of those of a layer that shares nothing."""
        return self.xnors / self.dense_xnors

    @property
    def bits_left(self) -> float:
        """Bits of all numbers that are added up, as a part of those of a layer that shares nothing.

        There each number is one bit: that of an XNOR.
        """
        return (self.xnors + self.merge_bits) / self.dense_xnors


def count_operations(graph: AdderGraph) -> Operations:
    """Return what an adder graph takes to compute.

    Every node counts, whether or not a neuron needs it.
    """
    terms = np.diff(graph.starts)
    merged = graph.sources[graph.sources >= graph.inputs] - graph.inputs
    _, bits = np.frexp(node_sums(graph)[merged].astype(np.float64))
    return Operations(
        neurons=len(graph.outputs),
        inputs=graph.inputs,
        nodes=graph.nodes,
        xnors=len(graph.sources) - len(merged),
        adds=int(np.maximum(terms - 1, 0).sum()),
        merges=len(merged),
        merge_bits=int(bits.sum()),
        depth=int(graph.depth.max(initial=0)),
    )


def node_sums(graph: AdderGraph) -> Indices:
    """Return the sum of the absolute values of each node's coefficients of the inputs, (nodes,)."""
    sums = np.zeros(graph.nodes, np.int64)
    rows = np.zeros((graph.nodes, min(BLOCK, graph.inputs)), np.int32)
    for first in range(0, graph.inputs, BLOCK):
        _expand(graph.starts, graph.sources, graph.coefficients, graph.inputs, first, rows)
        sums += np.abs(rows).sum(1)
    return sums


@njit(cache=True, nogil=True)
def _expand(starts, sources, coefficients, inputs, first, rows):
    """Set each node's coefficients of the inputs from `first` on, as many as rows are wide."""
    for node in range(len(rows)):
        for i in range(rows.shape[1]):
            rows[node, i] = 0
        for term in range(starts[node], starts[node + 1]):
            source, coefficient = sources[term], coefficients[term]
            if source >= inputs:
                for i in range(rows.shape[1]):
                    rows[node, i] += coefficient * rows[source - inputs, i]
            elif first <= source < first + rows.shape[1]:
                rows[node, source - first] += coefficient
