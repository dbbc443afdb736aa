"""Which vectors are inverted: fewer ones in the cells and on the word lines (BinSparX).

Source: Malhotra, Gupta, "BinSparX: sparsified binary neural networks for reduced hardware
non-idealities in crossbar arrays" (arXiv 2412.03553). A column is stored inverted when more than
half of it is ones, a sub-vector of activations applied inverted when more than half of that is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from bitwright.targets.crossbar.mapping import Layer, Tile

Mask = npt.NDArray[np.bool_]
Granularity = Literal["read", "tile", "kernel"]


def sparsify(layer: Layer, granularity: Granularity) -> Layer:
    """Return a layer whose columns are stored inverted where that leaves fewer ones."""
    if granularity == "kernel":
        ones = np.zeros(len(layer.dot.weights), np.int64)
        for tile in layer.tiles:
            ones[tile.outputs] += tile.weights.sum(axis=0)
        flip = 2 * ones > layer.fan_in
        tiles = [
            _set(tile, np.tile(flip[tile.outputs], (len(tile.reads), 1))) for tile in layer.tiles
        ]
    elif granularity == "tile":
        tiles = []
        for tile in layer.tiles:
            flipped = 2 * tile.weights.sum(axis=0) > len(tile.weights)
            tiles.append(_set(tile, np.tile(flipped, (len(tile.reads), 1))))
    else:
        tiles = []
        for tile in layer.tiles:
            parts = [tile.weights[read] for read in tile.reads]
            tiles.append(_set(tile, np.array([2 * p.sum(axis=0) > len(p) for p in parts])))
    return replace(layer, tiles=tuple(tiles))


def scatter(layer: Layer, rng: np.random.Generator, granularity: Granularity) -> Layer:
    """Return a layer whose columns are stored inverted at random, one in two."""
    if granularity == "kernel":
        flip = rng.random(len(layer.dot.weights)) < 0.5
        drawn = [flip[None, tile.outputs] for tile in layer.tiles]
    else:
        once = granularity == "tile"
        shapes = [(1 if once else len(t.reads), t.flipped.shape[1]) for t in layer.tiles]
        drawn = [rng.random(shape) < 0.5 for shape in shapes]
    tiles = [
        _set(tile, np.array(np.broadcast_to(flip, tile.flipped.shape)))
        for tile, flip in zip(layer.tiles, drawn, strict=True)
    ]
    return replace(layer, tiles=tuple(tiles))


def _set(tile: Tile, flipped: Mask) -> Tile:
    return replace(tile, flipped=flipped)


def word_line_flips(bits: Mask, valid: Mask | None, tile: Tile, granularity: Granularity) -> Mask:
    """Return which sub-vectors of activations are applied inverted, (windows, reads).

    Parameters
    ----------
    bits
        (windows, inputs) of the layer, those that are padding of zeros False.
    valid
        (windows, inputs), or None if all are.
    tile
        The tile.
    granularity
        With "kernel" all of a window's inputs share a flip.
    """
    if granularity == "kernel":
        most = _majority(bits, valid)
        return np.repeat(most[:, None], len(tile.reads), axis=1)
    rows, known = bits[:, tile.inputs], None if valid is None else valid[:, tile.inputs]
    if granularity == "tile":
        return np.repeat(_majority(rows, known)[:, None], len(tile.reads), axis=1)
    return np.stack(
        [_majority(rows[:, r], None if known is None else known[:, r]) for r in tile.reads], axis=1
    )


def random_word_line_flips(
    layer: Layer, rng: np.random.Generator, granularity: Granularity
) -> list[Mask]:
    """Return which sub-vectors of an image are applied inverted at random, one in two.

    Of each tile (windows, reads); with granularity "kernel" all of a window's inputs share a flip.
    """
    reads = [len(tile.reads) for tile in layer.tiles]
    draws = {"read": sum(reads), "tile": len(reads), "kernel": 1}[granularity]
    drawn = rng.random((layer.windows, draws)) < 0.5
    if granularity == "tile":
        drawn = np.repeat(drawn, reads, axis=1)
    elif granularity == "kernel":
        drawn = np.repeat(drawn, sum(reads), axis=1)
    return np.split(drawn, np.cumsum(reads)[:-1], axis=1)


def _majority(bits: Mask, valid: Mask | None) -> Mask:
    size = bits.shape[1] if valid is None else valid.sum(axis=1)
    return np.asarray(2 * bits.sum(axis=1) > size)
