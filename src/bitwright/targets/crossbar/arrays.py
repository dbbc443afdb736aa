"""A layer's arrays at work: from bits to dot products, by the circuit of every column.

Requirements:

- Every partial sum of every window is solved; nothing is sampled.
- What is drawn depends on the seed, the layer and the image's bits alone, so results do not depend
  on how images are batched or on threads.
- The rows in use are the last ones of an array, next to the sense end.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.targets.base import Counters
from bitwright.targets.crossbar.correct import add_agreements, add_read
from bitwright.targets.crossbar.design import Config, Correction
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.devices.variability import program
from bitwright.targets.crossbar.flips import word_line_flips
from bitwright.targets.crossbar.mapping import Layer, Tile, windows_of
from bitwright.targets.crossbar.sensing import Sensing
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.ladder import Ladder

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Read:
    """What an array does at once, for all windows of some images.

    Parameters
    ----------
    number, tile, rows
        Which tile, and its rows that are read.
    flipped
        (columns,) bool: the columns that are stored inverted.
    stored
        (rows, columns) bool: W'.
    bits, applied
        (windows of all images, rows) bool: A as it is, and A'.
    sizes
        (windows or 1,): how many inputs are no padding of zeros.
    column_sums
        (windows or 1, columns): sums of W' over those.
    inverted
        (windows of all images,) bool: where A' is A inverted.
    currents
        (windows of all images, columns): in ampere, or in cells if they are ideal.
    """

    number: int
    tile: Tile
    rows: slice
    flipped: Mask
    stored: Mask
    bits: Mask
    applied: Mask
    sizes: Array
    column_sums: Array
    inverted: Mask
    currents: Array


class Arrays:
    """The arrays of a layer.

    Parameters
    ----------
    layer
        What they hold.
    index
        Which of the network's layers it is: what is drawn depends on it.
    config
        Of flips, mapping and spread.
    cell, ladder
        Every column's circuit, or None for ideal cells.
    """

    def __init__(
        self, layer: Layer, index: int, config: Config, cell: Cell | None, ladder: Ladder | None
    ) -> None:
        self.layer, self.config, self.cell = layer, config, cell
        self.rows = config.rows if ladder is None else ladder.rows
        self._index = index
        self._stored = [tile.stored for tile in layer.tiles]
        self._columns: list[Columns] = []
        for number, stored in enumerate(self._stored):
            if cell is None or ladder is None:
                break
            cells = np.zeros((self.rows, stored.shape[1]), np.bool_)
            used = self._place(stored, ~stored)
            cells[self.rows - len(used) :] = used
            rng = np.random.default_rng([config.seed, index, number])
            spread = (config.sigma, config.stuck_on, config.stuck_off)
            multipliers = program(cells, cell, rng, *spread)
            self._columns.append(Columns(ladder, cell, multipliers))

    def _place(self, bits: Mask, others: Mask) -> Mask:
        """Return rows of cells: with complementary ones each has two."""
        if self.config.mapping == "and":
            return bits
        return np.stack([bits, others], axis=1).reshape(-1, bits.shape[1])

    def reads(self, value: Mask) -> Iterator[Read]:
        """Yield what the arrays do for some images' bits (images, *shape)."""
        flips = self.config.flips
        bits, valid = windows_of(self.layer.dot, value)
        every = None if valid is None else np.tile(valid, (len(value), 1))
        random = self._random_flips(value) if flips == "random" else None
        for number, tile in enumerate(self.layer.tiles):
            if flips in ("dynamic", "both"):
                inverted = word_line_flips(bits, every, tile, self.config.flip_granularity)
            elif random is not None:
                inverted = random[number]
            else:
                inverted = np.zeros((len(bits), len(tile.reads)), np.bool_)
            for k, rows in enumerate(tile.reads):
                inputs = tile.inputs[rows]
                part = bits[:, inputs]
                applied = part ^ inverted[:, k : k + 1]
                stored = self._stored[number][rows]
                if valid is None or every is None:
                    known = None
                    sizes = np.array([float(len(inputs))])
                    sums = stored.sum(axis=0)[None].astype(np.float64)
                else:
                    known = every[:, inputs]
                    applied &= known
                    here = valid[:, inputs].astype(np.float64)
                    sizes, sums = here.sum(axis=1), here @ stored.astype(np.float64)
                currents = self._currents(number, rows.start, applied, known)
                yield Read(
                    number, tile, rows, tile.flipped[k], stored, part, applied, sizes, sums,
                    inverted[:, k], currents,
                )  # fmt: skip

    def _currents(self, number: int, start: int, applied: Mask, known: Mask | None) -> Array:
        """Return what a tile's columns give with some of its rows on, from row `start`."""
        tile = self._stored[number]
        lines = applied
        double = 1
        if self.config.mapping == "xnor":
            off = ~applied if known is None else ~applied & known
            lines, double = np.stack([applied, off], axis=2).reshape(len(applied), -1), 2
        if not self._columns:
            cells = self._place(tile, ~tile)[double * start : double * start + lines.shape[1]]
            return (lines.astype(np.float32) @ cells.astype(np.float32)).astype(np.float64)
        first = self.rows - double * (len(tile) - start)
        word_lines = np.zeros((len(lines), self.rows), np.bool_)
        word_lines[:, first : first + lines.shape[1]] = lines
        return self._columns[number].solve(word_lines, 1).currents

    def _random_flips(self, value: Mask) -> list[Mask]:
        """Return for each tile (windows of all images, reads), one in two."""
        counts = [len(tile.reads) for tile in self.layer.tiles]
        shape = (self.layer.windows, sum(counts))
        drawn = np.concatenate([self._rng(image, 0).random(shape) < 0.5 for image in value])
        return np.split(drawn, np.cumsum(counts)[:-1], axis=1)

    def _rng(self, image: Mask, purpose: int) -> np.random.Generator:
        key = zlib.crc32(np.packbits(image).tobytes())
        return np.random.default_rng([self.config.seed, self._index, purpose, key])

    def dots(
        self, value: Mask, sensing: Sensing, correction: Correction | None = None
    ) -> tuple[Array, Counters]:
        """Return the dot products of some images' bits, and what the arrays did for them.

        Parameters
        ----------
        value
            (images, *shape) bool, of at least one image.
        sensing
            How currents become counts.
        correction
            What is done to dot products afterwards.

        Returns
        -------
        tuple
            (images * windows, outputs) of whole numbers in doubles, and counters that add up.
        """
        total = np.zeros((len(value) * self.layer.windows, len(self.layer.dot.weights)))
        tally = Tally(self.layer.name, self.config.mapping)
        noise = [self._rng(image, 1) for image in value] if sensing.noise else []
        for read in self.reads(value):
            tally.add(read, sensing.unit_amp)
            add(read, self.config.mapping, sensing, noise, total)
        total = np.rint(total)
        if correction is not None:
            total = np.rint(total * correction.scale + correction.shift)
        return total, tally.counters(len(value))


def add(
    read: Read, mapping: str, sensing: Sensing, noise: list[np.random.Generator], total: Array
) -> None:
    """Add what a read senses to dot products, (windows of all images, outputs).

    Parameters
    ----------
    noise
        What draws each image's, if there is any.
    """
    counts, unit = read.currents, sensing.unit_amp
    if not sensing.plain:
        parts = np.split(counts, len(noise)) if noise else [counts]
        draws = noise or [np.random.default_rng(0)]
        counts = np.concatenate([sensing.counts(*pair) for pair in zip(parts, draws, strict=True)])
        unit = 1.0
    part = np.ascontiguousarray(total[:, read.tile.outputs])
    if mapping == "xnor":
        add_agreements(counts, unit, sensing.plain, read.sizes, part)
    else:
        columns = np.where(read.flipped, -1.0, 1.0)
        rows = np.where(read.inverted, -1.0, 1.0)
        ones = read.applied.sum(axis=1).astype(np.float64)
        add_read(
            counts, unit, sensing.plain, read.column_sums, ones, read.sizes, columns, rows, part
        )
    total[:, read.tile.outputs] = part


class Tally:
    """What a layer's arrays do, counted over all reads of all windows.

    ``on_cells`` are cells that conduct, so the partial sums' total; with ``plain_`` in front what
    would be without flips. ``current`` is in units of what counts as one cell.
    """

    def __init__(self, name: str, mapping: str) -> None:
        self.name, self.double = name, mapping == "xnor"
        self.found: Counters = {}

    def add(self, read: Read, unit_amp: float) -> None:
        """Count a read of all windows."""
        weights = read.tile.weights[read.rows]
        on, plain = read.applied.sum(axis=0), read.bits.sum(axis=0)
        on_cells, plain_cells = on @ read.stored.sum(axis=1), plain @ weights.sum(axis=1)
        lines, plain_lines = on.sum(), plain.sum()
        if self.double:
            valid = int(read.sizes.sum()) * (len(read.bits) // len(read.sizes))
            lines = plain_lines = valid
            on_cells = plain_cells = round(float(read.currents.sum()) / unit_amp)
        for what, number in {
            "reads": len(read.bits),
            "conversions": read.currents.size,
            "word_lines": int(lines),
            "plain_word_lines": int(plain_lines),
            "on_cells": int(on_cells),
            "plain_on_cells": int(plain_cells),
            "inverted_reads": int(read.inverted.sum()),
            "current": float(read.currents.sum()) / unit_amp,
        }.items():
            self.found[what] = self.found.get(what, 0) + number

    def counters(self, images: int) -> Counters:
        """Return the counters, by what they count and the layer's name."""
        named: Counters = {f"{what}/{self.name}": value for what, value in self.found.items()}
        return named | {f"images/{self.name}": images}
