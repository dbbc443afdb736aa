"""What is left of the read voltage across every cell of an array: the map of a tile's IR drop.

Requirements:

- The fast solvers know a column's current alone, so cells' currents are solved with dense matrices
  here, some columns at once, by Newton's method; what that cannot solve `...solver.nodal` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import reference
from bitwright.ir.program import check_batch
from bitwright.targets.crossbar.arrays import Arrays
from bitwright.targets.crossbar.design import Design
from bitwright.targets.crossbar.devices.cells import Cell, middle
from bitwright.targets.crossbar.solver import nodal
from bitwright.targets.crossbar.solver.ladder import Ladder

Array = npt.NDArray[np.float64]
STEPS = 30
RESIDUAL = 1e-9
"""Of cells' currents, in units of what a cell at full voltage conducts."""

MEMORY = 2**20
"""Numbers of the matrices that are solved at once, unless one column has more."""


def ir_drop(
    design: Design,
    layer: str,
    tile: int,
    image: npt.NDArray[Any],
    position: int,
    *,
    read: int = 0,
    columns: int | None = None,
) -> Array:
    """Return the voltage across each cell while a tile is read, (rows, columns) in volt.

    Parameters
    ----------
    design
        Whose cells are a circuit.
    layer, tile
        The name of the layer's dot product, and which of its tiles.
    image
        (*input shape): the layer's inputs are what the exact network has there.
    position
        Which window of the layer, counted row by row.
    read
        Which read of the tile, where only some word lines are on at once.
    columns
        How many of the tile's columns, the first ones; by default all.

    Raises
    ------
    UnknownNameError
        If no such layer is on arrays.
    ConfigError
        If its cells are ideal, or there is no such tile, window or read.
    ConvergenceError
        If a column's solution cannot be found.
    """
    if layer not in design.layers:
        raise UnknownNameError("layer on arrays", layer, design.layers)
    if design.cell is None or design.ladder is None:
        raise ConfigError("ideal cells have no IR drop", "set technology to a circuit's")
    chosen = design.layers[layer]
    _check("tile", tile, len(chosen.tiles))
    _check("window", position, chosen.windows)
    _check("read", read, len(chosen.tiles[tile].reads))
    index = list(design.layers).index(layer)
    arrays = Arrays(chosen, index, design.config, design.cell, design.ladder)
    batch = check_batch(design.program, np.asarray(image)[None])
    source = chosen.dot.op.input
    value = reference.run(design.program, batch, {source})[source]
    rows = chosen.tiles[tile].reads[read]
    (pattern,) = (p for p in arrays.patterns(value) if p.number == tile and p.rows == rows)
    active = np.zeros(design.ladder.rows, np.bool_)
    active[pattern.first : pattern.first + len(pattern.cells)] = pattern.lines[position]
    weights = arrays.multipliers(tile)[:, :columns]
    source_ohm, bit_ohm = design.ladder.rail_resistances()
    step = max(1, MEMORY // len(weights) ** 2)
    parts = np.split(weights, range(step, weights.shape[1], step), axis=1)
    found = [_currents(design.ladder, design.cell, part, active) for part in parts]
    return design.ladder.read_volt - (source_ohm + bit_ohm) @ np.concatenate(found, axis=1)


def _currents(ladder: Ladder, cell: Cell, weights: Array, active: npt.NDArray[np.bool_]) -> Array:
    """Return what flows through each cell, (rows, columns) in ampere."""
    source, bit = ladder.rail_resistances()
    volt, unit = ladder.read_volt, ladder.read_volt / cell.on_ohm
    on = active & (weights.T > 0)
    leak = np.where(active | (weights.T == 0), 0.0, cell.unselected_share / cell.on_ohm)
    multipliers = np.where(on, weights.T, 1.0)
    i = np.zeros(on.shape)
    # What is far from solved may overflow on its way; it ends at the damped solver.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(STEPS):
            s, b = volt - i @ source, i @ bit
            e = cell.elements(s, middle(cell, s, b, multipliers, volt), b, multipliers, volt)
            inverse = 1 / (e.upper_by_x + e.lower_by_x)
            by_p = np.where(on, e.lower_by_x * e.upper_by_s * inverse, leak)
            by_b = np.where(on, e.upper_by_x * e.lower_by_b * inverse, leak)
            excess = np.where(on, e.lower, leak * (s - b)) - i
            if np.abs(excess).max() <= RESIDUAL * unit:
                return np.ascontiguousarray(i.T)
            jacobian = np.eye(len(weights)) + by_p[:, :, None] * source + by_b[:, :, None] * bit
            i = i + np.linalg.solve(jacobian, excess[:, :, None])[:, :, 0]
            if not np.isfinite(i).all():
                break
    damped = [nodal.currents(ladder, cell, cells, active) for cells in weights.T]
    return np.stack(damped, axis=1)


def _check(what: str, number: int, count: int) -> None:
    if not 0 <= number < count:
        raise ConfigError(f"there is no {what} {number}", f"give 0 to {count - 1}")
