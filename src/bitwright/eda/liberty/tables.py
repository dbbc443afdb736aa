"""Look-up tables of delay, transition time and energy over input slew and output load.

Between the points of a table the value is bilinear; beyond them the outermost cell is continued in
a straight line, as static timing tools do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Table:
    """Values over (input slew, output load), in SI units.

    Parameters
    ----------
    slews
        Transition times of the input in seconds, rising; one entry if the value does not depend
        on them.
    loads
        Capacitances at the output in farads, rising; likewise.
    values
        Seconds or joules, of shape (slews, loads).
    """

    slews: Floats
    loads: Floats
    values: Floats

    def at(self, slew: npt.ArrayLike, load: npt.ArrayLike) -> Floats:
        """Return the values for slews in seconds and loads in farads, broadcast together."""
        slew, load = np.broadcast_arrays(np.asarray(slew, float), np.asarray(load, float))
        return interpolate(self.slews, self.loads, self.values, slew, load)


def interpolate(
    slews: Floats,
    loads: Floats,
    values: Floats,
    slew: Floats,
    load: Floats,
    which: tuple[npt.NDArray[np.intp], ...] = (),
) -> Floats:
    """Return the values of a table, or of several over the same slews and loads.

    Parameters
    ----------
    slews, loads
        As `Table` has them.
    values
        Of shape (*tables, slews, loads).
    slew, load
        Where to look, of one shape.
    which
        The table of each, one index for each dimension of tables, broadcast with `slew`.
    """
    row, down = _place(slews, slew)
    column, right = _place(loads, load)
    row_after = np.minimum(row + 1, len(slews) - 1)
    column_after = np.minimum(column + 1, len(loads) - 1)
    upper = values[*which, row, column] * (1 - right) + values[*which, row, column_after] * right
    lower = (
        values[*which, row_after, column] * (1 - right)
        + values[*which, row_after, column_after] * right
    )
    result: Floats = upper * (1 - down) + lower * down
    return result


def _place(points: Floats, x: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return the cell that holds, or is nearest to, each x, and how far x is into it."""
    if len(points) == 1:
        return np.zeros(x.shape, np.intp), np.zeros(x.shape)
    cell = np.clip(np.searchsorted(points, x, side="right") - 1, 0, len(points) - 2)
    return cell, (x - points[cell]) / (points[cell + 1] - points[cell])
