"""Layers cut into tiles of an array's rows, and what was stored turned back into dot products.

Requirements:

- Inputs are numbered as everywhere: (row, column, channel) of a window, of all channels.
- With ``w = 2 W - 1`` and ``x = 2 A - 1``, stored and applied bits W' and A' inverted where
  the flips s_w and s_a are -1, and n rows in use:

      sum(w x) = s_w s_a (4 sum(W' A') - 2 sum(W') - 2 sum(A') + n).

- A tap in padding of zeros is neither: its word line stays off, and it is in none of the sums.
- Complementary cells count agreements: ``sum(w x) = 2 (sum(W A) + sum(~W ~A)) - n``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitwright.ir.ops import Conv2d, Dense
from bitwright.ir.program import Program
from bitwright.ir.types import Bits
from bitwright.native.convolution import Dot, dot_of
from bitwright.native.geometry import map_shape

Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Tile:
    """Rows of an array that hold some inputs' weights, of some outputs.

    Parameters
    ----------
    inputs
        (rows in use,): the input of each.
    outputs
        The channels of the output that its columns are.
    weights
        (rows in use, columns) bool: the weights, not flipped.
    reads
        The rows that are on at once, one slice after another.
    flipped
        (reads, columns) bool: the columns that are stored inverted.
    """

    inputs: Indices
    outputs: slice
    weights: Mask
    reads: tuple[slice, ...]
    flipped: Mask

    @property
    def stored(self) -> Mask:
        """The bits in the cells, (rows in use, columns)."""
        bits = self.weights.copy()
        for read, flipped in zip(self.reads, self.flipped, strict=True):
            bits[read] ^= flipped
        return bits


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer on arrays.

    Parameters
    ----------
    name
        Of its dot product.
    dot
        The layer.
    tiles
        Of all groups of the convolution, one after another.
    """

    name: str
    dot: Dot
    tiles: tuple[Tile, ...]

    @property
    def fan_in(self) -> int:
        """Inputs of an output."""
        return int(self.dot.weights[0].size)

    @property
    def windows(self) -> int:
        """Positions at which it is computed, of an image."""
        return self.dot.windows.number

    @property
    def reads(self) -> int:
        """Reads of arrays, of a window and an output."""
        groups = len({tile.outputs.start for tile in self.tiles})
        return sum(len(tile.reads) for tile in self.tiles) // groups


def binary_dots(program: Program) -> dict[str, Dot]:
    """Return the layers of bits with weights of one bit, by the names of their dot products.

    A layer whose weights are all alike (a sum of inputs, as shifted weights leave it behind) is a
    popcount that the digital part has; it takes no array.
    """
    found = {}
    for op in program.ops:
        if isinstance(op, Conv2d | Dense):
            dot = dot_of(program, op)
            binary = isinstance(dot.value, Bits) and dot.weights.dtype == np.bool_
            if binary and dot.weights.any() and not dot.weights.all():
                found[op.output] = dot
    return found


def cut(name: str, dot: Dot, rows: int, word_lines: int = 0) -> Layer:
    """Return a layer in tiles of at most `rows` inputs.

    Parameters
    ----------
    word_lines
        How many rows are on at once, 0 for all.
    """
    outputs = len(dot.weights)
    kernel = dot.weights.shape[1:3]
    channels = dot.weights.shape[3]
    columns = outputs // dot.groups
    tiles = []
    for group in range(dot.groups):
        # Of all channels those of the group, at every position of the kernel.
        place = np.arange(kernel[0] * kernel[1] * channels * dot.groups)
        mine = place[place // channels % dot.groups == group]
        chosen = slice(group * columns, (group + 1) * columns)
        weights = dot.weights[chosen].reshape(columns, -1).T
        for start in range(0, len(mine), rows):
            part = slice(start, min(start + rows, len(mine)))
            size = part.stop - part.start
            step = word_lines or size
            reads = tuple(slice(k, min(k + step, size)) for k in range(0, size, step))
            flipped = np.zeros((len(reads), columns), np.bool_)
            bits = np.ascontiguousarray(weights[part])
            tiles.append(Tile(mine[part], chosen, bits, reads, flipped))
    return Layer(name, dot, tuple(tiles))


def reorder(tile: Tile, current: npt.NDArray[np.float64]) -> Tile:
    """Return a tile whose inputs are sorted by what current they bring, the most to the last row.

    Parameters
    ----------
    current
        (inputs of the layer,).
    """
    order = np.argsort(current[tile.inputs], kind="stable")
    return replace(tile, inputs=tile.inputs[order], weights=tile.weights[order])


def windows_of(dot: Dot, value: npt.NDArray[np.bool_]) -> tuple[Mask, Mask | None]:
    """Return what the windows of a layer hold.

    Parameters
    ----------
    value
        (images, *shape) bool.

    Returns
    -------
    tuple
        Bits (images * windows, inputs of all groups), and which are no padding of zeros, (windows,
        inputs); None if all are.
    """
    maps = value.reshape(len(value), *map_shape(dot.value))
    bits = _slide(dot, maps, dot.pad_value > 0)
    if not any(dot.padding) or dot.pad_value:
        return bits, None
    return bits, _slide(dot, np.ones((1, *maps.shape[1:]), np.bool_), False)


def _slide(dot: Dot, maps: npt.NDArray[np.bool_], fill: bool) -> Mask:
    top, bottom, left, right = dot.padding
    padded = np.pad(maps, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    kernel = (dot.weights.shape[1], dot.weights.shape[2])
    every = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    strided = every[:, :: dot.stride[0], :: dot.stride[1]].transpose(0, 1, 2, 4, 5, 3)
    return np.ascontiguousarray(strided).reshape(-1, kernel[0] * kernel[1] * maps.shape[3])
