"""Local search: a cheaper tree of kernels that is no deeper than it may be.

Requirements:

- Kernels stay, virtual kernels come and go. A round moves subtrees to the nearest node, relabels
  virtual kernels, takes out those that do not pay for their merge, and puts a new one, the majority
  of three, wherever a node and two of its neighbours gain by it. Rounds go on while they help.
- ``bits[i, j]`` are the bits that node i is from node j or its complement.
- No step makes the tree deeper than the limit: the depth of the deepest node.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from numba import njit

from bitwright.targets.reuse.static.rooted import RootedTree, distances, relabelled
from bitwright.targets.reuse.static.words import differing

ROUNDS = 40
"""At most so many rounds; it usually settles in ten."""
FAR = 1 << 40
"""The cost of what cannot be."""
Counts = npt.NDArray[np.int32]


def improved(
    tree: RootedTree, merge_cost: int, *, depth: int | None = None, rounds: int = ROUNDS
) -> RootedTree:
    """Return a tree over the same kernels that costs no more, and is no deeper than `depth`.

    Parameters
    ----------
    tree
        Not deeper than `depth`.
    merge_cost
        What an edge costs beside the bits that differ.
    depth
        Of the deepest node; without it any depth will do.
    rounds
        At most so many.
    """
    limit = len(tree.parents) if depth is None else depth
    best, least = tree, tree.cost(merge_cost) + 1
    for _ in range(rounds):
        # Twice: new labels may be nearer to the complement of what they were near to.
        tree = relabelled(relabelled(moved(tree, limit)))
        tree = relabelled(_pruned(moved(tree, limit), merge_cost))
        cost = tree.cost(merge_cost)
        if cost >= least:
            break
        best, least = tree, cost
        tree = _with_medians(tree, merge_cost, limit)
    return best


def moved(tree: RootedTree, limit: int) -> RootedTree:
    """Return the same nodes, each subtree in turn put below the nearest one that `limit` allows."""
    parents = tree.parents.copy()
    _move(distances(tree.rows), parents, limit)
    return RootedTree(tree.rows, parents, tree.kernels)


def _pruned(tree: RootedTree, merge_cost: int) -> RootedTree:
    """Return the tree without virtual kernels that cost more than they save."""
    parents = tree.parents.copy()
    bits = distances(tree.rows)
    alive = np.ones(len(parents), np.bool_)
    _prune(bits, parents, alive, tree.kernels, merge_cost)
    place = np.append(np.cumsum(alive) - 1, -1)
    return RootedTree(tree.rows[alive], place[parents[alive]], tree.kernels)


def _with_medians(tree: RootedTree, merge_cost: int, limit: int) -> RootedTree:
    """Return the tree with new virtual kernels, each between a node and two neighbours of it.

    Where three kernels are not all alike, just one differs from their majority: it takes half the
    sum of their three distances. A node is in one such three a round.
    """
    differ = differing(tree.rows)
    touched = np.zeros(len(tree.parents), np.bool_)
    parents, rows = tree.parents, [tree.rows]
    _, depth, height = _levels(parents)
    for _, node, one, two in sorted(_threes(tree, differ, merge_cost)):
        if touched[node] or touched[one] or touched[two]:
            continue
        top = parents[node] if parents[node] in (one, two) else node
        below = [i for i in (node, one, two) if i != top]
        # The new node is one level below `top`, and these two below it with what they keep.
        kept = [k for i in below for k in np.flatnonzero(parents == i).tolist() if k not in below]
        if depth[top] + 2 + max((height[k] + 1 for k in kept), default=0) > limit:
            continue
        changed = np.append(parents, top)
        changed[below] = len(parents)
        parents = changed
        _, depth, height = _levels(parents)
        touched[[node, one, two]] = True
        signs = np.where(2 * differ[node, [one, two]] <= tree.rows.shape[1], 1, -1)
        rows.append(np.sign(tree.rows[node] + signs @ tree.rows[[one, two]])[None])
    return RootedTree(np.concatenate(rows).astype(np.int8), parents, tree.kernels)


def _threes(
    tree: RootedTree, differ: Counts, merge_cost: int
) -> Iterator[tuple[float, int, int, int]]:
    """Yield (minus what their majority saves, node, neighbour, neighbour) where it saves."""
    inputs = tree.rows.shape[1]
    neighbours: list[list[int]] = [[] for _ in tree.parents]
    for node, parent in enumerate(tree.parents.tolist()):
        if parent >= 0:
            neighbours[node].append(parent)
            neighbours[parent].append(node)
    for node, around in enumerate(neighbours):
        turned = 2 * differ[node, around] > inputs
        bits = np.where(turned, inputs - differ[node, around], differ[node, around])
        between = differ[np.ix_(around, around)]
        between = np.where(turned[:, None] != turned, inputs - between, between)
        saved = np.triu((bits[:, None] + bits - between) / 2 - merge_cost, 1)
        for i, j in np.argwhere(saved > 0).tolist():
            yield -float(saved[i, j]), node, around[i], around[j]


@njit(cache=True, nogil=True)
def _levels(parents):
    """Return all nodes, parents first, the depth of each, and how deep it goes on below each."""
    nodes = len(parents)
    first, beside = np.full(nodes, -1), np.full(nodes, -1)
    order = np.empty(nodes, np.int64)
    depth, height = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    filled = 0
    for v in range(nodes):
        if parents[v] >= 0:
            beside[v], first[parents[v]] = first[parents[v]], v
        elif parents[v] == -1:
            order[0] = v
            filled = 1
    for i in range(nodes):
        if i == filled:
            break
        v = first[order[i]]
        while v >= 0:
            depth[v] = depth[order[i]] + 1
            order[filled] = v
            filled += 1
            v = beside[v]
    for i in range(filled - 1, 0, -1):
        height[parents[order[i]]] = max(height[parents[order[i]]], height[order[i]] + 1)
    return order[:filled], depth, height


@njit(cache=True, nogil=True)
def _move(bits, parents, limit):
    nodes = len(parents)
    order, depth, height = _levels(parents)
    below = np.zeros(nodes, np.bool_)
    for v in range(nodes):
        if parents[v] < 0:
            continue
        for u in range(nodes):
            below[u] = u == v
        for i in range(1, nodes):
            below[order[i]] = below[order[i]] or below[parents[order[i]]]
        best = parents[v]
        for u in range(nodes):
            if bits[v, u] < bits[v, best] and not below[u] and depth[u] + 1 + height[v] <= limit:
                best = u
        if best != parents[v]:
            parents[v] = best
            order, depth, height = _levels(parents)


@njit(cache=True, nogil=True)
def _prune(bits, parents, alive, kernels, merge_cost):
    """Take out virtual kernels; ``parents[v]`` becomes -2 of those that are not alive."""
    again = True
    while again:
        again = False
        for v in range(len(parents) - 1, kernels - 1, -1):
            if alive[v] and _dissolve(bits, parents, alive, v, merge_cost):
                again = True


@njit(cache=True, nogil=True)
def _dissolve(bits, parents, alive, v, merge_cost):
    """Take a virtual kernel out if that costs no more; return whether it did.

    Its children go to the nearest nodes that are no deeper than it was, or one of them takes its
    place and the others may go to that one.
    """
    nodes, top = len(parents), parents[v]
    depth = _levels(parents)[1]
    others = np.full(nodes, -1)
    now = merge_cost if top < 0 else merge_cost + bits[v, top]
    for k in range(nodes):
        if parents[k] == v:
            others[k] = _refuge(bits, alive, depth, v, k)
            now += bits[k, v]
    heir, least = -1, _without(bits, parents, others, v, -1)
    for k in range(nodes):
        if parents[k] == v:
            cost = _without(bits, parents, others, v, k)
            if cost < least:
                heir, least = k, cost
    if least > now:
        return False
    for k in range(nodes):
        if parents[k] == v:
            parents[k] = top if k == heir else _nearer(bits, k, heir, others[k])
    alive[v], parents[v] = False, -2
    return True


@njit(cache=True, nogil=True)
def _refuge(bits, alive, depth, v, child):
    """Return the node nearest to a child of v that is no deeper than v, -1 for none."""
    best = -1
    for u in range(len(alive)):
        if u != v and alive[u] and depth[u] <= depth[v]:
            best = _nearer(bits, child, best, u)
    return best


@njit(cache=True, nogil=True)
def _nearer(bits, node, one, two):
    """Return whichever node is nearer, the first of equals; -1 is none."""
    if one < 0 or two < 0:
        return max(one, two)
    return two if bits[node, two] < bits[node, one] else one


@njit(cache=True, nogil=True)
def _without(bits, parents, others, v, heir):
    """Return what edges cost if v's children go to others or its heir, and that to v's parent."""
    cost = 0 if heir < 0 or parents[v] < 0 else bits[heir, parents[v]]
    for k in range(len(parents)):
        if parents[k] == v and k != heir:
            place = _nearer(bits, k, heir, others[k])
            cost += FAR if place < 0 else bits[k, place]
    return cost
