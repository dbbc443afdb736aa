"""What one change at one input of a cell costs and causes, from the library's tables.

An event is: the cell's inputs are in state s, and input p changes; its number is s * inputs + p.
For each event and output the library's arcs give a delay, a transition time and an energy.

Requirements:

- Of the arcs from the changed pin, those count whose ``when`` holds; if there are none, those
  without ``when``; if there are none either, all from that pin; then all to that output. Where
  several count, their mean; energies from several supplies add up.
- An input's own energy ("hidden" power) counts whenever its arc's ``when`` holds before and after
  the change, as Liberty has it.
- Values are kept as lines over the input slew, at the load that the output has: with the points of
  all the cell's tables, that is as exact as the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np

from bitwright.eda.liberty import Cell, PowerArc, Table, TimingArc
from bitwright.eda.liberty.boolean import Function
from bitwright.eda.liberty.tables import Floats
from bitwright.errors import LibertyError

_Arc = TypeVar("_Arc", TimingArc, PowerArc)
_View = Mapping[str, int]
"""The value of each pin of a cell in one state."""


@dataclass(frozen=True, eq=False)
class CellEvents:
    """The events of some instances of one cell.

    Parameters
    ----------
    slews
        The points of the lines, in seconds.
    delay_s, slew_s, energy_j
        Of shape (instances, outputs, events, points); 0 where the output does not change.
    hidden_j
        The energy of the changed input's own arcs, of shape (events, points).
    """

    slews: Floats
    delay_s: Floats
    slew_s: Floats
    energy_j: Floats
    hidden_j: Floats


def cell_events(cell: Cell, loads: Floats) -> CellEvents:
    """Work out the events of instances of a cell.

    Parameters
    ----------
    loads
        The load of each output in farads, of shape (instances, outputs, 2): falling and rising.

    Raises
    ------
    LibertyError
        If an output has no delay table for one of its edges.
    """
    inputs, outputs = len(cell.inputs), len(cell.outputs)
    slews = _points(cell)
    events = inputs << inputs
    shape = (len(loads), outputs, events, len(slews))
    result = CellEvents(
        slews, np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros((events, len(slews)))
    )
    views = [_view(cell, state) for state in range(1 << inputs)]
    for state, (index, pin) in product(range(1 << inputs), enumerate(cell.inputs)):
        event = state * inputs + index
        after = state ^ (1 << index)
        both = views[state], views[after]
        hidden = [arc for arc in cell.power[pin] if all(_holds(arc.when, view) for view in both)]
        result.hidden_j[event] = _energy(hidden, after >> index & 1, slews, np.zeros(1))[0]
        for k, output in enumerate(cell.outputs):
            edge = both[1][output]
            if edge == both[0][output]:
                continue
            load = loads[:, k, edge]
            timing = _holding([arc for arc in cell.timing[output] if arc.delay[edge]], pin, both)
            if not timing:
                raise LibertyError(
                    f"output {output} of {cell.name} has no delay for one of its edges",
                    "use a library with NLDM timing",
                )
            result.delay_s[:, k, event] = _mean([arc.delay[edge] for arc in timing], slews, load)
            result.slew_s[:, k, event] = _mean([arc.slew[edge] for arc in timing], slews, load)
            power = _holding([arc for arc in cell.power[output] if arc.energy[edge]], pin, both)
            result.energy_j[:, k, event] = _energy(power, edge, slews, load)
    return result


def _points(cell: Cell) -> Floats:
    """Return the slews of all points of all the cell's tables; at least two."""
    tables = [
        *(table for arcs in cell.timing.values() for arc in arcs for table in arc.delay + arc.slew),
        *(table for arcs in cell.power.values() for arc in arcs for table in arc.energy),
    ]
    found = [table.slews for table in tables if table is not None and len(table.slews) > 1]
    return np.unique(np.concatenate(found)) if found else np.array([0.0, 1e-9])


def _view(cell: Cell, state: int) -> _View:
    view = {pin: state >> j & 1 for j, pin in enumerate(cell.inputs)}
    return view | {pin: table >> state & 1 for pin, table in cell.tables.items()}


def _holds(when: Function | None, view: _View) -> bool:
    return when is None or bool(when.evaluate(view, 1))


def _holding(arcs: Sequence[_Arc], pin: str, views: Sequence[_View]) -> list[_Arc]:
    """Return the arcs that count for a change at a pin."""
    own = [arc for arc in arcs if arc.related in (pin, None)]
    stated = [
        arc for arc in own if arc.when is not None and any(_holds(arc.when, view) for view in views)
    ]
    return stated or [arc for arc in own if arc.when is None] or own or list(arcs)


def _mean(tables: Sequence[Table | None], slews: Floats, load: Floats) -> Floats:
    """Return the mean of some tables, of shape (loads, slews)."""
    values = [table.at(slews[None, :], load[:, None]) for table in tables if table is not None]
    if not values:
        return np.zeros((len(load), len(slews)))
    mean: Floats = np.mean(values, axis=0)
    return mean


def _energy(arcs: Sequence[PowerArc], edge: int, slews: Floats, load: Floats) -> Floats:
    """Return the energies from all supplies together, of shape (loads, slews)."""
    total = np.zeros((len(load), len(slews)))
    for rail in sorted({arc.rail for arc in arcs}):
        total += _mean([arc.energy[edge] for arc in arcs if arc.rail == rail], slews, load)
    return total
