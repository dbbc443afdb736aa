"""Static timing of a netlist from the library's tables, without wires.

Requirements:

- Every arc counts, whatever its ``when``: the slowest decides. At each net the latest arrival and
  the slowest transition go on, each for itself, rising and falling apart. This is what OpenSTA
  does too, and `bitwright.eda.opensta` agrees with it; this one also gives the slews and loads
  that energies need.
- Cells of one kind on one level are looked up together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bitwright.eda.liberty import Cell, Library, Table, TimingArc
from bitwright.eda.liberty.matching import smallest_inverter
from bitwright.eda.liberty.tables import Floats
from bitwright.eda.netlist import CONSTANTS, Instance, Netlist
from bitwright.errors import CircuitError, ConfigError, LibertyError

FALL, RISE = 0, 1
_FAN_OUT = 4


@dataclass(frozen=True)
class Boundary:
    """What a design is connected to.

    Parameters
    ----------
    input_slew_s
        The transition time of its inputs, as the library measures it, in seconds.
    output_load_f
        The capacitance at each output, in farads.
    """

    input_slew_s: float
    output_load_f: float

    def __post_init__(self) -> None:
        if not (0 < self.input_slew_s < 1 and 0 <= self.output_load_f < 1):
            raise ConfigError(
                f"an input slew of {self.input_slew_s:g} s or an output load of "
                f"{self.output_load_f:g} F is out of range",
                "give seconds and farads: 20e-12 and 1e-15",
            )


@dataclass(frozen=True)
class PathPoint:
    """One net on a path: what drives it, which way it goes, and when, in seconds."""

    driver: str
    net: int
    edge: int
    arrival_s: float


@dataclass(frozen=True, eq=False)
class Timing:
    """When nets change at the latest, and how slowly.

    Parameters
    ----------
    delay_s
        From the inputs to the last output, in seconds.
    path
        The slowest path, from an input to that output.
    arrival_s, slew_s, load_f
        Of each net, of shape (nets, 2): falling and rising. Seconds, seconds and farads; the
        arrival is minus infinity where there is no such transition.
    """

    delay_s: float
    path: tuple[PathPoint, ...]
    arrival_s: Floats
    slew_s: Floats
    load_f: Floats


def typical_boundary(library: Library) -> Boundary:
    """Return inputs and outputs as the library's smallest inverter with a fan-out of four has them.

    Raises
    ------
    LibertyError
        If the library has no inverter, or that has no delay tables.
    """
    cell = smallest_inverter(library)
    pin = cell.pins[cell.inputs[0]]
    load = _FAN_OUT * (pin.rise_capacitance_f + pin.fall_capacitance_f) / 2
    slew = 0.0
    for _ in range(20):  # converges: a transition depends little on that before
        slews = [
            float(table.at(slew, load))
            for arc in _arcs(cell, cell.outputs[0])
            for table in arc.slew
            if table is not None
        ]
        slew = sum(slews) / max(len(slews), 1)
    return Boundary(slew, load)


def net_loads(netlist: Netlist, boundary: Boundary) -> Floats:
    """Return the capacitance of each net in farads, of shape (nets, 2): falling and rising."""
    loads = np.zeros((netlist.nets, 2))
    for instance in netlist.instances:
        for name in instance.cell.inputs:
            pin = instance.cell.pins[name]
            loads[instance.nets[name]] += pin.fall_capacitance_f, pin.rise_capacitance_f
    for net in netlist.output_nets:
        loads[net] += boundary.output_load_f
    return loads


def analyse(netlist: Netlist, boundary: Boundary) -> Timing:
    """Find the latest arrival and the slowest transition at every net.

    Raises
    ------
    LibertyError
        If a cell has an output without any delay table.
    CircuitError
        If no output depends on an input.
    """
    arrival = np.full((netlist.nets, 2), -np.inf)
    slew = np.full((netlist.nets, 2), boundary.input_slew_s)
    before = np.full((netlist.nets, 2, 2), -1)
    arrival[list(netlist.input_nets)] = 0.0
    loads = net_loads(netlist, boundary)
    for cell, instances in _batches(netlist):
        for pin in _outputs_in_order(cell):
            connected = [instance for instance in instances if pin in instance.nets]
            nets = np.array([instance.nets[pin] for instance in connected], dtype=int)
            if len(nets):
                slowest = np.full((len(nets), 2), -np.inf)
                for arc in _arcs(cell, pin):
                    _propagate(arc, connected, nets, arrival, slew, before, slowest, loads)
                slew[nets] = np.where(np.isfinite(slowest), slowest, slew[nets])
    ends = [(arrival[net, edge], net, edge) for net in netlist.output_nets for edge in (FALL, RISE)]
    delay, net, edge = max(ends, default=(-np.inf, 0, 0))
    if not np.isfinite(delay):
        raise CircuitError(f"no output of {netlist.name} depends on an input", "connect them")
    path = _trace(netlist, arrival, before, net, edge)
    return Timing(float(delay), path, arrival, slew, loads)


def _batches(netlist: Netlist) -> Iterator[tuple[Cell, list[Instance]]]:
    """Yield the instances of one cell on one level, level by level."""
    level = [0] * netlist.nets
    batches: dict[tuple[int, str], list[Instance]] = defaultdict(list)
    for instance in netlist.instances:
        own = max((level[net] for net in instance.input_nets), default=0) + 1
        for net in instance.output_nets:
            level[net] = own
        batches[own, instance.cell.name].append(instance)
    for _, instances in sorted(batches.items(), key=lambda item: item[0]):
        yield instances[0].cell, instances


def _outputs_in_order(cell: Cell) -> list[str]:
    """Return the outputs, those first that others are timed from (ASAP7's half adder has such)."""
    return sorted(
        cell.outputs, key=lambda pin: any(arc.related in cell.outputs for arc in cell.timing[pin])
    )


def _arcs(cell: Cell, pin: str) -> tuple[TimingArc, ...]:
    arcs = cell.timing[pin]
    if cell.inputs and not any(table for arc in arcs for table in arc.delay):
        raise LibertyError(
            f"output {pin} of {cell.name} has no delay tables", "use a library with NLDM timing"
        )
    return arcs


def _edges(arc: TimingArc) -> tuple[tuple[int, int], ...]:
    """Return which edges of its input cause which of its output."""
    match arc.sense:
        case "positive_unate":
            return (FALL, FALL), (RISE, RISE)
        case "negative_unate":
            return (RISE, FALL), (FALL, RISE)
        case _:
            return (FALL, FALL), (RISE, FALL), (FALL, RISE), (RISE, RISE)


def _propagate(
    arc: TimingArc,
    instances: list[Instance],
    nets: np.typing.NDArray[np.int_],
    arrival: Floats,
    slew: Floats,
    before: np.typing.NDArray[np.int_],
    slowest: Floats,
    loads: Floats,
) -> None:
    """Take one arc of instances of one cell into account."""
    sources = np.array([instance.nets.get(arc.related, 0) for instance in instances])
    for edge_in, edge_out in _edges(arc):
        delay, transition = arc.delay[edge_out], arc.slew[edge_out]
        if delay is None:
            continue
        start, load = arrival[sources, edge_in], loads[nets, edge_out]
        changes = np.isfinite(start) & (sources >= CONSTANTS)
        end = start + delay.at(slew[sources, edge_in], load)
        later = changes & (end > arrival[nets, edge_out])
        arrival[nets[later], edge_out] = end[later]
        before[nets[later], edge_out, 0] = sources[later]
        before[nets[later], edge_out, 1] = edge_in
        slew_out = _transition(transition, slew[sources, edge_in], load)
        slowest[:, edge_out] = np.where(
            changes, np.maximum(slowest[:, edge_out], slew_out), slowest[:, edge_out]
        )


def _transition(table: Table | None, slew: Floats, load: Floats) -> Floats:
    return np.full(load.shape, -np.inf) if table is None else table.at(slew, load)


def _trace(
    netlist: Netlist,
    arrival: Floats,
    before: np.typing.NDArray[np.int_],
    net: int,
    edge: int,
) -> tuple[PathPoint, ...]:
    drivers = {
        instance.nets[pin]: f"{instance.name}/{pin} ({instance.cell.name})"
        for instance in netlist.instances
        for pin in instance.cell.outputs
        if pin in instance.nets
    }
    path = []
    while net >= CONSTANTS:
        driver = drivers.get(net, "input")
        path.append(PathPoint(driver, net, edge, float(arrival[net, edge])))
        net, edge = (int(x) for x in before[net, edge])
    return tuple(reversed(path))
