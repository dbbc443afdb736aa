"""The fan-in cut into tiles: each pattern of weights in a tile is added up once for all neurons.

A tile of t inputs has at most ``2 ** (t - 1)`` patterns up to complement, so neurons share them
although they share no kernel. Identical patterns cost nothing, complementary ones a sign, near ones
the bits that differ. What they do cost is a merge for each neuron and tile, of the few bits that
count to t: for narrow tiles that, not the bits of the inputs, is the work left.

Requirements:

- A neuron's dot product is the sum of its tiles' patterns, each once, with a sign.
- The last tile holds what is left of the fan-in, and may be narrower.
"""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np

from bitwright.errors import ConfigError
from bitwright.targets.reuse.graph import AdderGraph, GraphBuilder, Integers
from bitwright.targets.reuse.static.rooted import Indices, Kernels, distinct
from bitwright.targets.reuse.static.trees import check_depth, minimum_tree

Shape = tuple[int, int, int]
"""Of a kernel: rows, columns, channels."""
Order = Literal["kernel", "stored"] | Integers
"""Which inputs lie side by side where tiles are cut: all places of a channel, channel by channel;
all channels of a place, as weights are stored; or (fan-in,) inputs in an order of one's own."""

WIDEST_TABLE = 14
"""Inputs of a tile whose patterns are all made: 8,192 of them."""


def tile_inputs(shape: Shape, width: int, order: Order = "kernel") -> tuple[Indices, ...]:
    """Return the inputs of each tile.

    Parameters
    ----------
    shape
        Of the kernel.
    width
        Inputs of a tile, 1 or more. With the order ``kernel`` a width of ``rows * columns`` makes
        each channel's kernel a tile.
    order
        Which inputs are side by side.

    Raises
    ------
    ConfigError
        If the width or the order is no such thing.
    """
    fan_in = prod(shape)
    if width < 1:
        raise ConfigError(f"tiles of {width} inputs", "give a width of 1 or more")
    stored = np.arange(fan_in)
    if isinstance(order, str):
        if order not in ("kernel", "stored"):
            raise ConfigError(f"inputs in the order '{order}'", "give 'kernel' or 'stored'")
        lined = stored.reshape(-1, shape[2]).T.ravel() if order == "kernel" else stored
    elif np.array_equal(np.sort(order), stored):
        lined = np.asarray(order, np.int64)
    else:
        raise ConfigError(
            f"an order that does not hold each of {fan_in} inputs once",
            f"give a permutation of 0..{fan_in - 1}",
        )
    return tuple(lined[start : start + width] for start in range(0, fan_in, width))


def shared_tiles(
    weights: Integers,
    shape: Shape,
    width: int,
    *,
    order: Order = "kernel",
    depth: int | None = None,
) -> AdderGraph:
    """Return a layer whose neurons share the patterns that they have in each tile.

    In a tile patterns are made from one another by the spanning tree of fewest bits; patterns that
    no neuron has are not made.

    Parameters
    ----------
    weights
        (neurons, fan-in) of -1 and +1, in the order in which weights are stored.
    shape, width, order
        See `tile_inputs`.
    depth
        Of the deepest pattern of a tile below the tile's root, 1 or more.

    Raises
    ------
    ConfigError
        If an argument is no such thing.
    """
    check_depth(depth)
    kernels = _kernels(weights, shape)
    builder = GraphBuilder(kernels.inputs)
    wires, signs = [], []
    for tile in tile_inputs(shape, width, order):
        patterns = distinct(kernels.rows[:, tile])
        made = minimum_tree(patterns.rows, depth).add_to(builder, tile)
        wires.append(made[patterns.which])
        signs.append(patterns.signs)
    return _summed(builder, kernels, np.stack(wires), np.stack(signs))


def tables(weights: Integers, shape: Shape, width: int, *, order: Order = "kernel") -> AdderGraph:
    """Return a layer whose neurons look their patterns up in tables of all patterns of a tile.

    Of each pattern and its complement the one with +1 for the tile's last input is made, in
    Gray-code order: from the one before by changing one input. Which patterns neurons have does
    not matter, so weights may change when all is built. The last pattern is as deep as there are
    patterns.

    Parameters
    ----------
    weights
        (neurons, fan-in) of -1 and +1, in the order in which weights are stored.
    shape, width, order
        See `tile_inputs`; the width is `WIDEST_TABLE` at most.

    Raises
    ------
    ConfigError
        If an argument is no such thing.
    """
    kernels = _kernels(weights, shape)
    if width > WIDEST_TABLE:
        raise ConfigError(
            f"a table of all {2 ** (width - 1):,} patterns of {width} inputs",
            f"give a width of {WIDEST_TABLE} at most",
        )
    builder = GraphBuilder(kernels.inputs)
    wires, signs = [], []
    for tile in tile_inputs(shape, width, order):
        made = _table(builder, tile)
        patterns = kernels.rows[:, tile].astype(np.int64)
        turned = patterns * patterns[:, -1:]
        wires.append(made[(turned[:, :-1] < 0) @ (1 << np.arange(len(tile) - 1))])
        signs.append(patterns[:, -1])
    return _summed(builder, kernels, np.stack(wires), np.stack(signs))


def _table(builder: GraphBuilder, tile: Indices) -> Indices:
    """Add all patterns of a tile; return their wires, by the number whose bits are the -1."""
    made = np.zeros(1 << (len(tile) - 1), np.int64)
    made[0] = builder.add(tile, np.ones(len(tile), np.int64))
    code = 0
    for step in range(1, len(made)):
        changed = (step & -step).bit_length() - 1
        before, code = made[code], code ^ (1 << changed)
        made[code] = builder.add([before, tile[changed]], [1, -2 if code >> changed & 1 else 2])
    return made


def _kernels(weights: Integers, shape: Shape) -> Kernels:
    kernels = distinct(weights)
    if kernels.inputs != prod(shape):
        raise ConfigError(
            f"weights of shape {weights.shape} do not fit kernels of {shape}",
            f"give weights of shape (neurons, {prod(shape)})",
        )
    return kernels


def _summed(builder: GraphBuilder, kernels: Kernels, wires: Indices, signs: Indices) -> AdderGraph:
    """Return the graph whose kernels are the sums of (tiles, kernels) wires times signs."""
    if len(wires) == 1:
        return builder.finish(wires[0][kernels.which], signs[0][kernels.which] * kernels.signs)
    sums = np.array([builder.add(*terms) for terms in zip(wires.T, signs.T, strict=True)])
    return builder.finish(sums[kernels.which], kernels.signs)
