"""Which inputs should share a tile: those whose weights are alike, or opposite, in most neurons.

A tile's patterns are as many as the ways in which neurons tell its inputs apart. Inputs that all
neurons weigh alike, or with opposite signs, add none. Wiring is all that a permutation costs, and
it changes no dot product. All neurons of a layer share one.

Tiles are filled one after the other: with the first input that is left, then, time and again, with
the input that makes the fewest patterns of those that are there.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

from bitwright.errors import ConfigError
from bitwright.targets.reuse.graph import Integers
from bitwright.targets.reuse.static.rooted import Indices, distinct

CANDIDATES = 512
"""Only so many inputs, those most like a tile's first, are tried for the tile."""


def similar_inputs(weights: Integers, width: int, *, candidates: int = CANDIDATES) -> Indices:
    """Return an order of the inputs, (fan-in,), that makes for few patterns in tiles of a width.

    Takes ``neurons * fan-in * candidates`` steps.

    Parameters
    ----------
    weights
        (neurons, fan-in) of -1 and +1.
    width
        Of the tiles, 1 or more: `bitwright.targets.reuse.static.tiles.tile_inputs`.
    candidates
        How many inputs are tried.

    Raises
    ------
    ConfigError
        If the weights or the width are no such thing.
    """
    if width < 1:
        raise ConfigError(f"tiles of {width} inputs", "give a width of 1 or more")
    rows = distinct(weights).rows
    columns = np.ascontiguousarray(rows.T)
    left = np.arange(len(columns))
    order = []
    while len(left):
        # Exact in float32: no sum reaches 2 ** 24.
        alike = np.abs(columns[left].astype(np.float32) @ columns[left[0]].astype(np.float32))
        alike[0] = np.inf
        near = left[np.argsort(-alike, kind="stable")[: max(candidates, width)]]
        tile = near[_fill(columns[near] * columns[near[0]], min(width, len(near)))]
        order.append(tile)
        left = np.setdiff1d(left, tile, assume_unique=True)
    return np.concatenate(order)


@njit(cache=True, nogil=True)
def _fill(columns, width):
    """Return which columns, (inputs, neurons) relative to the first, go into its tile."""
    inputs, neurons = columns.shape
    taken = np.zeros(width, np.int64)
    free = np.ones(inputs, np.bool_)
    pattern = np.zeros(neurons, np.int64)
    seen, number = np.full(2 * neurons, -1), np.empty(2 * neurons, np.int64)
    free[0] = False
    tried = 0
    for place in range(1, width):
        best, fewest, purest = -1, neurons + 1, 0
        for column in range(inputs):
            if not free[column]:
                continue
            found, pure = 0, 0
            for neuron in range(neurons):
                key = 2 * pattern[neuron] + (columns[column, neuron] > 0)
                if seen[key] != tried:
                    seen[key], number[key] = tried, 0
                    found += 1
                pure += number[key]
                number[key] += 1
            tried += 1
            if found < fewest or (found == fewest and pure > purest):
                best, fewest, purest = column, found, pure
        found = 0
        for neuron in range(neurons):
            key = 2 * pattern[neuron] + (columns[best, neuron] > 0)
            if seen[key] != tried:
                seen[key], number[key] = tried, found
                found += 1
            pattern[neuron] = number[key]
        tried += 1
        taken[place], free[best] = best, False
    return taken
