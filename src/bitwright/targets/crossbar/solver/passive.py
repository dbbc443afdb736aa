"""A passive array: both word lines and bit lines are wires that carry the cells' current.

Here, other than in `...solver.columns`, a resistor at every crossing joins a word line to a bit
line, no transistor between: columns see each other, and rows at 0 V draw current. For comparison.

Requirements:

- Each row is driven before its first column; each column is sensed behind its last row, at 0 V.
  One wire resistance between neighbouring crossings.
- The circuit is the same for all patterns, and linear: its matrix is factorised once.
- What a resistance of 0 ohm joins is one node, so nothing is divided by 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csc_array  # type: ignore[import-untyped]
from scipy.sparse.linalg import splu  # type: ignore[import-untyped]

from bitwright.errors import ConfigError

Array = npt.NDArray[np.float64]
_CHUNK = 256
"""Patterns that are solved at once; bounds the memory."""


class PassiveArray:
    """An array of resistors.

    Parameters
    ----------
    conductances
        (rows, columns): of the cells, in siemens; 0 is open.
    row_ohm, column_ohm
        Wire resistance of word lines and of bit lines between neighbouring crossings.
    driver_ohm, sink_ohm
        Resistance of what drives a row and of what senses a column.

    Raises
    ------
    ConfigError
        If a number is out of range.

    Examples
    --------
    >>> array = PassiveArray([[1e-3, 2e-3]], row_ohm=0, column_ohm=0, driver_ohm=0, sink_ohm=500)
    >>> array.solve([[0.3]])
    array([[0.0002, 0.0003]])
    """

    def __init__(
        self,
        conductances: npt.ArrayLike,
        *,
        row_ohm: float,
        column_ohm: float,
        driver_ohm: float,
        sink_ohm: float,
    ) -> None:
        cells = np.asarray(conductances, np.float64)
        if cells.ndim != 2 or not cells.size:
            raise ConfigError(f"conductances are {cells.shape}", "give (rows, columns)")
        if not (np.isfinite(cells).all() and (cells >= 0).all()):
            raise ConfigError("a conductance is below 0 or not finite", "give 0 or more siemens")
        ohms = {
            "row_ohm": row_ohm,
            "column_ohm": column_ohm,
            "driver_ohm": driver_ohm,
            "sink_ohm": sink_ohm,
        }
        for name, ohm in ohms.items():
            if not 0 <= ohm < np.inf:
                raise ConfigError(f"{name} is {ohm}", "resistances are 0 or more ohm, finite")
        rows, columns = self.shape = cells.shape
        row, column = np.indices(self.shape)
        # Nodes by number: crossings on word lines, on bit lines, then drivers and sense nodes. On a
        # line of 0 ohm all crossings are the one at its end, at an end of 0 ohm that is the end.
        word = row * columns + (column if row_ohm else 0)
        bit = cells.size + (row if column_ohm else rows - 1) * columns + column
        driver = 2 * cells.size + np.arange(rows) if driver_ohm else word[:, 0]
        sense = 2 * cells.size + rows + np.arange(columns) if sink_ohm else bit[-1]
        resistors = [(word, bit, cells)]
        for ohm, one, two in (
            (row_ohm, word[:, :-1], word[:, 1:]),
            (column_ohm, bit[:-1], bit[1:]),
            (driver_ohm, driver, word[:, 0]),
            (sink_ohm, bit[-1], sense),
        ):
            if ohm:
                resistors.append((one, two, np.full(one.shape, 1 / ohm)))
        everything = np.concatenate([word.ravel(), bit.ravel(), driver, sense])
        free = np.setdiff1d(everything, np.concatenate([driver, sense]))
        nodes = np.concatenate([free, driver, sense])
        place = np.zeros(everything.max() + 1, np.int64)
        place[nodes] = np.arange(len(nodes))
        laplacian = _laplacian([(place[a], place[b], g) for a, b, g in resistors], len(nodes))
        size = len(free)
        self._driven = laplacian[:size, size : size + rows]
        self._factors = splu(csc_array(laplacian[:size, :size])) if size else None
        # What flows into a sense node, from the voltages of all others.
        self._sensed = -laplacian[size + rows :, : size + rows]

    def solve(self, voltages: npt.ArrayLike) -> Array:
        """Return the columns' currents, (patterns, columns) in ampere.

        Parameters
        ----------
        voltages
            (patterns, rows): of the drivers, in volt.

        Raises
        ------
        ValueError
            If there is not one voltage for each row.
        """
        given = np.asarray(voltages, np.float64)
        rows, columns = self.shape
        if given.ndim != 2 or given.shape[1] != rows:
            raise ValueError(f"voltages are {given.shape}, not (patterns, {rows})")
        out = np.empty((len(given), columns))
        for start in range(0, len(given), _CHUNK):
            driven = given[start : start + _CHUNK].T
            free = np.empty((0, driven.shape[1]))
            if self._factors is not None:
                free = self._factors.solve(-(self._driven @ driven))
            out[start : start + _CHUNK] = (self._sensed @ np.concatenate([free, driven])).T
        return out


def _laplacian(
    resistors: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array]], nodes: int
) -> csc_array:
    """Return the matrix from nodes' voltages to the currents that leave them, in siemens."""
    one, two, siemens = (
        np.concatenate([part.ravel() for part in parts]) for parts in zip(*resistors, strict=True)
    )
    entries = np.concatenate([one, two, one, two]), np.concatenate([one, two, two, one])
    values = np.concatenate([siemens, siemens, -siemens, -siemens])
    return csc_array(coo_array((values, entries), shape=(nodes, nodes)))
