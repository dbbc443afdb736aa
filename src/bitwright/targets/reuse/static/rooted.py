"""Trees of kernels: each is made from its parent and from the inputs where the two differ.

Requirements:

- The first rows of a tree are the layer's kernels. Further rows are virtual: no neuron has them, so
  they are free to be whatever makes the tree cheap.
- A kernel is made from its parent or from the parent's complement, whichever differs less: from an
  edge to edge distance ``min(h, n - h)`` bits are left, h being the bits that differ out of n.
- The root is added up from all n inputs, whichever it is. Every other node also adds its parent:
  one merge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.targets.reuse.graph import AdderGraph, GraphBuilder, Integers
from bitwright.targets.reuse.static.words import differing

Rows = npt.NDArray[np.int8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Kernels:
    """The kernels of a layer, each once, whichever neurons have it or its complement.

    Parameters
    ----------
    rows
        (kernels, fan-in) of -1 and +1; no row equals another or its complement.
    which, signs
        (neurons,): the weights of neuron i are ``signs[i] * rows[which[i]]``.
    """

    rows: Rows
    which: Indices
    signs: Indices

    @property
    def inputs(self) -> int:
        """The fan-in."""
        return int(self.rows.shape[1])


def distinct(weights: Integers) -> Kernels:
    """Return the kernels of a layer, in the order in which they first appear.

    Parameters
    ----------
    weights
        (neurons, fan-in) of -1 and +1.

    Raises
    ------
    ConfigError
        If it is no such array, or an empty one.
    """
    if weights.ndim != 2 or not weights.size or not np.isin(weights, (-1, 1)).all():
        raise ConfigError(
            f"weights of shape {weights.shape} are no kernels of -1 and +1",
            "give an array (neurons, fan-in) of the integers -1 and 1",
        )
    signs = weights[:, 0].astype(np.int64)
    rows = (weights * weights[:, :1]).astype(np.int8)
    packed = np.packbits(rows > 0, axis=1)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    appear = np.argsort(first)
    place = np.argsort(appear)
    return Kernels(rows[first[appear]], place[which.reshape(-1)].astype(np.int64), signs)


def merge_bits(inputs: int) -> int:
    """Return the bits of a count up to the fan-in: what a merge adds to the bits that differ."""
    return inputs.bit_length()


def distances(rows: Rows) -> Integers:
    """Return in how many bits each two rows differ, or one and the complement, (rows, rows)."""
    found = differing(rows)
    return np.asarray(np.minimum(found, rows.shape[1] - found))


@dataclass(frozen=True, eq=False)
class RootedTree:
    """A tree over kernels and virtual kernels.

    Parameters
    ----------
    rows
        (nodes, fan-in) of -1 and +1.
    parents
        (nodes,): -1 for the root.
    kernels
        So many rows, the first, are kernels of the layer.
    """

    rows: Rows
    parents: Indices
    kernels: int

    @cached_property
    def order(self) -> Indices:
        """(nodes,): all nodes, level by level, so parents before their children."""
        return np.argsort(self.depth, kind="stable")

    @cached_property
    def depth(self) -> Indices:
        """(nodes,): how many edges lie between a node and the root."""
        depth = np.zeros(len(self.parents), np.int64)
        above = self.parents
        while (above >= 0).any():
            depth += above >= 0
            above = np.where(above >= 0, self.parents[above], -1)
        return depth

    @cached_property
    def edges(self) -> Integers:
        """(nodes,): in how many bits each node differs from its parent; all bits for the root."""
        children = np.flatnonzero(self.parents >= 0)
        inputs = self.rows.shape[1]
        found = np.full(len(self.parents), inputs)
        for node in children:
            differ = int(np.count_nonzero(self.rows[node] != self.rows[self.parents[node]]))
            found[node] = min(differ, inputs - differ)
        return found

    def cost(self, merge_cost: int) -> int:
        """Return the bits that are added up: those of the inputs, and of each merge so many."""
        return int(self.edges.sum()) + merge_cost * (len(self.parents) - 1)

    def add_to(self, builder: GraphBuilder, inputs: Indices) -> Indices:
        """Add the nodes to a graph; return their wires, (nodes,).

        Parameters
        ----------
        builder
            Of the graph.
        inputs
            (fan-in,): which wire each place of a row is.
        """
        wires = np.zeros(len(self.parents), np.int64)
        for node in self.order:
            parent, row = self.parents[node], self.rows[node]
            if parent < 0:
                wires[node] = builder.add(inputs, row)
                continue
            differ = row != self.rows[parent]
            sign = 1
            if 2 * np.count_nonzero(differ) > len(row):
                differ, sign = ~differ, -1
            wires[node] = builder.add(
                np.append(wires[parent], inputs[differ]), np.append(sign, 2 * row[differ])
            )
        return wires

    def graph(self, which: Indices, signs: Indices) -> AdderGraph:
        """Return the adder graph of neurons that are these rows times these signs."""
        inputs = self.rows.shape[1]
        builder = GraphBuilder(inputs)
        wires = self.add_to(builder, np.arange(inputs))
        return builder.finish(wires[which], signs)


def relabelled(tree: RootedTree) -> RootedTree:
    """Return the same tree with the virtual kernels that make it cheapest.

    For each bit on its own (which of two complements a node is stays as it is) that is exact: with
    ``votes = cost of -1 below the node - cost of +1``, a child adds its own votes to its parent's,
    clipped to one, because an edge costs at most one bit; then, from the root down, a node follows
    two votes or more, and its parent otherwise. (Sankoff's algorithm for two states.)
    """
    parents, order = tree.parents, tree.order
    rows = tree.rows.astype(np.int16)
    signs = np.ones(len(parents), np.int16)
    for node in order[1:]:
        agree = np.count_nonzero(tree.rows[node] == tree.rows[parents[node]])
        signs[node] = 1 if 2 * agree >= rows.shape[1] else -1
    votes = np.zeros_like(rows)
    for node in order[:0:-1]:
        own = rows[node] if node < tree.kernels else np.clip(votes[node], -1, 1)
        votes[parents[node]] += signs[node] * own
    for node in order:
        if node >= tree.kernels:
            above = rows[parents[node]] * signs[node] if parents[node] >= 0 else rows[node]
            tie = 1 if parents[node] >= 0 else 0
            rows[node] = np.where(np.abs(votes[node]) > tie, np.sign(votes[node]), above)
    return RootedTree(rows.astype(np.int8), parents, tree.kernels)


def centred(tree: RootedTree) -> RootedTree:
    """Return the tree with its root in the middle, where it is as shallow as can be."""
    far = int(rerooted(tree, 0).order[-1])
    longest = rerooted(tree, far)
    path = [int(longest.order[-1])]
    while path[-1] != far:
        path.append(int(longest.parents[path[-1]]))
    return rerooted(tree, path[len(path) // 2])


def rerooted(tree: RootedTree, root: int) -> RootedTree:
    """Return the tree with another root: between it and the old one edges turn round."""
    parents = tree.parents.copy()
    node, parent = root, -1
    while node >= 0:
        parents[node], parent, node = parent, node, int(parents[node])
    return RootedTree(tree.rows, parents, tree.kernels)
