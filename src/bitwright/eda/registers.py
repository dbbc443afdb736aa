"""What one bit of a register takes: the library's smallest plain flip-flop.

Requirements:

- Plain means a D flip-flop on one clock edge, without set, reset, scan, enable or a second output.
- A cycle is one rise and one fall of the clock. What the clock tree takes up to the cell's pin is
  not in it, nor are wires.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitwright.eda.liberty import Cell, Library
from bitwright.eda.timing import Boundary
from bitwright.errors import LibertyError


@dataclass(frozen=True)
class Register:
    """One bit.

    Parameters
    ----------
    cell
        The flip-flop's name.
    area
        In the library's unit.
    cycle_j
        What a clock cycle takes, whatever the data, in joules.
    change_j
        What a change of the bit takes on top, input pin and output net included, in joules.
    """

    cell: str
    area: float
    cycle_j: float
    change_j: float


def register(library: Library, boundary: Boundary) -> Register:
    """Return the cost of a bit in the smallest flip-flop of a library.

    Raises
    ------
    LibertyError
        If the library has no plain flip-flop.
    """
    found = [cell for cell in library.cells.values() if cell.flip_flop and not cell.dont_use]
    if not found:
        raise LibertyError(
            f"library {library.name} has no plain D flip-flop",
            "give its file of sequential cells, too",
        )
    cell = min(found, key=lambda cell: (cell.area, cell.name))
    clock, data = cell.flip_flop or ("", "")
    (output,) = cell.outputs
    half = 0.5 * library.voltage_v**2
    cycle = sum(_energy(cell, clock, edge, boundary) for edge in (0, 1))
    cycle += half * (cell.pins[clock].rise_capacitance_f + cell.pins[clock].fall_capacitance_f)
    change = sum(
        _energy(cell, data, edge, boundary)
        + _energy(cell, output, edge, boundary)
        + half * (capacitance + boundary.output_load_f)
        for edge, capacitance in enumerate(
            (cell.pins[data].fall_capacitance_f, cell.pins[data].rise_capacitance_f)
        )
    )
    return Register(cell.name, cell.area, cycle, change / 2)


def _energy(cell: Cell, pin: str, edge: int, boundary: Boundary) -> float:
    """Return the cell's own energy at an edge of a pin: the mean over states, all supplies."""
    total = 0.0
    arcs = cell.power[pin]
    for rail in sorted({arc.rail for arc in arcs}):
        tables = [arc.energy[edge] for arc in arcs if arc.rail == rail]
        given = [
            float(table.at(boundary.input_slew_s, boundary.output_load_f))
            for table in tables
            if table is not None
        ]
        total += float(np.mean(given)) if given else 0.0
    return total
