"""The ranges in which columns are tested to converge, and what is told of those that do not.

Requirements:

- The ranges are those that the tests draw designs from, where no column needs the damped solver of
  `...solver.nodal`. What is outside may well converge, and is told when it does not.
- A number far outside comes first: what is told names what is most likely wrong.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConvergenceError
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.devices.ranges import Range
from bitwright.targets.crossbar.solver.ladder import Ladder

Array = npt.NDArray[np.float64]

CELLS = {
    "on_ohm": Range(10**2.5, 1e7, "ohm"),
    "on_off_ratio": Range(1, 1e7, infinite=True),
    "unselected_share": Range(0, 0.01),
    "supply_volt": Range(0.5, 1.2, "V"),
    "threshold_volt": Range(0, 0.49, "V"),
    "slope_factor": Range(1, 2),
    "modulation_per_volt": Range(0, 1, "1/V"),
    "temperature_kelvin": Range(200, 450, "K"),
    "sinh_volt": Range(0.1, 10, "V"),
    "access_share": Range(0.01, 0.9),
}
"""Settings of cells; infinite ratios are tested of linear ones."""

WIRES = {
    "rows": Range(1, 256),
    "source_ohm": Range(0, 1e3, "ohm"),
    "bit_ohm": Range(0, 1e3, "ohm"),
    "driver_ohm": Range(0, 1e5, "ohm"),
    "sink_ohm": Range(0, 1e5, "ohm"),
    "read_volt": Range(0.01, 1.2, "V"),
}
"""Settings of ladders; some columns of up to 4,096 rows are tested as well."""

WEIGHTS = Range(0, 100)
"""Multipliers of cells: a spread (sigma) of 1 at most."""


def outside(ladder: Ladder, cell: Cell, weights: Array) -> list[str]:
    """Return what of a design is outside the tested ranges, in words, the farthest first.

    Parameters
    ----------
    weights
        (rows, columns): what multiplies the cells' storing elements.
    """
    found = [
        (name, getattr(thing, name), tested)
        for thing, ranges in ((cell, CELLS), (ladder, WIRES))
        for name, tested in ranges.items()
        if hasattr(thing, name)
    ]
    found.append(("cells' multipliers (sigma)", float(weights.max(initial=0.0)), WEIGHTS))
    return [
        f"{name} of {tested}, not {value:g}"
        for name, value, tested in sorted(found, key=lambda one: -_far(one[1], one[2]))
        if value not in tested
    ]


def _far(value: float, tested: Range) -> float:
    """Return by how much a number is outside a range, in factors' logarithms."""
    if value > tested.high:
        return float(np.log(value / tested.high))
    if value >= tested.low:
        return 0.0
    return float(np.log(tested.low / value)) if value > 0 else tested.low - value


def unsolved(cause: str, ladder: Ladder, cell: Cell, weights: Array) -> ConvergenceError:
    """Return an error with a cause, whose way out names what is out of the ordinary."""
    strange = outside(ladder, cell, weights)
    if strange:
        return ConvergenceError(cause, f"columns are tested to converge with {'; '.join(strange)}")
    return ConvergenceError(
        cause, "change resistances and voltages: together they are far from what circuits have"
    )
