"""A netlist of standard cells, checked and in the order in which its values come about.

Requirements:

- A net has one driver: a cell's output, an input of the design, or a constant. Nets 0 and 1 are the
  constants.
- Instances are sorted so that each comes after those that drive it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bitwright.eda.liberty import Cell, Library
from bitwright.eda.order import sort_cells
from bitwright.errors import CircuitError

CONSTANTS = 2
"""Nets 0 and 1 are constant; the others follow."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One placed cell.

    Parameters
    ----------
    name
        Unique in the netlist.
    nets
        The net at each of its pins.
    """

    name: str
    cell: Cell
    nets: Mapping[str, int]

    @property
    def input_nets(self) -> tuple[int, ...]:
        """The nets at its inputs, in the order of the cell's pins."""
        return tuple(self.nets[pin] for pin in self.cell.inputs)

    @property
    def output_nets(self) -> tuple[int, ...]:
        """The nets at its connected outputs."""
        return tuple(self.nets[pin] for pin in self.cell.outputs if pin in self.nets)


@dataclass(frozen=True, eq=False)
class Netlist:
    """A combinational design of standard cells.

    Parameters
    ----------
    name
        The module's name.
    inputs, outputs
        The nets of each port, the lowest bit first.
    instances
        In an order in which each follows those that drive it.
    nets
        How many nets there are, the two constants among them.
    """

    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    instances: tuple[Instance, ...]
    nets: int

    @cached_property
    def input_nets(self) -> tuple[int, ...]:
        """The nets of all input bits, port by port."""
        return tuple(net for port in self.inputs.values() for net in port)

    @cached_property
    def output_nets(self) -> tuple[int, ...]:
        """The nets of all output bits, port by port."""
        return tuple(net for port in self.outputs.values() for net in port)

    @cached_property
    def sinks(self) -> tuple[tuple[tuple[int, str], ...], ...]:
        """For each net the instances, by index, and pins that it feeds."""
        found: list[list[tuple[int, str]]] = [[] for _ in range(self.nets)]
        for index, instance in enumerate(self.instances):
            for pin in instance.cell.inputs:
                found[instance.nets[pin]].append((index, pin))
        return tuple(map(tuple, found))

    @cached_property
    def area(self) -> float:
        """The sum of the cells' areas, in the library's unit."""
        return sum(instance.cell.area for instance in self.instances)

    @cached_property
    def cell_counts(self) -> dict[str, int]:
        """How many there are of each cell, the most area first."""
        counts = Counter(instance.cell.name for instance in self.instances)
        areas = {instance.cell.name: instance.cell.area for instance in self.instances}
        return dict(sorted(counts.items(), key=lambda item: (-item[1] * areas[item[0]], item[0])))

    @cached_property
    def depth(self) -> int:
        """How many cells the longest path from an input to an output passes."""
        level = [0] * self.nets
        for instance in self.instances:
            deepest = max((level[net] for net in instance.input_nets), default=0) + 1
            for net in instance.output_nets:
                level[net] = deepest
        return max((level[net] for net in self.output_nets), default=0)


def read_netlist(text: str, library: Library, top: str | None = None) -> Netlist:
    """Read what yosys's ``write_json`` wrote of a mapped design.

    Parameters
    ----------
    text
        The JSON text.
    library
        Where its cells are from.
    top
        The module; None if there is only one.

    Raises
    ------
    CircuitError
        If it is no such file, has a cell that the library lacks or that is no combinational cell,
        an undriven net, a net with two drivers, or a loop.
    """
    module, name = _module(text, top)
    try:
        return _read(module, name, library)
    except (KeyError, TypeError, AttributeError) as error:
        raise CircuitError(
            f"{name} is no netlist in yosys's JSON format", "write it with write_json"
        ) from error


def _read(module: Mapping[str, Any], name: str, library: Library) -> Netlist:
    ports, entries = module["ports"].items(), module["cells"].items()
    builder = _Builder(name)
    inputs = {
        port: tuple(builder.driven(bit, f"input {port}") for bit in entry["bits"])
        for port, entry in ports
        if entry["direction"] == "input"
    }
    cells = {instance: _cell(name, instance, entry["type"], library) for instance, entry in entries}
    for instance, entry in entries:
        for pin in cells[instance].outputs:
            for bit in entry["connections"].get(pin, ()):
                builder.driven(bit, f"{instance}.{pin}")
    instances = [
        Instance(
            instance,
            cells[instance],
            {
                pin: builder.used((*bits, None)[0], f"{instance}.{pin}")
                for pin in cells[instance].pins
                if (bits := entry["connections"].get(pin, ())) or pin in cells[instance].inputs
            },
        )
        for instance, entry in entries
    ]
    outputs = {
        port: tuple(builder.used(bit, f"output {port}") for bit in entry["bits"])
        for port, entry in ports
        if entry["direction"] == "output"
    }
    order = sort_cells(
        name,
        [instance.name for instance in instances],
        [instance.input_nets for instance in instances],
        [instance.output_nets for instance in instances],
    )
    return Netlist(
        name, inputs, outputs, tuple(instances[index] for index in order), len(builder.numbers)
    )


def _cell(design: str, instance: str, kind: str, library: Library) -> Cell:
    cell = library.cells.get(kind)
    if cell is None:
        raise CircuitError(
            f"{design}: instance {instance} is of {kind}, which {library.name} lacks",
            "map the design to this library first",
        )
    if not cell.combinational:
        raise CircuitError(
            f"{design}: instance {instance} is of {kind}, which is not combinational",
            "give a design without storage",
        )
    return cell


def _module(text: str, top: str | None) -> tuple[dict[str, Any], str]:
    try:
        modules = json.loads(text)["modules"]
        found = {
            name: module
            for name, module in modules.items()
            if (name == top if top else "blackbox" not in module.get("attributes", {}))
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CircuitError("no netlist in yosys's JSON format", "write it with write_json") from (
            error
        )
    if len(found) != 1:
        names = ", ".join(modules) or "none"
        raise CircuitError(
            f"no single module '{top}'" if top else f"{len(found)} modules, not one",
            f"name the top module; there are: {names}",
        )
    name, module = next(iter(found.items()))
    return module, name


class _Builder:
    """Numbers the nets as they get their drivers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers: dict[int | str, int] = {"0": 0, "1": 1}
        self.drivers: dict[int | str, str] = {}

    def driven(self, bit: int | str, by: str) -> int:
        if bit in self.drivers or isinstance(bit, str):
            other = self.drivers.get(bit, f"constant {bit}")
            raise CircuitError(
                f"{self.name}: {by} and {other} drive the same net", "disconnect one of them"
            )
        self.drivers[bit] = by
        return self.numbers.setdefault(bit, len(self.numbers))

    def used(self, bit: int | str | None, by: str) -> int:
        if bit is None or bit not in self.numbers:
            raise CircuitError(
                f"{self.name}: nothing drives the net at {by}", "connect it to an output or input"
            )
        return self.numbers[bit]
