"""What is left of the read voltage across every cell of an array: the map of a tile's IR drop.

Requirements:

- The fast solvers know a column's current alone, so cells' currents are solved with dense matrices
  here (`...solver.nodal`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.targets.crossbar.design import Design
from bitwright.targets.crossbar.operating_point import operating_point
from bitwright.targets.crossbar.solver import nodal


def ir_drop(
    design: Design,
    layer: str,
    tile: int,
    image: npt.NDArray[Any],
    position: int,
    *,
    read: int = 0,
    columns: int | None = None,
) -> npt.NDArray[np.float64]:
    """Return the voltage across each cell while a tile is read, (rows, columns) in volt.

    Parameters
    ----------
    design, layer, tile, image, position, read
        As `operating_point` takes them; the layer's inputs are what the exact network has there.
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
    point = operating_point(design, layer, tile, image, position, read, exact=True)
    ladder = point.ladder
    source, bit = ladder.rail_resistances()
    weights = point.weights[:, :columns]
    return ladder.read_volt - (source + bit) @ nodal.currents(
        ladder, point.cell, weights, point.active
    )
