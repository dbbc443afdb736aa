"""A layer's arrays at work: from bits to dot products, by the circuit of every column.

Requirements:

- Every partial sum of every window is solved; nothing is sampled.
- What is drawn depends on the seed, the layer and the image's bits alone, so results do not depend
  on how images are batched or on threads.
- The rows in use are the last ones of an array, next to the sense end.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.targets.base import Counters
from bitwright.targets.crossbar.convergence import solving
from bitwright.targets.crossbar.correct import add_agreements, add_read
from bitwright.targets.crossbar.design import Config, Correction
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.devices.variability import program
from bitwright.targets.crossbar.flips import random_word_line_flips, word_line_flips
from bitwright.targets.crossbar.mapping import Layer, Tile, windows_of
from bitwright.targets.crossbar.sensing import Sensing
from bitwright.targets.crossbar.solver.columns import Columns, Solution
from bitwright.targets.crossbar.solver.ladder import Ladder

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
CHUNK = 8
"""Images that a thread takes at a time; bounds the memory that currents take."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """What is put on an array at once, for all windows of some images.

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
    lines
        (windows of all images, word lines) bool: which word lines are on, of those read.
    cells
        (word lines, columns) bool: what is stored in their cells.
    first
        Which row of the array has the first of them.
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
    lines: Mask
    cells: Mask
    first: int

    def ideal(self) -> Array:
        """Return how many cells of each column conduct, (windows of all images, columns)."""
        return self.lines.astype(np.float32) @ self.cells.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Read(Pattern):
    """What an array gives for that.

    Parameters
    ----------
    currents
        (windows of all images, columns): in ampere, or in cells if they are ideal.
    solution
        What the solver says of them; None of ideal cells.
    """

    currents: Array
    solution: Solution | None


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
        for pattern in self.patterns(value):
            solution = self._solved(pattern)
            currents = solution.currents if solution else pattern.ideal().astype(np.float64)
            yield Read(**vars(pattern), currents=currents, solution=solution)

    def multipliers(self, number: int) -> Array:
        """Return what multiplies the cells' storing elements, (rows, columns) of an array.

        Parameters
        ----------
        number
            Which tile; of a layer whose cells are a circuit.
        """
        return self._columns[number].weights

    def patterns(self, value: Mask) -> Iterator[Pattern]:
        """Yield what is put on the arrays for some images' bits (images, *shape)."""
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
                lines = self._lines(applied, known)
                cells = self._place(stored, ~stored)
                after = len(tile.inputs) - rows.start
                first = self.rows - after * len(cells) // len(stored)
                yield Pattern(
                    number, tile, rows, tile.flipped[k], stored, part, applied, sizes, sums,
                    inverted[:, k], lines, cells, first,
                )  # fmt: skip

    def _lines(self, applied: Mask, known: Mask | None) -> Mask:
        """Return which word lines are on."""
        if self.config.mapping == "and":
            return applied
        off = ~applied if known is None else ~applied & known
        return np.stack([applied, off], axis=2).reshape(len(applied), -1)

    def _solved(self, pattern: Pattern) -> Solution | None:
        """Return what an array's columns give, unless cells are ideal."""
        if not self._columns:
            return None
        lines, first = pattern.lines, pattern.first
        word_lines = np.zeros((len(lines), self.rows), np.bool_)
        word_lines[:, first : first + lines.shape[1]] = lines
        return self._columns[pattern.number].solve(word_lines, 1)

    def _random_flips(self, value: Mask) -> list[Mask]:
        """Return for each tile (windows of all images, reads), one in two."""
        granularity = self.config.flip_granularity
        drawn = [
            random_word_line_flips(self.layer, self._rng(image, 0), granularity) for image in value
        ]
        return [np.concatenate(of_tile) for of_tile in zip(*drawn, strict=True)]

    def _rng(self, image: Mask, purpose: int) -> np.random.Generator:
        key = zlib.crc32(np.packbits(image).tobytes())
        return np.random.default_rng([self.config.seed, self._index, purpose, key])

    def dots(
        self,
        value: Mask,
        sensing: Sensing,
        correction: Correction | None = None,
        survey: Callable[[Read, Sensed], None] | None = None,
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
        survey
            What looks at each read of all windows, and what is sensed of it.

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
            sensed = sense(read.currents, sensing, noise)
            add(read, self.config.mapping, sensed, total)
            if survey is not None:
                survey(read, sensed)
        total = np.rint(total)
        if correction is not None:
            total = np.rint(total * correction.scale + correction.shift)
        return total, tally.counters(len(value))


@dataclass(frozen=True, eq=False)
class Sensed:
    """What is sensed, (windows of all images, columns): `counts` by `unit` in cells.

    With `rounded` the nearest whole number is what counts.
    """

    counts: Array
    unit: float
    rounded: bool

    def cells(self) -> Array:
        """Return what is sensed in cells."""
        found = self.counts * (1.0 / self.unit)
        return np.rint(found) if self.rounded else found


def sense(currents: Array, sensing: Sensing, noise: list[np.random.Generator]) -> Sensed:
    """Return what is sensed of currents, (windows of all images, columns).

    Parameters
    ----------
    noise
        What draws each image's, if there is any.
    """
    if sensing.plain:
        return Sensed(currents, sensing.unit_amp, True)
    parts = np.split(currents, len(noise)) if noise else [currents]
    draws = noise or [np.random.default_rng(0)]
    counts = [sensing.counts(*pair) for pair in zip(parts, draws, strict=True)]
    return Sensed(np.concatenate(counts), 1.0, False)


def add(read: Read, mapping: str, sensed: Sensed, total: Array) -> None:
    """Add what is sensed of a read to dot products, (windows of all images, outputs)."""
    part = np.ascontiguousarray(total[:, read.tile.outputs])
    if mapping == "xnor":
        add_agreements(sensed.counts, sensed.unit, sensed.rounded, read.sizes, part)
    else:
        columns = np.where(read.flipped, -1.0, 1.0)
        rows = np.where(read.inverted, -1.0, 1.0)
        ones = read.applied.sum(axis=1).astype(np.float64)
        add_read(
            sensed.counts, sensed.unit, sensed.rounded, read.column_sums, ones, read.sizes, columns,
            rows, part,
        )  # fmt: skip
    total[:, read.tile.outputs] = part


class Tally:
    """What a layer's arrays do, counted over all reads of all windows.

    ``on_cells`` are cells that conduct, so the partial sums' total; with ``plain_`` in front what
    would be without flips. ``current`` is in units of what counts as one cell. What the solver
    did is `bitwright.targets.crossbar.convergence`'s.
    """

    def __init__(self, name: str, mapping: str) -> None:
        self.name, self.mapping = name, mapping
        self.found: Counters = {}

    def add(self, read: Read, unit_amp: float) -> None:
        """Count a read of all windows."""
        on = read.lines.sum(axis=0)
        lines, on_cells = on.sum(), on @ read.cells.sum(axis=1)
        plain_lines, plain_cells = lines, on_cells
        if self.mapping == "and":  # complementary cells know no flips
            plain = read.bits.sum(axis=0)
            plain_lines = plain.sum()
            plain_cells = plain @ read.tile.weights[read.rows].sum(axis=1)
        for what, number in {
            "reads": len(read.bits),
            "conversions": read.currents.size,
            "word_lines": int(lines),
            "plain_word_lines": int(plain_lines),
            "on_cells": int(on_cells),
            "plain_on_cells": int(plain_cells),
            "inverted_reads": int(read.inverted.sum()),
            "current": float(read.currents.sum()) / unit_amp,
            **solving(read.solution),
        }.items():
            self.found[what] = self.found.get(what, 0) + number

    def counters(self, images: int) -> Counters:
        """Return the counters, by what they count and the layer's name."""
        named: Counters = {f"{what}/{self.name}": value for what, value in self.found.items()}
        return named | {f"images/{self.name}": images}
