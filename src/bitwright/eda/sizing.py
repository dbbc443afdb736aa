"""Trading cells for faster ones of the same function that take no more area.

abc sizes plain gates without knowing the adders between them: it leaves the weakest inverter, which
in ASAP7 has the area of one three times as strong. Here the cells on the slowest path are
exchanged where that pays, counting what their larger inputs cost the cells before them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitwright.eda.liberty import Cell, Library
from bitwright.eda.netlist import Instance, Netlist
from bitwright.eda.timing import Boundary, Timing, analyse

_ROUNDS = 40


def speed_up(netlist: Netlist, library: Library, boundary: Boundary) -> Netlist:
    """Return the netlist with cells on slow paths exchanged; area and function stay as they are.

    Raises
    ------
    LibertyError
        If a cell has no delay tables.
    """
    variants = _variants(library)
    timing = analyse(netlist, boundary)
    for _ in range(_ROUNDS):
        candidate = _exchanged(netlist, timing, variants)
        if candidate is None:
            break
        faster = analyse(candidate, boundary)
        if faster.delay_s >= timing.delay_s:
            break
        netlist, timing = candidate, faster
    return netlist


def _signature(cell: Cell) -> tuple[object, ...]:
    return cell.inputs, cell.outputs, tuple(cell.tables.values())


def _variants(library: Library) -> Mapping[tuple[object, ...], Sequence[Cell]]:
    found: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in library.usable():
        found[_signature(cell)].append(cell)
    return found


def _exchanged(
    netlist: Netlist, timing: Timing, variants: Mapping[tuple[object, ...], Sequence[Cell]]
) -> Netlist | None:
    """Exchange what pays on the slowest path; None if nothing does."""
    drivers = {
        net: index
        for index, instance in enumerate(netlist.instances)
        for net in instance.output_nets
    }
    instances = list(netlist.instances)
    for point in timing.path:
        index = drivers.get(point.net)
        if index is None:
            continue
        instance = instances[index]
        best = instance.cell
        best_cost = _cost(netlist, timing, instances, drivers, instance, best)
        for cell in variants.get(_signature(best), ()):
            if cell.area <= instance.cell.area:
                cost = _cost(netlist, timing, instances, drivers, instance, cell)
                if cost < best_cost * (1 - 1e-9):
                    best, best_cost = cell, cost
        if best is not instance.cell:
            instances[index] = replace(instance, cell=best)
    if instances == list(netlist.instances):
        return None
    return replace(netlist, instances=tuple(instances))


def _cost(
    netlist: Netlist,
    timing: Timing,
    instances: Sequence[Instance],
    drivers: Mapping[int, int],
    instance: Instance,
    cell: Cell,
) -> float:
    """Return the delay through a cell in an instance's place and through those that drive it."""
    total = _delay(cell, instance, timing, 0.0)
    for pin in cell.inputs:
        net = instance.nets[pin]
        if net in drivers:
            old = instance.cell.pins[pin].rise_capacitance_f
            more = cell.pins[pin].rise_capacitance_f - old
            total += _delay(instances[drivers[net]].cell, instances[drivers[net]], timing, more)
    return total


def _delay(cell: Cell, instance: Instance, timing: Timing, more_load_f: float) -> float:
    """Return the mean delay through a cell at its slews and loads."""
    delays = [
        float(table.at(timing.slew_s[instance.nets[arc.related]].mean(), load))
        for pin in cell.outputs
        if pin in instance.nets
        for arc in cell.timing[pin]
        if arc.related in instance.nets
        for table, load in zip(
            arc.delay, timing.load_f[instance.nets[pin]] + more_load_f, strict=True
        )
        if table is not None
    ]
    return float(np.mean(delays)) if delays else 0.0
