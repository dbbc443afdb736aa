"""Which inputs should meet in a gate, learned from data: a search over permutations.

Inputs that are alike should not meet. A gate that reduces a group to one bit follows the count best
when each group is a small copy of the whole: then what the group says is what the count says. A
group of alike inputs speaks for itself alone. Wiring is all that this costs. It is true of inputs
that are somewhat alike, as a network's are: a majority of equal ones would lose nothing.

The search lowers the sum of covariances within groups by exchanging two inputs at a time, level by
level: the groups of the first level are the inputs of the second. All neurons of a layer share one
grouping, so covariances are means over neurons: of input i and j that is the covariance of the
activations times the mean of the products of their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitwright.circuits.spec import Spec

Floats = npt.NDArray[np.float64]

SWEEPS = 8
"""At most so many passes over all inputs; it usually settles in fewer."""


def product_covariance(
    activations: npt.NDArray[np.bool_], weights: npt.NDArray[np.bool_]
) -> Floats:
    """Return the covariance of a layer's products, mean over its neurons, (inputs, inputs).

    Parameters
    ----------
    activations
        What windows hold, (samples, inputs); at least two samples.
    weights
        (neurons, inputs), True is +1.
    """
    x = 2.0 * activations - 1
    x -= x.mean(axis=0)
    w = 2.0 * weights - 1
    return np.asarray((x.T @ x / len(x)) * (w.T @ w / len(w)))


def with_learned_order(spec: Spec, covariance: Floats, rng: np.random.Generator) -> Spec:
    """Return a popcount whose inputs meet as `learned_order` finds for its gates.

    Parameters
    ----------
    spec
        The popcount; which inputs it leaves out stays as it is in natural order.
    covariance
        Of a layer's products, (inputs, inputs).
    rng
        For the search.
    """
    places = list(spec.grouped(len(covariance)))
    found = learned_order(covariance[np.ix_(places, places)], spec.group_sizes, rng)
    order = list(range(len(covariance)))
    for place, k in zip(places, found, strict=True):
        order[place] = places[k]
    return replace(spec, grouping="natural", order=tuple(order))


def learned_order(covariance: Floats, sizes: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Return an order of inputs in which those that meet are as little alike as can be found.

    Parameters
    ----------
    covariance
        Of the inputs, (inputs, inputs), symmetric.
    sizes
        How many consecutive inputs meet in a gate of the first level, how many of those gates in
        one of the second, and so on. What does not fill a gate comes last.
    rng
        For the order in which exchanges are tried.
    """
    order = np.arange(len(covariance))
    blocks, matrix = [[int(i)] for i in order], np.array(covariance, np.float64)
    left: list[int] = []
    for size in sizes:
        groups = len(blocks) // size
        if groups < 2:
            break
        found = _exchanged(matrix, size, rng)
        members = np.zeros((groups, len(blocks)))
        for group in range(groups):
            members[group, found[group * size : (group + 1) * size]] = 1
        left = [i for k in found[groups * size :] for i in blocks[k]] + left
        blocks = [
            [i for k in found[group * size : (group + 1) * size] for i in blocks[k]]
            for group in range(groups)
        ]
        matrix = members @ matrix @ members.T
    return [i for block in blocks for i in block] + left


def _exchanged(matrix: Floats, size: int, rng: np.random.Generator) -> list[int]:
    """Return an order of inputs whose groups of `size` have a low sum of covariances."""
    count = len(matrix)
    groups = count // size
    alike = matrix.copy()
    np.fill_diagonal(alike, 0)
    # The rest is a group of its own whose members meet nowhere.
    group = np.minimum(np.arange(count) // size, groups)
    to_group = np.zeros((count, groups + 1))
    for k in range(groups):
        to_group[:, k] = alike[:, group == k].sum(axis=1)
    everyone = np.arange(count)
    for _ in range(SWEEPS):
        exchanges = 0
        for i in rng.permutation(count):
            own = group[i]
            meets, own_meets = group < groups, own < groups
            now = to_group[everyone, group] * meets + to_group[i, own] * own_meets
            then = (to_group[i, group] - alike[i]) * meets
            then += (to_group[:, own] - alike[i]) * own_meets
            gain = np.where(group == own, 0, now - then)
            j = int(gain.argmax())
            if gain[j] <= 1e-9:
                continue
            other = group[j]
            change = alike[:, j] - alike[:, i]
            to_group[:, own] += change * own_meets
            to_group[:, other] -= change * (other < groups)
            group[i], group[j] = other, own
            exchanges += 1
        if not exchanges:
            break
    return [int(i) for i in np.argsort(group, kind="stable")]
