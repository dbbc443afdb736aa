"""Local thresholds, then a vote (LTA): each group of inputs is counted and compared by itself.

Only the groups' bits are added up, as in an array whose columns are too long for one comparison:
M. Yayla et al., IEEE JETCAS 2023, global by local thresholding.
"""

from __future__ import annotations

import math
from itertools import pairwise

from bitwright.circuits.builder import Builder
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.columns import compress
from bitwright.circuits.comparator import at_least
from bitwright.circuits.prune import prune


def count_by_votes(inputs: int, size: int = 64, local: float = 0.5) -> Circuit:
    """Return a count in which each group of inputs has one vote.

    Parameters
    ----------
    inputs
        The number of input bits.
    size
        The greatest size of a group. Groups differ in size by at most one.
    local
        The share of a group that must be 1 for its vote: a group of k votes where its count is at
        least ``ceil(local * k)``.

    Notes
    -----
    A vote weighs what it tells: how much more ones there are on average in a group that votes
    than in one that does not, rounded to an integer of at least 1. The offset makes the value
    unbiased. Both are taken at independent inputs of density 1/2.
    """
    builder = Builder(inputs)
    groups = -(-inputs // size)
    edges = [group * inputs // groups for group in range(groups + 1)]
    votes = []
    yes = gap = 0.0
    for first, last in pairwise(edges):
        threshold = math.ceil(local * (last - first))
        number = compress(builder, {0: range(first, last)})
        votes.append(at_least(builder, number, threshold))
        rate, difference = _vote(last - first, threshold)
        yes += rate
        gap += difference / groups
    weight = max(1, round(gap))
    outputs = [(wire, weight * unit) for wire, unit in compress(builder, {0: votes})]
    return prune(builder.finish(outputs, round(inputs / 2 - weight * yes)))


def _vote(size: int, threshold: int) -> tuple[float, float]:
    """Return how often a group votes, and the difference in its mean count if it does."""
    ways = [math.comb(size, count) for count in range(size + 1)]
    for_it = sum(ways[max(threshold, 0) :])
    against = 2**size - for_it
    if not for_it or not against:
        return for_it / 2**size, 0.0
    ones_for = sum(count * ways[count] for count in range(max(threshold, 0), size + 1))
    ones_against = size * 2 ** (size - 1) - ones_for
    return for_it / 2**size, ones_for / for_it - ones_against / against
