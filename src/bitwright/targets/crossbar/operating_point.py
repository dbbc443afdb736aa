"""One read of one tile as the simulation has it: weights and word lines, ready for a circuit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import reference
from bitwright.ir.program import check_batch
from bitwright.targets.crossbar.design import Design
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.simulate import arrays_for, arrays_of, by_arrays
from bitwright.targets.crossbar.solver.ladder import Ladder


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """A tile at work.

    Parameters
    ----------
    ladder, cell
        The circuit of every column.
    weights
        (rows, columns): what multiplies each cell's storing element, spread and stuck cells in it.
    active
        (rows,): which word lines are on.
    """

    ladder: Ladder
    cell: Cell
    weights: npt.NDArray[np.float64]
    active: npt.NDArray[np.bool_]


def operating_point(
    design: Design,
    layer: str,
    tile: int,
    image: npt.NDArray[Any],
    position: int = 0,
    read: int = 0,
    *,
    exact: bool = False,
) -> OperatingPoint:
    """Return what a tile has in its cells and on its word lines, after all flips.

    Parameters
    ----------
    design
        Whose cells are a circuit.
    layer
        The name of the layer's dot product, or that without ``_dot``.
    tile
        Which of the layer's tiles.
    image
        (*input shape): the layer's inputs are what the arrays before it make of it.
    position
        Which window of the layer, counted row by row.
    read
        Which read of the tile, where only some word lines are on at once.
    exact
        Whether the layer's inputs are those of the exact network instead.

    Raises
    ------
    UnknownNameError
        If no such layer is on arrays.
    ConfigError
        If its cells are ideal, or there is no such tile, window or read.
    """
    name = layer if layer in design.layers else f"{layer}_dot"
    if name not in design.layers:
        raise UnknownNameError("layer on arrays", layer, design.layers)
    if design.cell is None or design.ladder is None:
        raise ConfigError(
            "ideal cells have no circuit", "set technology to linear, sram8t or reram1t1r"
        )
    chosen = design.layers[name]
    _check(f"tile {tile} of '{name}'", tile, len(chosen.tiles))
    _check(f"window {position} of '{name}'", position, chosen.windows)
    _check(f"read {read} of the tile", read, len(chosen.tiles[tile].reads))
    others = {} if exact else arrays_of(design)
    arrays = others.get(name) or arrays_for(design, name)
    batch = check_batch(design.program, np.asarray(image)[None])
    made = {other: by_arrays(design, at, {}) for other, at in others.items()}
    values = reference.trace(design.program, batch, made)
    value = next(v for n, v in values if n == chosen.dot.op.input)
    rows = chosen.tiles[tile].reads[read]
    pattern = next(p for p in arrays.patterns(value) if p.number == tile and p.rows == rows)
    active = np.zeros(design.ladder.rows, np.bool_)
    active[pattern.first : pattern.first + len(pattern.cells)] = pattern.lines[position]
    return OperatingPoint(design.ladder, design.cell, arrays.multipliers(tile), active)


def _check(what: str, number: int, count: int) -> None:
    if not 0 <= number < count:
        raise ConfigError(f"there is no {what}", f"give 0 to {count - 1}")
