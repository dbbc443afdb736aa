"""Energy of one operation of a netlist, from the library's tables and what toggles.

Three parts: what the cells turn into heat themselves (``internal_power``), what charging the pins
at each net takes (half C V^2 a transition; wires are not counted), and the same at the input nets,
which whatever drives the design pays. Leakage is power, not energy an operation, and stands apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bitwright.eda import waveforms
from bitwright.eda.activity import zero_delay_activity
from bitwright.eda.cell_events import CellEvents
from bitwright.eda.compiled import compile_design, events_by_cell
from bitwright.eda.liberty import Cell, Library
from bitwright.eda.liberty.tables import Floats
from bitwright.eda.logic import Bits, simulate, unpack
from bitwright.eda.netlist import Netlist
from bitwright.eda.timing import Boundary, Timing, analyse
from bitwright.errors import CircuitError, LibertyError

Glitches = Literal["none", "timed"]

_MOST_INPUTS = 6
"""A truth table of more does not fit a word."""


@dataclass(frozen=True, eq=False)
class Energy:
    """What one operation takes: the change from one input vector to the next.

    Parameters
    ----------
    glitches
        ``timed``: every transition of a simulation with delays counts. ``none``: only changes
        between settled states do, which is a lower bound.
    operations
        How many it is the mean of.
    internal_j
        In the cells, when an output changes, in joules.
    hidden_j
        In the cells, at changes of inputs by themselves, in joules.
    switching_j
        At the nets that cells drive, in joules.
    input_nets_j
        At the input nets, in joules.
    leakage_w
        The mean static power, in watts; None if the library does not say.
    toggles
        Transitions of each net an operation, of shape (nets, 2): falling and rising.
    settled_s
        When the last change came, for each operation, in seconds; empty without delays.
    """

    glitches: Glitches
    operations: int
    internal_j: float
    hidden_j: float
    switching_j: float
    input_nets_j: float
    leakage_w: float | None
    toggles: Floats
    settled_s: Floats

    @property
    def total_j(self) -> float:
        """All of it, the input nets included."""
        return self.without_inputs_j + self.input_nets_j

    @property
    def without_inputs_j(self) -> float:
        """What the design itself takes: without charging its input nets."""
        return self.internal_j + self.hidden_j + self.switching_j


def energy(
    netlist: Netlist,
    library: Library,
    vectors: Bits,
    boundary: Boundary,
    glitches: Glitches = "timed",
) -> Energy:
    """Work out the mean energy of an operation over a sequence of input vectors.

    Parameters
    ----------
    vectors
        At least two, of shape (vectors, inputs), in the order of `Netlist.input_nets`.
    glitches
        See `Energy.glitches`. With ``timed`` each transition has the slew of those that caused
        it; with ``none`` all transitions of a net have the slowest that static timing finds.

    Raises
    ------
    CircuitError
        If there are fewer than two vectors, or they are not of the design's width.
    LibertyError
        If a cell has no delay tables, or more than six inputs.
    """
    if len(vectors) < 2:
        raise CircuitError(
            f"{len(vectors)} input vectors make no operation", "give two or more, one after another"
        )
    for instance in netlist.instances:
        if len(instance.cell.inputs) > _MOST_INPUTS:
            raise LibertyError(
                f"{instance.cell.name} has more than {_MOST_INPUTS} inputs", "map without it"
            )
    activity = zero_delay_activity(netlist, vectors)
    timing = analyse(netlist, boundary)
    operations = activity.operations
    settled = np.zeros(0)
    if glitches == "timed":
        toggles, internal, hidden, settled = _timed(netlist, vectors, timing, boundary)
    else:
        toggles = activity.toggles
        internal = hidden = 0.0
        for indices, cell, events in events_by_cell(netlist, timing.load_f):
            lines = _at_slews(netlist, indices, cell, events, timing)
            for index, (at_outputs, at_inputs) in zip(indices, lines, strict=True):
                internal += float((activity.output_events[index] * at_outputs).sum())
                hidden += float((activity.input_events[index] * at_inputs).sum())
    by_net = 0.5 * library.voltage_v**2 * (toggles * timing.load_f).sum(1) / operations
    at_inputs_j = float(by_net[list(netlist.input_nets)].sum())
    return Energy(
        glitches,
        operations,
        internal / operations,
        hidden / operations,
        float(by_net.sum()) - at_inputs_j,
        at_inputs_j,
        _leakage(netlist, activity.states),
        toggles / operations,
        settled,
    )


def _at_slews(
    netlist: Netlist, indices: list[int], cell: Cell, events: CellEvents, timing: Timing
) -> Iterator[tuple[Floats, Floats]]:
    """Yield for each instance its energies at the slews of static timing.

    Of shape (outputs, events) for its outputs and (events,) for its inputs.
    """
    count = len(cell.inputs)
    number = np.arange(count << count)
    pin, state = number % max(count, 1), number // max(count, 1)
    edge = 1 - (state >> pin & 1)
    for row, index in enumerate(indices):
        nets = np.array(netlist.instances[index].input_nets, dtype=int)
        if count == 0:
            yield np.zeros((len(cell.outputs), 0)), np.zeros(0)
            continue
        slew = timing.slew_s[nets[pin], edge]
        points = events.slews
        piece = np.clip(np.searchsorted(points, slew, side="right") - 1, 0, len(points) - 2)
        part = (slew - points[piece]) / (points[piece + 1] - points[piece])
        lines = events.energy_j[row]
        yield (
            lines[:, number, piece] * (1 - part) + lines[:, number, piece + 1] * part,
            events.hidden_j[number, piece] * (1 - part) + events.hidden_j[number, piece + 1] * part,
        )


def _timed(
    netlist: Netlist, vectors: Bits, timing: Timing, boundary: Boundary
) -> tuple[Floats, float, float, Floats]:
    """Simulate with delays; return toggles, energy at outputs and inputs, and settling times."""
    count = len(netlist.instances)
    values = np.zeros(netlist.nets + 1, np.uint8)
    values[:-1] = unpack(simulate(netlist, vectors[:1]), 1)[0]
    totals = waveforms.Totals(
        np.zeros((netlist.nets + 1, 2)),
        np.zeros(count),
        np.zeros(count),
        np.zeros(len(vectors) - 1),
    )
    design = compile_design(netlist, timing.load_f)
    waveforms.run(design, vectors.astype(np.uint8), boundary.input_slew_s, values, totals)
    return (
        totals.toggles[:-1],
        float(totals.output_energy.sum()),
        float(totals.hidden_energy.sum()),
        totals.settled,
    )


def _leakage(netlist: Netlist, states: tuple[Floats, ...]) -> float | None:
    """Return the mean static power over the states that the cells were in."""
    total, known = 0.0, False
    for instance, shares in zip(netlist.instances, states, strict=True):
        cell = instance.cell
        for rail in sorted({state.rail for state in cell.leakage}):
            known = True
            at_rail = [state for state in cell.leakage if state.rail == rail]
            rest = [state.power_w for state in at_rail if state.when is None]
            for number, share in enumerate(shares.tolist()):
                view = {pin: number >> j & 1 for j, pin in enumerate(cell.inputs)}
                view |= {pin: table >> number & 1 for pin, table in cell.tables.items()}
                stated = [
                    state.power_w
                    for state in at_rail
                    if state.when is not None and state.when.evaluate(view, 1)
                ]
                total += share * (stated or rest or [0.0])[0]
    return total if known else None
