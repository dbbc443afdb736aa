"""The fast twin: one window after the other, its neurons one after the other, tile by tile.

Requirements:

- Rows of a map lie packed, channel by channel and pixel by pixel, with the padding filled in and
  at least one spare word behind; the bits of a window's row are contiguous there.
- It decides, and counts, exactly what `bitwright.targets.reuse.dynamic.plain` does.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bitwright.targets.reuse.static.words import popcount

Array = npt.NDArray[Any]

NONE, NAIVE, TIGHT, PARENT = range(4)
BOUNDS = {"none": NONE, "naive": NAIVE, "tight": TIGHT, "parent": PARENT}
"""How the kernel takes `Skips.bounds`."""


class Tables(NamedTuple):
    """What both twins read; T tiles, C classes of windows, N neurons.

    `bitwright.targets.reuse.dynamic.schedule` makes them. They stand here because compiled kernels
    are kept by the file that they are in: other tables need other kernels.
    """

    order: Array
    """(N,) int64: the neurons in the order in which they are done."""
    taps: Array
    """(T, 2) int64: the first tap of each tile, and the tap after its last."""
    masks: Array
    """(C, T) uint64: the live taps of a tile."""
    kernels: Array
    """(N, T) uint64."""
    left: Array
    """(C, T + 1) int64: live taps in tiles t and later."""
    ones: Array
    """(C, N, T + 1) int32: ones of a kernel among them."""
    limits: Array
    """(C, N) int64: the outcome is ``matches >= limit``."""
    constant: Array
    """(C, N) int8: the outcome where it is the same for all images, else -1."""
    stops: Array
    """(N,) bool: the outcome that decides a pool."""
    parents: Array
    """(N,) int64: a kernel done before that bounds this one's matches, or -1."""
    far: Array
    """(C, N, T + 1) int32: where it differs from its parent, in tiles t and later."""
    starts: Array
    """(C, N + 1) int64: where the entries of each neuron begin in `implied`."""
    implied: Array
    """(entries, 3) int64: a neuron done before, its outcome, the outcome that follows."""
    classes: Array
    """(windows,) int64: the class of each window."""


class Sums(IntEnum):
    """Where the kernel adds up what it counts; see `LayerCounters`."""

    AFTER_POOL = 0
    AFTER_INCLUSION = 1
    DONE = 2
    IMPLIED = 3
    TILE_STEPS = 4
    SLOWEST_STEPS = 5
    BOUND_CHECKS = 6
    PARENT_CHECKS = 7
    IMPLICATION_CHECKS = 8
    ACTIVATION_BITS = 9


_AFTER_POOL, _AFTER_INCLUSION, _DONE, _IMPLIED, _TILE_STEPS = map(int, list(Sums)[:5])
_SLOWEST, _BOUND_CHECKS, _PARENT_CHECKS, _IMPLICATION_CHECKS, _BITS = map(int, list(Sums)[5:])


@njit(cache=True, nogil=True)
def _bits_at(words, place):
    """Return the 64 bits from a place on."""
    word, shift = place >> 6, np.uint64(place & 63)
    low = words[word] >> shift
    return low | (words[word + 1] << (np.uint64(64) - shift)) if shift else low


@njit(cache=True, nogil=True)
def _gather(rows, top, first, size, stream):
    """Write the bits of a window into `stream`, one row of the window behind the other."""
    stream[:] = 0
    place = 0
    for row in range(size[0]):
        for start in range(0, size[1], 64):
            word = _bits_at(rows[top + row], first + start)
            bits = min(64, size[1] - start)
            if bits < 64:
                word &= (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
            at, shift = place >> 6, np.uint64(place & 63)
            stream[at] |= word << shift
            if shift:
                stream[at + 1] |= word >> (np.uint64(64) - shift)
            place += bits


@njit(cache=True, nogil=True)
def _split(stream, taps, masks, row, bounds, tiles, ones):
    """Write the live bits of a window's tiles, and the ones in tiles t and later."""
    ones[len(tiles)] = 0
    for t in range(len(tiles) - 1, -1, -1):
        tiles[t] = _bits_at(stream, taps[t, 0]) & masks[row, t]
        if bounds >= TIGHT:
            ones[t] = ones[t + 1] + popcount(tiles[t])


@njit(cache=True, nogil=True)
def _implied(starts, implied, row, neuron, known, sums):
    """Return the outcome that follows from those of neurons done before, or -1."""
    for entry in range(starts[row, neuron], starts[row, neuron + 1]):
        sums[_IMPLICATION_CHECKS] += 1
        if known[implied[entry, 0]] == implied[entry, 1]:
            return implied[entry, 2]
    return -1


@njit(cache=True, nogil=True)
def _evaluate(
    kernels, masks, left, kernel_ones, parents, far, limits, row, neuron, bounds, tiles, ones,
    prefix, reach, found,
):  # fmt: skip
    """Return a neuron's outcome.

    `found` receives how many tiles it took; operations, bound checks and parent checks are added to
    its other entries.
    """
    matches, steps, checks, parent_checks = 0, 0, 0, 0
    limit, outcome, count = limits[row, neuron], -1, len(tiles)
    end, parent = -1, -1
    if bounds == PARENT:
        parent = parents[neuron]
        if parent >= 0:
            end = reach[parent]
    t = 0
    while t < count:
        if bounds == PARENT:
            prefix[neuron, t] = matches
        here = left[row, t]
        live = here - left[row, t + 1]
        if live:
            if bounds != NONE:
                checks += 1
                low, high = matches, matches + here
                if bounds >= TIGHT:
                    own = np.int64(kernel_ones[row, neuron, t])
                    low = matches + abs(ones[t] + own - here)
                    high -= abs(ones[t] - own)
                    if t < end:
                        parent_checks += 1
                        known = prefix[parent, end] - prefix[parent, t]
                        differ = np.int64(far[row, neuron, t]) - np.int64(far[row, neuron, end])
                        rest, inputs = left[row, end], here - left[row, end]
                        own = np.int64(kernel_ones[row, neuron, end])
                        # As `relations` has it up to the parent's last tile; tight behind it.
                        least = matches + abs(known - differ) + abs(ones[end] + own - rest)
                        most = inputs - abs(inputs - differ - known) + rest - abs(ones[end] - own)
                        low, high = max(low, least), min(high, matches + most)
                if low >= limit:
                    outcome = 1
                    break
                if high < limit:
                    outcome = 0
                    break
            matches += live - popcount(tiles[t] ^ (kernels[neuron, t] & masks[row, t]))
            steps += 1
        t += 1
    if bounds == PARENT:
        prefix[neuron, t] = matches
        reach[neuron] = t
    if outcome < 0:
        outcome = 1 if matches >= limit else 0
    found[0] = steps
    found[1] += left[row, 0] - left[row, t]
    found[2] += checks
    found[3] += parent_checks
    return outcome


@njit(cache=True, nogil=True)
def _visit(rows, top, first, size, tables, row, bounds, known, stopped, used, space, sums, steps):
    """Decide the neurons of one window that are open and whose pool is.

    `known` are the window's outcomes, `stopped` its pool's neurons that are decided; both are
    brought up to date. `row` is the window's class, `space` what `run` has allocated.
    """
    stream, tiles, ones, prefix, reach, found = space
    kernels, masks, left, kernel_ones = tables.kernels, tables.masks, tables.left, tables.ones
    parents, far, limits, stops = tables.parents, tables.far, tables.limits, tables.stops
    for neuron in range(len(known)):
        stopped[neuron] |= known[neuron] == stops[neuron]
    reach[:] = -1
    gathered, slowest, whole = False, 0, left[row, 0]
    for neuron in tables.order:
        if stopped[neuron] or known[neuron] >= 0:
            continue
        sums[_AFTER_POOL] += whole
        outcome = _implied(tables.starts, tables.implied, row, neuron, known, sums)
        if outcome >= 0:
            sums[_IMPLIED] += 1
        else:
            if not gathered:
                _gather(rows, top, first, size, stream)
                _split(stream, tables.taps, masks, row, bounds, tiles, ones)
                sums[_BITS] += whole if bounds >= TIGHT else 0
                gathered = True
            sums[_AFTER_INCLUSION] += whole
            outcome = _evaluate(
                kernels, masks, left, kernel_ones, parents, far, limits, row, neuron, bounds,
                tiles, ones, prefix, reach, found,
            )  # fmt: skip
            taken = found[0]
            sums[_TILE_STEPS] += taken
            steps[taken] += 1
            slowest = max(slowest, taken)
            if len(used):
                used[neuron] = taken
        known[neuron] = outcome
        stopped[neuron] = outcome == stops[neuron]
    sums[_SLOWEST] += slowest


@njit(cache=True, nogil=True)
def run(maps, geometry, tables, members, bounds, outcomes, used, sums, steps):
    """Decide every neuron, pool by pool.

    Parameters
    ----------
    maps
        uint64 (images, rows, words): packed rows.
    geometry
        Rows of a window, its bits in a row, bits from a window to the one beside it, rows to the
        one below, windows in a row.
    tables
        What is known of the layer.
    members
        int64 (pools, windows of a pool): windows in the order in which they are looked at, or -1.
    bounds
        A value of `BOUNDS`.
    outcomes
        bool (images, pools, neurons), written: the outcome that stops a pool where a window has
        it, the other one elsewhere.
    used
        uint16 (images, windows, neurons), or (images, windows, 0): receives the tiles that were
        done.
    sums
        int64, indexed by `Sums`; added to.
    steps
        int64 (tiles + 1,): neurons decided after so many tiles; added to.
    """
    height, length, across, down, columns = geometry
    neurons, count = tables.kernels.shape
    kept = neurons if bounds == PARENT else 0
    found = np.zeros(4, np.int64)
    space = (
        np.empty((height * length >> 6) + 3, np.uint64),
        np.empty(count, np.uint64),
        np.zeros(count + 1, np.int64),
        np.zeros((kept, count + 1), np.int64),
        np.empty(kept, np.int64),
        found,
    )
    state = np.empty((len(tables.classes), neurons), np.int8)
    stopped = np.empty(neurons, np.bool_)
    for image in range(len(maps)):
        for window in range(len(state)):
            state[window] = tables.constant[tables.classes[window]]
        for pool in range(len(members)):
            stopped[:] = False
            for window in members[pool]:
                if window >= 0:
                    top, first = window // columns * down, window % columns * across
                    _visit(
                        maps[image], top, first, (height, length), tables, tables.classes[window],
                        bounds, state[window], stopped, used[image, window], space, sums, steps,
                    )  # fmt: skip
            for neuron in range(neurons):
                outcomes[image, pool, neuron] = tables.stops[neuron] == stopped[neuron]
    sums[_DONE] += found[1]
    sums[_BOUND_CHECKS] += found[2]
    sums[_PARENT_CHECKS] += found[3]


@njit(cache=True, nogil=True)
def try_parents(maps, geometry, tables, places, saved):
    """Do every neuron alone, then with each other one as its parent.

    Parameters
    ----------
    maps, geometry, tables
        As for `run`.
    places
        int64 (windows, 2): images and windows.
    saved
        int64 (neurons i, neurons j), added to: the operations that parent i, done alone, saves
        neuron j.
    """
    height, length, across, down, columns = geometry
    neurons, count = tables.kernels.shape
    stream, tiles = np.empty((height * length >> 6) + 3, np.uint64), np.empty(count, np.uint64)
    ones, far = np.zeros(count + 1, np.int64), np.zeros(tables.far.shape, np.int32)
    prefix, reach = np.zeros((neurons, count + 1), np.int64), np.empty(neurons, np.int64)
    parents, alone = np.empty(neurons, np.int64), np.empty(neurons, np.int64)
    space = parents, far, tiles, ones, prefix, reach
    for image, window in places:
        row = tables.classes[window]
        top, first = window // columns * down, window % columns * across
        _gather(maps[image], top, first, (height, length), stream)
        _split(stream, tables.taps, tables.masks, row, PARENT, tiles, ones)
        parents[:] = -1
        open_ = np.flatnonzero(tables.constant[row] < 0)
        for neuron in open_:
            alone[neuron] = _operations(tables, row, neuron, space)
        for parent in open_:
            for neuron in open_:
                if parent != neuron:
                    parents[neuron] = parent
                    for t in range(count - 1, -1, -1):
                        differ = tables.kernels[parent, t] ^ tables.kernels[neuron, t]
                        here = popcount(differ & tables.masks[row, t])
                        far[row, neuron, t] = far[row, neuron, t + 1] + here
                    kept = reach[neuron]
                    saved[parent, neuron] += alone[neuron] - _operations(tables, row, neuron, space)
                    reach[neuron] = kept


@njit(cache=True, nogil=True)
def _operations(tables, row, neuron, space):
    parents, far, tiles, ones, prefix, reach = space
    found = np.zeros(4, np.int64)
    _evaluate(
        tables.kernels, tables.masks, tables.left, tables.ones, parents, far, tables.limits, row,
        neuron, PARENT, tiles, ones, prefix, reach, found,
    )  # fmt: skip
    return found[1]
