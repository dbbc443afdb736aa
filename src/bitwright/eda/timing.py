"""Static timing of a netlist from the library's tables, without wires.

Requirements:

- Every arc counts, whatever its ``when``: the slowest decides. At each net the latest arrival and
  the slowest transition go on, each for itself, rising and falling apart. This is what OpenSTA
  does too, and `bitwright.eda.opensta` agrees with it; this one also gives the slews and loads
  that energies need.
- Cells of one kind on one level are looked up together, all arcs to an output at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bitwright.eda.liberty import Cell, Library, Table, TimingArc
from bitwright.eda.liberty.matching import smallest_inverter
from bitwright.eda.liberty.tables import Floats, interpolate
from bitwright.eda.netlist import CONSTANTS, Instance, Netlist
from bitwright.errors import CircuitError, ConfigError, LibertyError

Integers = np.typing.NDArray[np.int_]

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
    nets: list[int] = []
    pins: list[tuple[float, float]] = []
    for instance in netlist.instances:
        nets += instance.input_nets
        pins += pin_loads(instance.cell)
    np.add.at(loads, nets, np.reshape(pins, (-1, 2)))
    for net in netlist.output_nets:
        loads[net] += boundary.output_load_f
    return loads


@lru_cache(maxsize=1024)
def pin_loads(cell: Cell) -> tuple[tuple[float, float], ...]:
    """Return the capacitance of each input of a cell in farads: falling and rising."""
    pins = (cell.pins[name] for name in cell.inputs)
    return tuple((pin.fall_capacitance_f, pin.rise_capacitance_f) for pin in pins)


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
            edges = _edges(cell, pin)
            if connected and edges.pins:
                _propagate(edges, pin, connected, arrival, slew, before, loads)
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


@dataclass(frozen=True, eq=False)
class _Tables:
    """Tables over the same slews and loads, looked up together.

    Parameters
    ----------
    rows
        Which of the edges of an output they belong to.
    values
        Of shape (tables, slews, loads).
    """

    rows: Integers
    slews: Floats
    loads: Floats
    values: Floats

    def at(self, slew: Floats, load: Floats) -> Floats:
        """Return what `Table.at` returns, for each table its row; of shape (tables, instances)."""
        table = np.arange(len(self.rows))[:, None]
        return interpolate(
            self.slews, self.loads, self.values, slew[self.rows], load[self.rows], (table,)
        )


@dataclass(frozen=True, eq=False)
class _Edges:
    """How edges of an output come about: one entry an arc and edge of its input.

    Parameters
    ----------
    pins
        The pins that arcs start from.
    pin, edge_in, edge_out
        For each entry which of them it is, and which edge there causes which at the output.
    delay, slew
        Their tables; entries without one are in none.
    """

    pins: tuple[str, ...]
    pin: Integers
    edge_in: Integers
    edge_out: Integers
    delay: tuple[_Tables, ...]
    slew: tuple[_Tables, ...]


def _causes(arc: TimingArc) -> tuple[tuple[int, int], ...]:
    """Return which edges of its input cause which of its output."""
    match arc.sense:
        case "positive_unate":
            return (FALL, FALL), (RISE, RISE)
        case "negative_unate":
            return (RISE, FALL), (FALL, RISE)
        case _:
            return (FALL, FALL), (RISE, FALL), (FALL, RISE), (RISE, RISE)


@lru_cache(maxsize=1024)
def _edges(cell: Cell, pin: str) -> _Edges:
    entries = [
        (arc, edge_in, edge_out)
        for arc in _arcs(cell, pin)
        for edge_in, edge_out in _causes(arc)
        if arc.delay[edge_out] is not None
    ]
    pins = tuple(dict.fromkeys(arc.related for arc, _, _ in entries))
    return _Edges(
        pins,
        np.array([pins.index(arc.related) for arc, _, _ in entries], int),
        np.array([edge_in for _, edge_in, _ in entries], int),
        np.array([edge_out for _, _, edge_out in entries], int),
        _stacked([arc.delay[edge_out] for arc, _, edge_out in entries]),
        _stacked([arc.slew[edge_out] for arc, _, edge_out in entries]),
    )


def _stacked(tables: Sequence[Table | None]) -> tuple[_Tables, ...]:
    same: dict[tuple[bytes, bytes], list[tuple[int, Table]]] = defaultdict(list)
    for row, table in enumerate(tables):
        if table is not None:
            same[table.slews.tobytes(), table.loads.tobytes()].append((row, table))
    return tuple(
        _Tables(
            np.array([row for row, _ in found]),
            found[0][1].slews,
            found[0][1].loads,
            np.stack([table.values for _, table in found]),
        )
        for found in same.values()
    )


def _looked_up(stacks: Sequence[_Tables], slew: Floats, load: Floats) -> Floats:
    """Return the values of all entries; minus infinity for those without a table."""
    values = np.full(slew.shape, -np.inf)
    for stack in stacks:
        values[stack.rows] = stack.at(slew, load)
    return values


def _propagate(
    edges: _Edges,
    pin: str,
    instances: Sequence[Instance],
    arrival: Floats,
    slew: Floats,
    before: Integers,
    loads: Floats,
) -> None:
    """Time one output of instances of one cell."""
    nets = np.array([instance.nets[pin] for instance in instances])
    at_pins = np.array(
        [[instance.nets.get(name, 0) for instance in instances] for name in edges.pins]
    )
    sources, edge_in = at_pins[edges.pin], edges.edge_in[:, None]
    start, slew_in = arrival[sources, edge_in], slew[sources, edge_in]
    load = loads[nets, edges.edge_out[:, None]]
    changes = np.isfinite(start) & (sources >= CONSTANTS)
    end = np.where(changes, start + _looked_up(edges.delay, slew_in, load), -np.inf)
    transition = np.where(changes, _looked_up(edges.slew, slew_in, load), -np.inf)
    column = np.arange(len(nets))
    for edge in (FALL, RISE):
        rows = np.flatnonzero(edges.edge_out == edge)
        if len(rows):
            latest = rows[end[rows].argmax(0)]
            changed = np.isfinite(end[latest, column])
            arrival[nets, edge] = end[latest, column]
            before[nets[changed], edge, 0] = sources[latest, column][changed]
            before[nets[changed], edge, 1] = edges.edge_in[latest][changed]
            slowest = transition[rows].max(0)
            slew[nets, edge] = np.where(np.isfinite(slowest), slowest, slew[nets, edge])


def _trace(
    netlist: Netlist,
    arrival: Floats,
    before: Integers,
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
