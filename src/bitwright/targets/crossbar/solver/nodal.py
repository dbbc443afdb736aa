"""Columns solved with dense matrices: slow, plain, and what the fast solvers are held against.

Requirements:

- The unknowns are the cells' currents; the rails' resistances give the drops at every row, and a
  cell's middle is found by bisection.
- Newton's method is damped: a step is halved until the residual falls, so that it converges for
  every ladder of passive cells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConvergenceError
from bitwright.targets.crossbar.devices.cells import Cell, middle
from bitwright.targets.crossbar.solver.ladder import Ladder

Array = npt.NDArray[np.float64]
STEPS = 400
RESIDUAL = 1e-11
"""Of the currents at the nodes, in units of what a cell at full voltage conducts."""


def solve(ladder: Ladder, cell: Cell, weights: Array, active: npt.NDArray[np.bool_]) -> float:
    """Return a column's current in ampere.

    Parameters
    ----------
    weights
        (rows,): what multiplies each cell's storing element.
    active
        (rows,): which word lines are on.

    Raises
    ------
    ConvergenceError
        If Newton's method does not converge.
    """
    return float(currents(ladder, cell, weights, active).sum())


def currents(ladder: Ladder, cell: Cell, weights: Array, active: npt.NDArray[np.bool_]) -> Array:
    """Return what flows through each cell of a column, (rows,) in ampere; see `solve`."""
    source, bit = ladder.rail_resistances()
    volt = ladder.read_volt
    on = active & (weights > 0)
    leak = np.where(active | (weights == 0), 0.0, cell.unselected_share / cell.on_ohm)
    weights = np.where(on, weights, 1.0)

    def flows(p: Array, b: Array) -> tuple[Array, Array, Array]:
        """Return currents at given drops, and how they fall with either."""
        s = volt - p
        x = middle(cell, s, b, weights, volt)
        e = cell.elements(s, x, b, weights, volt)
        inverse = 1 / (e.upper_by_x + e.lower_by_x)
        return (
            np.where(on, e.lower, leak * (s - b)),
            np.where(on, e.lower_by_x * e.upper_by_s * inverse, leak),
            np.where(on, e.upper_by_x * e.lower_by_b * inverse, leak),
        )

    unit = volt / cell.on_ohm
    i = np.zeros(ladder.rows)
    found, by_p, by_b = flows(source @ i, bit @ i)
    # The unknowns are the cells' currents: the rails give the drops, the cells must agree.
    size = np.abs(found - i).max()
    for _ in range(STEPS):
        if size <= RESIDUAL * unit * max(1.0, float(i.max(initial=0.0)) / unit):
            return i
        jacobian = np.eye(ladder.rows) + by_p[:, None] * source + by_b[:, None] * bit
        step = np.linalg.solve(jacobian, found - i)
        share = 1.0
        while True:
            new = i + share * step
            new_found, new_p, new_b = flows(source @ new, bit @ new)
            new_size = np.abs(new_found - new).max()
            if new_size < size or share < 1e-10:
                break
            share /= 2
        if not new_size < size:
            if size <= 1e-9 * unit:
                return i
            break
        i, found, by_p, by_b, size = new, new_found, new_p, new_b, new_size
    raise ConvergenceError(
        f"a column of {ladder.rows} rows did not converge; the currents at its nodes are wrong by "
        f"{size:.3g} A",
        "check the design's resistances and voltages: they are far from what circuits have",
    )
