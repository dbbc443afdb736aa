"""Trading cells for others of the same function that take no more area.

abc sizes plain gates without knowing the adders between them. On the slowest path it leaves the
weakest inverter, which in ASAP7 has the area of one three times as strong: `speed_up` exchanges
such cells where that pays, counting what their larger inputs cost the cells before them. Elsewhere
it takes strong gates whose large inputs only cost energy: `lighten` exchanges those, without making
the design slower.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitwright.eda.liberty import Cell, Library
from bitwright.eda.netlist import Instance, Netlist
from bitwright.eda.timing import Boundary, Timing, analyse, pin_loads

_ROUNDS = 40
_TRIALS = 150
"""How often `lighten` times the netlist at most: some seconds for thousands of cells."""

Variants = Mapping[tuple[object, ...], Sequence[Cell]]


def speed_up(netlist: Netlist, library: Library, boundary: Boundary) -> Netlist:
    """Return the netlist with cells on slow paths exchanged; function stays, area does not grow.

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


def lighten(netlist: Netlist, library: Library, boundary: Boundary) -> Netlist:
    """Return the netlist with cells exchanged for ones that load the nets before them less.

    Function stays as it is; neither area nor delay grows, and no exchanged cell gets a load above
    its limit. All that could be exchanged are tried together, then, where that makes the design
    slower, each half by itself, and so on: most cells are not on a slow path and need few trials.

    Raises
    ------
    LibertyError
        If a cell has no delay tables.
    """
    variants = _variants(library)
    timing = analyse(netlist, boundary)
    limit_s = timing.delay_s
    tried: set[tuple[int, str]] = set()
    trials = 0
    while trials < _TRIALS and (found := _lighter(netlist, timing, variants, tried)):
        groups = deque([found])
        while trials < _TRIALS and groups:
            group = groups.popleft()
            candidate = _with_cells(netlist, dict(group))
            timed = analyse(candidate, boundary)
            trials += 1
            if timed.delay_s <= limit_s:
                netlist, timing = candidate, timed
            elif len(group) > 1:
                middle = len(group) // 2
                groups += group[:middle], group[middle:]
    return netlist


def _signature(cell: Cell) -> tuple[object, ...]:
    return cell.inputs, cell.outputs, tuple(cell.tables.values())


def _variants(library: Library) -> Variants:
    found: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in library.usable():
        found[_signature(cell)].append(cell)
    return found


def _with_cells(netlist: Netlist, cells: Mapping[int, Cell]) -> Netlist:
    """Exchange the cells of some instances, given by index."""
    instances = list(netlist.instances)
    for index, cell in cells.items():
        instances[index] = replace(instances[index], cell=cell)
    return replace(netlist, instances=tuple(instances))


def _lighter(
    netlist: Netlist, timing: Timing, variants: Variants, tried: set[tuple[int, str]]
) -> list[tuple[int, Cell]]:
    """Return for each instance that has one the lightest cell not tried yet, and note it there."""
    found = []
    for index, instance in enumerate(netlist.instances):
        lighter = [
            cell
            for cell in variants.get(_signature(instance.cell), ())
            if cell.area <= instance.cell.area
            and _loads_less(cell, instance.cell)
            and (index, cell.name) not in tried
            and _drives(cell, instance, timing)
        ]
        if lighter:
            cell = min(lighter, key=lambda cell: (np.sum(pin_loads(cell)), cell.area, cell.name))
            found.append((index, cell))
            tried.add((index, cell.name))
    return found


def _loads_less(cell: Cell, other: Cell) -> bool:
    """Return whether a cell has a pin of less capacitance than another, and none of more."""
    change = np.array(pin_loads(cell)) - np.array(pin_loads(other))
    return bool((change <= 0).all() and (change < 0).any())


def _drives(cell: Cell, instance: Instance, timing: Timing) -> bool:
    """Return whether a cell may have an instance's loads."""
    limits = {pin: cell.pins[pin].max_capacitance_f for pin in cell.outputs if pin in instance.nets}
    return all(
        limit is None or timing.load_f[instance.nets[pin]].max() <= limit
        for pin, limit in limits.items()
    )


def _exchanged(netlist: Netlist, timing: Timing, variants: Variants) -> Netlist | None:
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
