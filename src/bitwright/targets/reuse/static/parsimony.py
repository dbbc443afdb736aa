"""The tree of virtual kernels that leaves the fewest bits: maximum parsimony.

A tree with the kernels as its leaves and virtual kernels in between that differ least in all is
what phylogenetics looks for, where kernels are species and bits are sites: the score of a tree is
exact by Fitch's algorithm (1971), the search moves one subtree at a time to where it costs least
(subtree pruning and regrafting), until no move helps. Here a subtree may also be complemented when
it moves, for an edge to the complement costs the same.

Requirements:

- The tree is binary. Kernel 0 is its root, the other kernels are its leaves: node i is kernel i,
  nodes from `kernels` on are virtual, and ``below[0, 1]`` is -1.
- ``may[v, s]`` are words: in which bits node v may be +1 (s = 0) or -1 (s = 1) in a cheapest
  labelling of what lies below it. Bits behind the last weight may be both everywhere, so they cost
  nothing.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

from bitwright.targets.reuse.static.rooted import Indices, RootedTree, Rows, rerooted
from bitwright.targets.reuse.static.words import Words, pack, popcount, unpack

PASSES = 20
"""At most so many passes over all subtrees; it usually settles in fewer than ten."""


def parsimonious(tree: RootedTree, *, passes: int = PASSES) -> RootedTree:
    """Return a tree over the same kernels with ``kernels - 2`` virtual ones and fewer bits.

    A pass takes about ``kernels ** 2 * fan-in`` operations on words.

    Parameters
    ----------
    tree
        Where to start: a tree of kernels alone, at least three.
    passes
        How often at most each subtree is looked at.
    """
    tree = rerooted(tree, 0)
    below, above = _binary(tree)
    rows = _aligned(tree)
    inputs = rows.shape[1]
    may = np.zeros((len(above), 2, -(-inputs // 64)), np.uint64)
    spare = ~pack(np.ones((1, inputs), np.bool_))
    may[: len(rows), 0] = pack(rows > 0) | spare
    may[: len(rows), 1] = pack(rows < 0) | spare
    _search(may, np.zeros_like(may), below, above, passes)
    labels = _labels(may, below, above, inputs)
    labels[: len(rows)] = tree.rows  # and not the complement
    return RootedTree(labels, above, tree.kernels)


def _binary(tree: RootedTree) -> tuple[Indices, Indices]:
    """Return a binary tree with the kernels as leaves, (nodes, 2) children and (nodes,) parents."""
    count = tree.kernels
    below = np.full((2 * count - 2, 2), -1, np.int64)
    above = np.full(2 * count - 2, -1, np.int64)
    tops: list[list[int]] = [[kernel] for kernel in range(count)]
    tops[0] = []
    made = count
    for node in tree.order[::-1].tolist():
        parts = tops[node]
        while len(parts) > 1:
            below[made] = parts.pop(), parts.pop()
            above[below[made]] = made
            parts.append(made)
            made += 1
        if node:
            tops[tree.parents[node]].append(parts[0])
    below[0, 0] = tops[0][0]
    above[tops[0][0]] = 0
    return below, above


def _aligned(tree: RootedTree) -> Rows:
    """Return each kernel or its complement: whichever is nearer to what stands for its parent."""
    rows = tree.rows.copy()
    for node in tree.order[1:]:
        agree = np.count_nonzero(rows[node] == rows[tree.parents[node]])
        if 2 * agree < rows.shape[1]:
            rows[node] *= -1
    return rows


def _labels(may: Words, below: Indices, above: Indices, inputs: int) -> Rows:
    """Return a cheapest labelling: each node follows its parent wherever it may."""
    plus, minus = unpack(may[:, 0].copy(), inputs), unpack(may[:, 1].copy(), inputs)
    rows = np.where(plus, 1, -1).astype(np.int8)
    queue = [int(below[0, 0])]
    for node in queue:
        parent = rows[above[node]]
        rows[node] = np.where(np.where(parent > 0, plus[node], minus[node]), parent, -parent)
        queue += [child for child in below[node].tolist() if child >= 0]
    return rows


@njit(cache=True, nogil=True)
def _search(may, rest, below, above, passes):
    """Move subtrees until no move helps; ``rest[v]`` is what the tree but for v's subtree says."""
    nodes = len(above)
    order = np.empty(nodes, np.int64)
    for i in range(_preorder(below, below[0, 0], order) - 1, -1, -1):
        _join(may, below, order[i])
    for _ in range(passes):
        moved = False
        for v in range(1, nodes):
            # Kernel 0's only child is the whole tree.
            if above[v] != 0 and _regraft(may, rest, below, above, v, order):
                moved = True
        if not moved:
            return


@njit(cache=True, nogil=True)
def _regraft(may, rest, below, above, v, order):
    """Move the subtree of v to where it costs least; return whether that is another place."""
    p = above[v]
    sibling = below[p, 0] + below[p, 1] - v
    _replace(below, above, above[p], p, sibling)
    _refresh(may, below, above, above[sibling])
    count = _preorder(below, below[0, 0], order)
    _look_up(may, rest, below, order, count)
    best, place, turned, here = 1 << 60, sibling, False, 0
    for i in range(count):
        x = order[i]
        same, other = _prices(may, rest, x, v)
        if x == sibling:
            here = same
        if min(same, other) < best:
            best, place, turned = min(same, other), x, other < same
    if best >= here:
        place, turned = sibling, False
    if turned:
        for i in range(_preorder(below, v, order)):
            for w in range(may.shape[2]):
                x = order[i]
                may[x, 0, w], may[x, 1, w] = may[x, 1, w], may[x, 0, w]
    _replace(below, above, above[place], place, p)
    below[p, 0], below[p, 1] = place, v
    above[place] = p
    _refresh(may, below, above, p)
    return place != sibling or turned


@njit(cache=True, nogil=True)
def _prices(may, rest, x, v):
    """Return the bits that v's subtree adds on the edge above x, as it is and complemented."""
    same = other = 0
    for w in range(may.shape[2]):
        plus, minus = rest[x, 0, w] & may[x, 0, w], rest[x, 1, w] & may[x, 1, w]
        either = ~(plus | minus)
        plus |= either
        minus |= either
        same += popcount(~((plus & may[v, 0, w]) | (minus & may[v, 1, w])))
        other += popcount(~((plus & may[v, 1, w]) | (minus & may[v, 0, w])))
    return same, other


@njit(cache=True, nogil=True)
def _replace(below, above, parent, old, new):
    below[parent, 0 if below[parent, 0] == old else 1] = new
    above[new] = parent


@njit(cache=True, nogil=True)
def _refresh(may, below, above, node):
    """Set what a node may be, and all above it."""
    while node != 0:
        _join(may, below, node)
        node = above[node]


@njit(cache=True, nogil=True)
def _join(may, below, node):
    """Set what a virtual kernel may be: what both children may, else what either may."""
    left, right = below[node, 0], below[node, 1]
    if left < 0:
        return
    for w in range(may.shape[2]):
        plus, minus = may[left, 0, w] & may[right, 0, w], may[left, 1, w] & may[right, 1, w]
        either = ~(plus | minus)
        may[node, 0, w], may[node, 1, w] = plus | either, minus | either


@njit(cache=True, nogil=True)
def _look_up(may, rest, below, order, count):
    """Set what the tree above each node says of it; `order` begins with kernel 0's child."""
    for w in range(may.shape[2]):
        rest[order[0], 0, w], rest[order[0], 1, w] = may[0, 0, w], may[0, 1, w]
    for i in range(count):
        for side in range(2):
            child, other = below[order[i], side], below[order[i], 1 - side]
            if child < 0:
                continue
            for w in range(may.shape[2]):
                plus = rest[order[i], 0, w] & may[other, 0, w]
                minus = rest[order[i], 1, w] & may[other, 1, w]
                either = ~(plus | minus)
                rest[child, 0, w], rest[child, 1, w] = plus | either, minus | either


@njit(cache=True, nogil=True)
def _preorder(below, start, order):
    """Write a subtree, parents before children; return how many nodes it has."""
    order[0] = start
    filled = 1
    for i in range(len(order)):
        if i == filled:
            break
        for side in range(2):
            if below[order[i], side] >= 0:
                order[filled] = below[order[i], side]
                filled += 1
    return filled
