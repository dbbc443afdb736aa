"""What the kernels of a layer say about each other: distances, parents, implied bits.

Let P be counts of matches of one window of n inputs, h the places where kernels i and j differ, c
the matches of kernel i among them. Then ``P_j = P_i + h - 2 c`` with c in 0 .. h, and of the n - h
other places P_i - c match, so

    abs(P_i - h) <= P_j <= n - abs(n - h - P_i).

Both bounds are reached, and they know of complements: for h = n, P_j is n - P_i. If kernel i is
included in kernel j, h is ``|K_j - K_i|`` and ``|a & K_i| <= |a & K_j| <= |a & K_i| + h`` is the
same statement. With a threshold U on each side it turns into implications between bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def distances(kernels: npt.NDArray[np.bool_], live: npt.NDArray[np.bool_]) -> Integers:
    """Return in how many of the live taps kernels differ, (neurons, neurons)."""
    signs = np.where(kernels[:, live], 1, -1).astype(np.float32)
    products = np.rint(signs @ signs.T).astype(np.int64)
    return np.asarray((int(live.sum()) - products) // 2)


def implications(
    limits: Integers, far: Integers, live: int, order: Integers
) -> tuple[Integers, Integers]:
    """Return which outcomes of ``P >= limit`` are implied by those of kernels done before.

    Parameters
    ----------
    limits
        The limit U of each kernel, (neurons,).
    far
        The distances of kernels over the live taps.
    live
        The number of live taps, n.
    order
        The kernels in the order in which they are done; one that is left out has no part in this.

    Returns
    -------
    starts
        (neurons + 1,): the entries of kernel j are ``starts[j] .. starts[j + 1] - 1``.
    entries
        (entries, 3): the other kernel, its outcome, and the outcome that follows from it. The
        kernels done last come first.
    """
    place = np.full(len(limits), -1)
    place[order] = np.arange(len(order))
    before = (place[:, None] >= 0) & (place[:, None] < place)
    kind, i, j = np.nonzero(implied_outcomes(limits, far, live) & before)
    entries = np.stack([i, kind < 2, kind % 2 == 0], axis=1).astype(np.int64)
    sorting = np.lexsort((-place[i], j))
    starts = np.searchsorted(j[sorting], np.arange(len(limits) + 1))
    return starts.astype(np.int64), np.ascontiguousarray(entries[sorting])


def implied_outcomes(limits: Integers, far: Integers, live: int) -> npt.NDArray[np.bool_]:
    """Return which outcome of kernel i implies which one of kernel j, (4, neurons, neurons).

    They are: 1 implies 1, 1 implies 0, 0 implies 1, 0 implies 0. Arguments are as for
    `implications`.
    """
    first, second = limits[:, None], limits
    # P_i >= U_i: the least and the greatest P_j; P_i < U_i: likewise.
    return np.stack(
        [
            first - far >= second,
            2 * live - far - first < second,
            far - first + 1 >= second,
            first + far <= second,
        ]
    )


def nearest_before(far: Integers, live: int, order: Integers) -> Integers:
    """Return the kernel nearest to each one, or to its opposite, among those before it; or -1."""
    near = np.minimum(far, live - far)
    parents = np.full(len(far), -1)
    for k in range(1, len(order)):
        earlier = order[:k]
        parents[order[k]] = earlier[near[order[k], earlier].argmin()]
    return parents


def tree_order(far: Integers, live: int, chosen: Integers) -> Integers:
    """Return the chosen kernels along a minimum spanning tree, nearest neighbours first (Prim).

    It begins with the kernel that is nearest to all others.
    """
    near = np.minimum(far, live - far)[np.ix_(chosen, chosen)]
    if not len(chosen):
        return chosen
    inside = [int(near.sum(axis=1).argmin())]
    left = near[inside[0]].astype(np.float64)
    left[inside[0]] = np.inf
    while len(inside) < len(chosen):
        one = int(left.argmin())
        inside.append(one)
        left = np.minimum(left, near[one])
        left[inside] = np.inf
    return np.asarray(chosen[np.array(inside)])
