"""Whole numbers of several bits on the same arrays: a plane of bits at a time.

Requirements:

- Weights ``w = sum_k f_k W_k + c`` lie in a column for each plane W_k of bits, activations
  ``a = sum_j g_j A_j + d`` come in a cycle for each plane A_j. With the counts of cells that
  conduct, ``S_jk = sum(W_k A_j)``, over the n rows of a tile

      sum(w a) = sum_jk g_j f_k S_jk + d sum(f_k W_k) + c sum(g_j A_j) + n c d.

  Shifting, adding and all but S is digital, and exact.
- A plane that is stored or applied inverted is a plane with the factor -f_k and c + f_k, so flips
  take nothing but other factors. With one bit this is `...mapping`, where f = g = 2, c = d = -1.
- The rows in use are the last ones of an array, next to the sense end.

"offset" weights are ``w + 2**(b-1)``: a column a bit, as in ISAAC (Shafiee et al., ISCA 2016).
Two's complement is the same with the highest plane inverted. "differential" weights are the
magnitudes of the positive and of the negative ones, in two columns a bit that are subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.targets.crossbar.design import ideal_amp
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.ladder import Ladder

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.integer[Any]]
Coding = Literal["offset", "differential"]
CHUNK = 1 << 21
"""Column currents that are solved at a time; bounds the memory."""


@dataclass(frozen=True, eq=False)
class Planes:
    """Whole numbers as planes of bits: ``sum_k factors[k] bits[k] + constant``.

    Parameters
    ----------
    bits
        (planes, ...) bool.
    factors
        (planes,).
    constant
        What is added.
    """

    bits: npt.NDArray[np.bool_]
    factors: Array
    constant: float

    def numbers(self) -> Array:
        """Return what the planes stand for."""
        return np.tensordot(self.factors, self.bits.astype(np.float64), 1) + self.constant


def weight_planes(weights: Whole, bits: int, coding: Coding) -> Planes:
    """Return weights of b bits as planes.

    Parameters
    ----------
    weights
        +1 and -1 with one bit, otherwise from -(2**(b-1) - 1) to 2**(b-1) - 1.

    Raises
    ------
    ConfigError
        If a weight is none of these, or there is no such coding.
    """
    if coding not in get_args(Coding):
        raise ConfigError(
            f"weights cannot be coded '{coding}'", f"use {' or '.join(get_args(Coding))}"
        )
    largest = 1 if bits == 1 else 2 ** (bits - 1) - 1
    if (np.abs(weights) > largest).any() or (bits == 1 and (weights == 0).any()):
        raise ConfigError(f"weights are not of {bits} bits", f"give up to {largest} either way")
    if coding == "differential":
        count = max(bits - 1, 1)
        sides = [_bits_of(np.maximum(side, 0), count) for side in (weights, -weights)]
        powers = _powers(count)
        return Planes(np.concatenate(sides), np.concatenate([powers, -powers]), 0.0)
    if bits == 1:
        return Planes(weights[None] > 0, np.array([2.0]), -1.0)
    half = 2 ** (bits - 1)
    return Planes(_bits_of(weights + half, bits), _powers(bits), -float(half))


def activation_planes(codes: Whole, bits: int) -> Planes:
    """Return activations as planes: from 0 to 2**b - 1, of one bit -1 for 0 and +1 for 1."""
    if bits == 1:
        return Planes(codes[None] > 0, np.array([2.0]), -1.0)
    return Planes(_bits_of(codes, bits), _powers(bits), 0.0)


def _powers(count: int) -> Array:
    return np.exp2(np.arange(count, dtype=np.float64))


def _bits_of(numbers: Whole, count: int) -> npt.NDArray[np.bool_]:
    shifts = np.arange(count).reshape(-1, *(1,) * numbers.ndim)
    return np.asarray(numbers.astype(np.int64) >> shifts & 1, np.bool_)


class SlicedArrays:
    """The arrays of a fully connected layer.

    Parameters
    ----------
    weights
        (inputs, outputs), as `weight_planes` takes them.
    bits, coding
        Of the weights, and of the activations.
    rows
        Of an array.
    cell, ladder
        Every column's circuit, or None for ideal cells.
    flips
        Whether each column and each sub-vector of activations is stored and applied inverted where
        that leaves fewer ones (BinSparX), plane by plane.

    Raises
    ------
    ConfigError
        As `weight_planes` does.
    """

    def __init__(
        self,
        weights: Whole,
        bits: int,
        coding: Coding,
        rows: int,
        cell: Cell | None,
        ladder: Ladder | None,
        flips: bool = False,
    ) -> None:
        self.bits, self.rows, self.flips = bits, rows, flips
        self.unit_amp = ideal_amp(cell, ladder)
        planes = weight_planes(weights, bits, coding)
        self.outputs = weights.shape[1]
        starts = range(0, len(weights), rows)
        self._tiles = [
            _Tile(planes, slice(k, min(k + rows, len(weights))), rows, cell, ladder, flips)
            for k in starts
        ]

    def dots(self, codes: Whole, gain: float = 1.0, threads: int | None = None) -> Array:
        """Return dot products as the arrays sense them.

        Parameters
        ----------
        codes
            (images, inputs), as `activation_planes` takes them.
        gain
            The current that counts as one cell, in units of an ideal cell's. A count is the nearest
            whole number of these.
        threads
            As `Columns.solve` takes them.

        Returns
        -------
        array
            (images, outputs) of whole numbers in doubles.
        """
        total = np.zeros((len(codes), self.outputs))
        for part in self._chunks(len(codes)):
            for tile in self._tiles:
                cycles = tile.cycles(codes[part], self.bits, self.flips)
                counts = tile.currents(cycles, threads) / (gain * self.unit_amp)
                np.rint(counts, out=counts)
                total[part] += tile.add(cycles, counts)
        return total

    def conducting(self, codes: Whole) -> tuple[int, int]:
        """Return how many cells conduct over all cycles, and how many could: all that are read."""
        on = cells = 0
        for tile in self._tiles:
            lines = tile.cycles(codes, self.bits, self.flips).bits
            on += int(lines.sum((0, 1)) @ tile.bits.sum((0, 2)))
            cells += lines.size * tile.bits.shape[0] * self.outputs
        return on, cells

    def gain(self, codes: Whole, threads: int | None = None) -> float:
        """Return the gain that fits best: least squares of currents over ideal counts."""
        products = squares = 0.0
        for part in self._chunks(len(codes)):
            for tile in self._tiles:
                cycles = tile.cycles(codes[part], self.bits, self.flips)
                ideal = tile.ideal(cycles)
                if tile.columns is None:
                    return 1.0
                products += float((tile.currents(cycles, threads) * ideal).sum())
                squares += float((ideal * ideal).sum())
        return products / (squares * self.unit_amp) if products else 1.0

    def _chunks(self, images: int) -> list[slice]:
        currents = self.bits * self._tiles[0].bits.shape[0] * self.outputs
        step = max(1, CHUNK // currents)
        return [slice(k, k + step) for k in range(0, images, step)]


@dataclass(frozen=True, eq=False)
class _Cycles:
    """A tile's word lines for some images.

    ``bits`` (images, planes, rows in use); ``factors`` (images, planes); ``constants`` (images,).
    """

    bits: npt.NDArray[np.bool_]
    factors: Array
    constants: Array


class _Tile:
    """Rows of an array: the planes of some inputs' weights, those of all outputs side by side."""

    def __init__(
        self,
        planes: Planes,
        part: slice,
        rows: int,
        cell: Cell | None,
        ladder: Ladder | None,
        flips: bool,
    ) -> None:
        self.part, self._rows = part, rows
        bits = planes.bits[:, part]  # (planes, rows in use, outputs)
        factors = np.repeat(planes.factors[:, None], bits.shape[2], axis=1)
        flip = (2 * bits.sum(axis=1) > bits.shape[1]) & flips
        self.bits = bits ^ flip[:, None]
        self.factors = np.where(flip, -factors, factors)
        self.constants = planes.constant + (factors * flip).sum(axis=0)
        self._sums = (self.factors * self.bits.sum(axis=1)).sum(axis=0)
        self._flat = self.bits.transpose(1, 0, 2).reshape(bits.shape[1], -1)
        self.columns = None
        if cell is not None and ladder is not None:
            cells = np.zeros((rows, self._flat.shape[1]))
            cells[rows - len(self._flat) :] = np.where(self._flat, 1.0, 1.0 / cell.on_off_ratio)
            self.columns = Columns(ladder, cell, cells)

    def cycles(self, codes: Whole, bits: int, flips: bool) -> _Cycles:
        planes = activation_planes(codes[:, self.part], bits)
        lines = planes.bits.transpose(1, 0, 2)
        factors = np.repeat(planes.factors[None], len(codes), axis=0)
        flip = (2 * lines.sum(axis=2) > lines.shape[2]) & flips
        constants = planes.constant + (factors * flip).sum(axis=1)
        return _Cycles(lines ^ flip[:, :, None], np.where(flip, -factors, factors), constants)

    def ideal(self, cycles: _Cycles) -> Array:
        """Return how many cells conduct, (images, activation planes, weight planes, outputs)."""
        lines = cycles.bits.astype(np.float32)
        return self._shaped(cycles, lines @ self._flat.astype(np.float32)).astype(np.float64)

    def currents(self, cycles: _Cycles, threads: int | None) -> Array:
        """Return what the columns give in ampere, shaped as `ideal`."""
        if self.columns is None:
            return self.ideal(cycles)
        images, planes, used = cycles.bits.shape
        lines = np.zeros((images * planes, self._rows), np.bool_)
        lines[:, self._rows - used :] = cycles.bits.reshape(-1, used)
        return self._shaped(cycles, self.columns.solve(lines, threads).currents)

    def _shaped(self, cycles: _Cycles, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return flat.reshape(*cycles.bits.shape[:2], *self.factors.shape)

    def add(self, cycles: _Cycles, counts: Array) -> Array:
        """Return what counts make of the tile's part of the dot products, (images, outputs)."""
        images, planes = cycles.factors.shape
        shifted = cycles.factors[:, None] @ counts.reshape(images, planes, -1)
        dots = (shifted.reshape(images, *self.factors.shape) * self.factors).sum(axis=1)
        ones = (cycles.factors * cycles.bits.sum(axis=2)).sum(axis=1)
        rows = cycles.bits.shape[2]
        dots += np.multiply.outer(cycles.constants, self._sums + rows * self.constants)
        dots += np.multiply.outer(ones, self.constants)
        return np.asarray(dots)
