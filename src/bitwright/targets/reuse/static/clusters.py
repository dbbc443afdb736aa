"""Shallow trees of kernels: virtual kernels are the majority votes of clusters of those below.

A deep tree passes a dot product on through many adders. Here the layer's kernels fall into
clusters, each made from the majority vote of its kernels; these fall into clusters again; and so
on up to one root (k-modes, where a kernel may be complemented to be like the others). That is a
start: local search within the same depth then makes the tree as cheap as it finds
(`bitwright.targets.reuse.static.improve`).
"""

from __future__ import annotations

import numpy as np

from bitwright.errors import ConfigError
from bitwright.targets.reuse.graph import AdderGraph, Integers
from bitwright.targets.reuse.static.improve import improved
from bitwright.targets.reuse.static.rooted import Indices, RootedTree, Rows, distinct, merge_bits
from bitwright.targets.reuse.static.trees import check_depth, minimum_tree

SWEEPS = 12
"""At most so often kernels change clusters; they usually settle earlier."""


def cluster_tree(
    weights: Integers,
    depth: int = 3,
    *,
    ratio: float | None = None,
    merge_cost: int | None = None,
) -> AdderGraph:
    """Return a layer whose kernels are made from those of a shallow tree.

    Parameters
    ----------
    weights
        (neurons, fan-in) of -1 and +1.
    depth
        Of the deepest node, where the root's is 0; at least 1.
    ratio
        So many kernels, about, are in a cluster at the start, more than 1. By default the ratios
        are tried that need all levels, and all but one, which leaves the search room.
    merge_cost
        What it costs to add a parent to a node, in bits that are added up: what a virtual kernel
        must save. By default the bits of a count up to the fan-in.

    Raises
    ------
    ConfigError
        If the weights, the depth or the ratio are no such thing.
    """
    check_depth(depth)
    if ratio is not None and not ratio > 1:
        raise ConfigError(f"clusters of {ratio} kernels", "give a ratio above 1, or none")
    kernels = distinct(weights)
    cost = merge_bits(kernels.inputs) if merge_cost is None else merge_cost
    count = len(kernels.rows)
    plans = [(count ** (1 / levels), levels) for levels in (depth - 1, depth) if levels]
    starts = [hierarchy(kernels.rows, *plan) for plan in ([(ratio, depth)] if ratio else plans)]
    found = (improved(start, cost, depth=depth) for start in starts)
    best = min(found, key=lambda tree: tree.cost(cost))
    return best.graph(kernels.which, kernels.signs)


def hierarchy(rows: Rows, ratio: float, depth: int) -> RootedTree:
    """Return a tree of clusters of clusters, before any search.

    Parameters
    ----------
    rows
        (kernels, fan-in) of -1 and +1; none equals another or its complement.
    ratio
        How many are in a cluster.
    depth
        It has at most so many levels below the root.
    """
    levels: list[Rows] = [rows]
    memberships: list[Indices] = []
    while len(memberships) < depth - 1 and len(levels[-1]) > ratio:
        modes, members = _clusters(levels[-1], _pieces(levels[-1], ratio))
        levels.append(modes)
        memberships.append(members)
    modes, members = _clusters(levels[-1], np.zeros(len(levels[-1]), np.int64))
    firsts = np.cumsum([len(level) for level in levels])
    parents = [m + first for m, first in zip([*memberships, members], firsts, strict=True)]
    return RootedTree(
        np.concatenate([*levels, modes]), np.append(np.concatenate(parents), -1), len(rows)
    )


def _pieces(rows: Rows, size: float) -> Indices:
    """Return the piece of each row in a spanning tree that is cut into pieces of such a size."""
    tree = minimum_tree(rows)
    held: list[list[int]] = [[row] for row in range(len(rows))]
    pieces = np.zeros(len(rows), np.int64)
    count = 0
    for row in tree.order[::-1]:
        parent = tree.parents[row]
        if parent >= 0 and len(held[row]) < size:
            held[parent] += held[row]
        else:
            pieces[held[row]] = count
            count += 1
    return pieces


def _clusters(rows: Rows, members: Indices) -> tuple[Rows, Indices]:
    """Return the modes of clusters and the cluster of each row, from clusters to start with.

    A row is in the cluster whose mode it or its complement is nearest to, a mode is the majority
    of its rows or their complements; a tie follows the mode before. There are as many clusters as
    at the start, or fewer.
    """
    _, first, members = np.unique(members, return_index=True, return_inverse=True)
    data = rows.astype(np.float32)  # exact: no sum reaches 2 ** 24
    modes = data[first]
    for _ in range(SWEEPS):
        signs = np.where(np.einsum("ij,ij->i", data, modes[members]) >= 0, 1, -1)
        belongs = np.zeros((len(modes), len(rows)), np.float32)
        belongs[members, np.arange(len(rows))] = signs
        before, modes = modes, np.sign(belongs @ data + 0.5 * modes)
        used, members = np.unique(np.abs(data @ modes.T).argmax(1), return_inverse=True)
        modes = modes[used]
        if np.array_equal(before, modes):
            break
    return modes.astype(np.int8), members.astype(np.int64)
