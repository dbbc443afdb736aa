"""Which kernels to do first in a window: the orders that calibration images give.

A kernel that is done says something of those behind it: its bit, with `inclusion`, or its count,
with the bounds ``parent`` (`bitwright.targets.reuse.dynamic.relations`). As with tiles, a bad order
costs time, never a bit.

``learned`` tries each kernel as the parent of each other one where the bounds are ``parent``. The
next kernel is the one that those already done save most, and its parent the one that saves most.

With other bounds bits alone say something, and it works from the end. Of all kernels not yet
placed, it puts that one last without which fewest neurons of the others go undecided; of equals the
one that the others decide most often.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bitwright.ir.program import Program
from bitwright.native import NativeProgram
from bitwright.targets.reuse.dynamic.kernel import try_parents
from bitwright.targets.reuse.dynamic.layer import SkipLayer
from bitwright.targets.reuse.dynamic.order import Integers, inputs_at, some_places
from bitwright.targets.reuse.dynamic.relations import distances, implied_outcomes
from bitwright.targets.reuse.dynamic.run import geometry, packed
from bitwright.targets.reuse.dynamic.schedule import Channels, Schedule, prepare
from bitwright.targets.reuse.dynamic.skips import CALIBRATED, Skips

Bools = npt.NDArray[np.bool_]

PAIRS = 2**26
"""About so many pairs of kernels are looked at for each layer, a byte each."""
TRIALS = 2**26
"""About so many tiles of pairs are tried for each layer: seconds."""


def channel_orders(
    program: Program,
    layers: Mapping[str, SkipLayer],
    skips: Skips,
    images: Any,
    *,
    tiles: Mapping[str, Integers] | None = None,
    seed: int = 0,
) -> dict[str, Channels]:
    """Return the order of the kernels of each layer, or none where no image decides it.

    Parameters
    ----------
    program
        The program.
    layers
        Its skippable layers (`skip_layers`).
    skips
        The order that is wanted, and what a kernel that is done may say of others.
    images
        Calibration images, (N, *input shape); a few are plenty.
    tiles
        The order of their tiles where it is not the natural one.
    seed
        Chooses the windows that are looked at.
    """
    if skips.channel_order not in CALIBRATED:
        return {}
    sources = sorted({layer.dot.source for layer in layers.values()})
    values = NativeProgram(program, sources).run(images, threads=1)
    orders = {}
    for name, layer in layers.items():
        plain = replace(skips, tile_order="natural", channel_order="natural")
        natural = prepare(layer, plain, (tiles or {}).get(name))
        bits, rng = values[layer.dot.source], np.random.default_rng(seed)
        if skips.channel_order == "learned" and skips.bounds == "parent":
            orders[name] = along(saved_by(natural, bits, rng))
            continue
        counts, classes = sample_counts(natural, bits, rng)
        if skips.channel_order == "variance":
            orders[name] = by_variance(counts)
        else:
            orders[name] = learned(decided_by(natural, counts, classes))
    return orders


def sample_counts(
    natural: Schedule, bits: Bools, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return all kernels' live matches in some windows of what a layer reads, and their classes.

    Returns
    -------
    counts
        (windows, neurons).
    classes
        (windows,): the class of each window.
    """
    layer = natural.layer
    image, window = some_places(layer, len(bits), PAIRS // layer.neurons**2, rng)
    inputs, classes = inputs_at(layer, bits, image, window), natural.tables.classes[window]
    live = natural.live[classes]
    signs = np.where(live, np.where(inputs, 1, -1), 0).astype(np.float32)
    kernels = np.where(layer.kernels, 1, -1).astype(np.float32)
    products = np.rint(signs @ kernels.T).astype(np.int64)
    return (products + live.sum(axis=1)[:, None]) // 2, classes


def by_variance(counts: Integers) -> Channels:
    """Return the kernels whose counts vary most first."""
    return Channels(np.argsort(-counts.var(axis=0), kind="stable"))


def saved_by(natural: Schedule, bits: Bools, rng: np.random.Generator) -> Integers:
    """Return how many operations parent i saves neuron j in some windows, (neurons, neurons)."""
    layer = natural.layer
    most = TRIALS // (natural.tiles * layer.neurons**2)
    places = np.stack(some_places(layer, len(bits), most, rng), axis=1)
    saved = np.zeros((layer.neurons, layer.neurons), np.int64)
    maps = packed(layer, bits)
    try_parents(maps, geometry(layer), natural.tables, places, saved)
    return saved


def along(saved: Integers) -> Channels:
    """Return an order in which each neuron's parent is done before it, from what parents save.

    It begins with the neuron that saves the others most.
    """
    neurons = len(saved)
    parents, most = np.full(neurons, -1), np.zeros(neurons, np.int64)
    order, free = np.zeros(0, np.int64), np.ones(neurons, np.bool_)
    one = int(saved.sum(axis=1).argmax())
    for _ in range(neurons):
        order, free[one] = np.append(order, one), False
        better = free & (saved[one] > most)
        parents[better], most[better] = one, saved[one, better]
        one = int(np.where(free, most, -1).argmax())
    return Channels(order, parents)


def decided_by(natural: Schedule, counts: Integers, classes: Integers) -> Bools:
    """Return whether the bit of kernel i implies that of kernel j in a window.

    Parameters
    ----------
    natural
        The layer.
    counts, classes
        What `sample_counts` gives.

    Returns
    -------
    array
        (windows, neurons i, neurons j).
    """
    tables, neurons = natural.tables, natural.layer.neurons
    found = np.zeros((len(counts), neurons, neurons), np.bool_)
    for k in np.unique(classes) if natural.skips.inclusion else ():
        rows = np.flatnonzero(classes == k)
        live, limits = natural.live[k], tables.limits[k]
        far = distances(natural.layer.kernels, live)
        one_one, one_zero, zero_one, zero_zero = implied_outcomes(limits, far, int(live.sum()))
        open_ = tables.constant[k] < 0
        useful = open_[:, None] & open_ & ~np.eye(neurons, dtype=np.bool_)
        fires = counts[rows] >= limits
        implied = np.where(fires[..., None], one_one | one_zero, zero_one | zero_zero)
        found[rows] = implied & useful
    return found


def learned(decides: Bools) -> Channels:
    """Return the order in which most neurons are decided by those before them.

    Parameters
    ----------
    decides
        (windows, neurons i, neurons j): whether i decides j in a window.
    """
    return Channels(_from_the_end(decides)[::-1])


@njit(cache=True, nogil=True)
def _from_the_end(decides):
    """Return the neurons, that which is to be done last first.

    ``others[r, j]`` are the neurons not yet placed that decide neuron j in window r. `needed` says
    for each neuron how many it alone decides, `spared` in how many windows others decide it.
    """
    windows, neurons, _ = decides.shape
    needed, spared = np.zeros(neurons, np.int64), np.zeros(neurons, np.int64)
    free = np.ones(neurons, np.bool_)
    others = _begin(decides, needed, spared, free)
    order = np.empty(neurons, np.int64)
    for place in range(neurons):
        last = _least_needed(free, needed, spared)
        order[place] = last
        for r in range(windows):
            if others[r, last] == 1:
                needed[_only(decides[r], last, free)] -= 1
        free[last] = False
        for r in range(windows):
            for j in range(neurons):
                if free[j] and decides[r, last, j]:
                    others[r, j] -= 1
                    if others[r, j] == 1:
                        needed[_only(decides[r], j, free)] += 1
                    elif others[r, j] == 0:
                        spared[j] -= 1
    return order


@njit(cache=True, nogil=True)
def _begin(decides, needed, spared, free):
    windows, neurons, _ = decides.shape
    others = np.zeros((windows, neurons), np.int32)
    for r in range(windows):
        for i in range(neurons):
            for j in range(neurons):
                others[r, j] += decides[r, i, j]
        for j in range(neurons):
            spared[j] += others[r, j] > 0
            if others[r, j] == 1:
                needed[_only(decides[r], j, free)] += 1
    return others


@njit(cache=True, nogil=True)
def _least_needed(free, needed, spared):
    best = -1
    for j in range(len(free)):
        if free[j]:
            key, least = (needed[j], -spared[j]), (needed[best], -spared[best])
            if best < 0 or key <= least:
                best = j
    return best


@njit(cache=True, nogil=True)
def _only(decides, neuron, free):
    """Return the one neuron not yet placed that decides this one."""
    for i in range(len(decides)):
        if free[i] and decides[i, neuron]:
            return i
    return -1
