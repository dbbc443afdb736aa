"""Columns solved with dense matrices: slow, plain, and what the fast solvers are held against.

Requirements:

- The unknowns are the cells' currents; the rails' resistances give the drops at every row, and a
  cell's middle is found by bisection.
- Newton's method is damped: a column's step is halved until its residual falls, so that it
  converges for every ladder of passive cells, whatever the columns beside it do.
- A column has converged by its own currents, however small they are: one of stored 0s alone is as
  good as any other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitwright.targets.crossbar.devices.cells import Cell, tangent
from bitwright.targets.crossbar.solver.ladder import Ladder
from bitwright.targets.crossbar.solver.tested import unsolved

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
STEPS = 400
RESIDUAL = 1e-11
"""Of the currents at a column's nodes, in units of its largest cell's current."""

STALLED = 1e-9
"""The same of a column whose residual no step makes smaller."""

ROUNDING = 16 * np.finfo(np.float64).eps
"""Of drops, in units of the read voltage: how well a cell's current can be known follows from its
slope."""

LEAST_SHARE = 1e-10
"""Of a step."""

MEMORY = 2**20
"""Numbers of the matrices that are solved at once, unless one column has more."""


def solve(ladder: Ladder, cell: Cell, weights: Array, active: Mask) -> float:
    """Return a column's current in ampere; `weights` are (rows,), otherwise as `currents` does."""
    return float(currents(ladder, cell, weights[:, None], active).sum())


def currents(ladder: Ladder, cell: Cell, weights: Array, active: Mask) -> Array:
    """Return what flows through each cell of some columns, (rows, columns) in ampere.

    Parameters
    ----------
    weights
        (rows, columns): what multiplies each cell's storing element.
    active
        (rows,): which word lines are on.

    Raises
    ------
    ConvergenceError
        If Newton's method does not converge.
    """
    step = max(1, MEMORY // ladder.rows**2)
    parts = np.split(weights, range(step, weights.shape[1], step), axis=1)
    return np.concatenate([_newton(ladder, cell, part.T, active).T for part in parts], axis=1)


def _newton(ladder: Ladder, cell: Cell, weights: Array, active: Mask) -> Array:
    """Return the currents of columns that fit in memory together; (columns, rows) as weights."""
    source, bit = ladder.rail_resistances()
    volt = ladder.read_volt
    on = active & (weights > 0)
    leak = np.where(active | (weights == 0), 0.0, cell.unselected_share / cell.on_ohm)
    multipliers = np.where(on, weights, 1.0)

    def flows(i: Array, which: npt.NDArray[np.intp]) -> Array:
        """Return what some columns' cells carry at the drops of currents, and its slopes there."""
        s, b = volt - i @ source, i @ bit
        t = tangent(cell, s, b, multipliers[which], volt)
        own = np.stack([t.current, t.by_s, t.by_b])
        leaks = leak[which]
        return np.where(on[which], own, np.stack([leaks * (s - b), leaks, leaks]))

    i = np.zeros(weights.shape)
    bound = np.full(len(weights), RESIDUAL)
    # What is far from solved may overflow on its way: that is no smaller residual.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        state = flows(i, np.arange(len(weights)))
        for _ in range(STEPS):
            found, by_s, by_b = state
            excess = found - i
            size = np.abs(excess).max(axis=1)
            steepest = (by_s + by_b).max(axis=1)
            known = bound * np.abs(found).max(axis=1) + ROUNDING * volt * steepest
            left = np.flatnonzero(~(size <= known))
            if not len(left):
                return i
            if (bound[left] > RESIDUAL).any():
                break  # it stalled where that is not good enough
            jacobian = (
                np.eye(ladder.rows) + by_s[left, :, None] * source + by_b[left, :, None] * bit
            )
            try:
                step = np.linalg.solve(jacobian, excess[left, :, None])[:, :, 0]
            except np.linalg.LinAlgError:
                break
            share = 1.0
            # Who is better off moves; the others try half of the step.
            while len(left) and share >= LEAST_SHARE:
                new = i[left] + share * step
                there = flows(new, left)
                better = np.abs(there[0] - new).max(axis=1) < size[left]
                i[left[better]], state[:, left[better]] = new[better], there[:, better]
                left, step, share = left[~better], step[~better], share / 2
            bound[left] = STALLED
    with np.errstate(over="ignore", invalid="ignore"):
        wrong = np.abs(state[0] - i).max(axis=1)
    raise unsolved(
        f"{len(left)} of {len(i)} columns of {ladder.rows} rows did not converge by damped steps "
        f"either; the currents at their nodes are wrong by up to {wrong.max():.3g} A",
        ladder,
        cell,
        weights.T,
    )
