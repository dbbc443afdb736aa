"""Whole kernels made from each other: spanning trees, and trees with virtual kernels.

A spanning tree leaves the fewest bits if only the layer's kernels are made (Prim's algorithm, over
distances between kernels and complements). Virtual kernels, majorities of some that are alike,
leave fewer (`bitwright.targets.reuse.static.parsimony`), and twice as many merges.
"""

from __future__ import annotations

import numpy as np

from bitwright.errors import ConfigError
from bitwright.targets.reuse.graph import AdderGraph, Integers
from bitwright.targets.reuse.static.improve import improved, moved
from bitwright.targets.reuse.static.parsimony import PASSES, parsimonious
from bitwright.targets.reuse.static.rooted import (
    Indices,
    RootedTree,
    Rows,
    centred,
    distances,
    distinct,
    merge_bits,
)

ROOTS = 32
"""So many kernels, those nearest to all others, are tried as the root of a shallow tree."""


def spanning_tree(weights: Integers, *, depth: int | None = None) -> AdderGraph:
    """Return a layer whose kernels are made from one another.

    There is one merge less than there are kernels, whatever the tree.

    Parameters
    ----------
    weights
        (neurons, fan-in) of -1 and +1.
    depth
        Of the deepest node, where the root's is 0; at least 1. Without it the tree is the one of
        fewest bits, with its root in the middle; with it, the best that is found.

    Raises
    ------
    ConfigError
        If the weights or the depth are no such thing.
    """
    check_depth(depth)
    kernels = distinct(weights)
    return minimum_tree(kernels.rows, depth).graph(kernels.which, kernels.signs)


def steiner_tree(
    weights: Integers, *, merge_cost: int | None = None, passes: int = PASSES
) -> AdderGraph:
    """Return a layer whose kernels are made from one another and from virtual kernels.

    Parameters
    ----------
    weights
        (neurons, fan-in) of -1 and +1.
    merge_cost
        What it costs to add a parent to a node, in bits that are added up: what a virtual kernel
        must save. By default the bits of a count up to the fan-in.
    passes
        Of the search, at most: `bitwright.targets.reuse.static.parsimony.parsimonious`.

    Raises
    ------
    ConfigError
        If the weights are no such thing.
    """
    kernels = distinct(weights)
    tree = minimum_tree(kernels.rows)
    if len(kernels.rows) > 2:
        cost = merge_bits(kernels.inputs) if merge_cost is None else merge_cost
        found = centred(improved(centred(parsimonious(tree, passes=passes)), cost))
        tree = min(found, tree, key=lambda tree: tree.cost(cost))
    return tree.graph(kernels.which, kernels.signs)


def check_depth(depth: int | None) -> None:
    """Refuse a depth that no tree has.

    Raises
    ------
    ConfigError
        If it is below 1.
    """
    if depth is not None and depth < 1:
        raise ConfigError(
            f"no tree over kernels has depth {depth}", "give a depth of 1 or more, or none"
        )


def minimum_tree(rows: Rows, depth: int | None = None) -> RootedTree:
    """Return a tree over kernels alone, the one of fewest bits if no depth limits it.

    Parameters
    ----------
    rows
        (kernels, fan-in) of -1 and +1; none equals another or its complement.
    depth
        Of the deepest node.
    """
    bits = distances(rows)
    if depth is None:
        return centred(RootedTree(rows, prim(bits, 0), len(rows)))
    nearest = np.argsort(bits.sum(0), kind="stable")[:ROOTS]
    found = (RootedTree(rows, prim(bits, int(root), depth), len(rows)) for root in nearest)
    return moved(min(found, key=lambda tree: tree.cost(0)), depth)


def prim(bits: Integers, root: int, depth: int | None = None) -> Indices:
    """Return the parents in a tree that grows by the nearest node each time, -1 for the root.

    Of equally near places it takes the least deep one. Takes time as the square of the nodes.

    Parameters
    ----------
    bits
        (nodes, nodes) distances.
    root
        Where it grows from.
    depth
        Of the deepest node; with it the tree is not always the one of fewest bits.
    """
    nodes = len(bits)
    limit = nodes if depth is None else depth
    outside = np.iinfo(np.int64).max
    parents, levels = np.full(nodes, -1, np.int64), np.zeros(nodes, np.int64)
    waiting, keys = np.ones(nodes, np.bool_), np.full(nodes, outside)
    node = root
    for _ in range(nodes - 1):
        waiting[node], keys[node] = False, outside
        if levels[node] < limit:
            offered = bits[node] * np.int64(nodes) + levels[node]
            nearer = waiting & (offered < keys)
            keys[nearer], parents[nearer] = offered[nearer], node
        node = int(keys.argmin())
        levels[node] = levels[parents[node]] + 1
    return parents
