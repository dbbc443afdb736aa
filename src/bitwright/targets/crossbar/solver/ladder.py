"""A column of a crossbar as a circuit: two rails with a cell between them at every row.

Requirements:

- Rows are numbered from 0; the bit line is sensed behind the last row. The source line is fed at
  the far end, before row 0, or at the near one, behind the last row.
- A rail has one wire resistance between neighbouring rows, so ``rows - 1`` of them; driver and sink
  connect at the rows at the ends.
- Word lines drive gates and carry no current (REFERENCES: circuit of BinSparX), so columns do not
  see each other.

With ``s`` the source line's voltage and ``b`` the bit line's above the sense node, each rail by
itself is a ladder of resistors into which cells put currents: the drops ``p = read - s`` and ``b``
are both zero without current, and a cell's current ``I(p, b)`` falls with either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.targets.crossbar.devices.cells import MOST_VOLT
from bitwright.targets.crossbar.devices.ranges import Range, check

Array = npt.NDArray[np.float64]
Feed = Literal["far", "near"]
MAX_ROWS = 4096
MAX_OHM = 1e9
"""Of a wire between two rows, or of an end: above 1e10 ohm rounding costs all solvers of columns
more than 1e-6 of a current (24 rows of cells of 316 ohm), and tall columns have less to spare."""

WIRES = {
    "source_ohm": Range(0, MAX_OHM, "ohm"),
    "bit_ohm": Range(0, MAX_OHM, "ohm"),
    "driver_ohm": Range(0, MAX_OHM, "ohm"),
    "sink_ohm": Range(0, MAX_OHM, "ohm"),
    "read_volt": Range(1e-4, MOST_VOLT, "V"),
}
"""What a ladder's numbers may be."""

LEAST_OHM = 1e-9
"""What stands for a resistance of 0 at a rail's end: an open end has none, a closed one this."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The wires of a column.

    Parameters
    ----------
    rows
        Cells of the column, 1 to 4,096.
    source_ohm, bit_ohm
        Wire resistance of source line and bit line between two neighbouring rows, 0 to `MAX_OHM`;
        0 is ideal.
    driver_ohm, sink_ohm
        Resistance of what feeds the source line and of what senses the bit line, 0 to `MAX_OHM`.
    read_volt
        Voltage between driver and sense node, 1e-4 to 10 V.
    feed
        The end at which the source line is fed.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    rows: int
    source_ohm: float
    bit_ohm: float
    driver_ohm: float = 0.0
    sink_ohm: float = 0.0
    read_volt: float
    feed: Feed = "far"

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= MAX_ROWS:
            raise ConfigError(f"a column has {self.rows} rows", f"give 1 to {MAX_ROWS}")
        check(self, WIRES)
        if self.feed not in ("far", "near"):
            raise ConfigError(f"feed is '{self.feed}'", "use far or near")

    def rail_resistances(self) -> tuple[Array, Array]:
        """Return the matrices (rows, rows) of source line and bit line, in ohm.

        They take the currents that cells put in to the drops at the rows: a current at one row
        flows to the rail's end and drops there, along what both paths share, at another.
        """
        row = np.arange(self.rows)
        to_first = np.minimum.outer(row, row).astype(np.float64)
        to_last = self.rows - 1 - np.maximum.outer(row, row).astype(np.float64)
        feed = to_first if self.feed == "far" else to_last
        return (
            self.driver_ohm + self.source_ohm * feed,
            self.sink_ohm + self.bit_ohm * to_last,
        )
