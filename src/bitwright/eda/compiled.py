"""A netlist and its events as the flat arrays that `bitwright.eda.waveforms` runs on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from bitwright.eda.cell_events import CellEvents, cell_events
from bitwright.eda.liberty import Cell
from bitwright.eda.liberty.tables import Floats
from bitwright.eda.netlist import Netlist
from bitwright.eda.waveforms import Design

Offsets = np.typing.NDArray[np.int64]


def events_by_cell(
    netlist: Netlist, load_f: Floats
) -> Iterator[tuple[list[int], Cell, CellEvents]]:
    """Yield the instances of each cell, by index, and their events at the loads that they have.

    Parameters
    ----------
    load_f
        The load of each net in farads, of shape (nets, 2): falling and rising.

    Raises
    ------
    LibertyError
        If a cell has an output without delay tables.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for index, instance in enumerate(netlist.instances):
        places[instance.cell.name].append(index)
    for indices in places.values():
        cell = netlist.instances[indices[0]].cell
        loads = np.zeros((len(indices), len(cell.outputs), 2))
        for row, index in enumerate(indices):
            for k, pin in enumerate(cell.outputs):
                if pin in netlist.instances[index].nets:
                    loads[row, k] = load_f[netlist.instances[index].nets[pin]]
        yield indices, cell, cell_events(cell, loads)


def compile_design(netlist: Netlist, load_f: Floats) -> Design:
    """Lay a netlist out for the timed simulation.

    An open output drives a net of its own, the one behind the last.

    Raises
    ------
    LibertyError
        If a cell has an output without delay tables.
    """
    instances = netlist.instances
    first_output = _starts([len(instance.cell.outputs) for instance in instances])
    output_net, tables = [], []
    for instance in instances:
        for pin, table in instance.cell.tables.items():
            output_net.append(instance.nets.get(pin, netlist.nets))
            tables.append(table)
    sinks = [*netlist.sinks, ()]
    ends = [end for net in sinks for end in net]
    first_point, point_count, first_hidden = (np.zeros(len(instances), np.int64) for _ in range(3))
    first_event = np.zeros(len(tables), np.int64)
    points, hidden, delays, slews, energies = ([np.zeros(0)] for _ in range(5))
    for indices, cell, events in events_by_cell(netlist, load_f):
        first_point[indices] = sum(map(len, points))
        point_count[indices] = len(events.slews)
        first_hidden[indices] = sum(map(len, hidden))
        start, size = sum(map(len, delays)), events.hidden_j.size
        for row, index in enumerate(indices):
            for k in range(len(cell.outputs)):
                first_event[first_output[index] + k] = start + (row * len(cell.outputs) + k) * size
        points.append(events.slews)
        hidden.append(events.hidden_j.ravel())
        delays.append(events.delay_s.ravel())
        slews.append(events.slew_s.ravel())
        energies.append(events.energy_j.ravel())
    return Design(
        np.array(netlist.input_nets, dtype=np.int64),
        _starts([len(net) for net in sinks]),
        np.array([index for index, _ in ends], dtype=np.int64),
        np.array([instances[i].cell.inputs.index(pin) for i, pin in ends], dtype=np.int64),
        first_output,
        np.array(output_net, dtype=np.int64),
        np.array(tables, dtype=np.uint64),
        np.array([len(instance.cell.inputs) for instance in instances], dtype=np.int64),
        first_point,
        point_count,
        np.concatenate(points),
        first_event,
        np.concatenate(delays),
        np.concatenate(slews),
        np.concatenate(energies),
        first_hidden,
        np.concatenate(hidden),
    )


def _starts(counts: list[int]) -> Offsets:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
