"""Plans that turn structural Verilog into standard cells with yosys.

Requirements:

- Adders and majority gates reach cells of their own. Logic optimisation never finds them again
  once they are gates, and an exact popcount then comes out twice too large.
- Such a cell is picked by its truth tables and used in either polarity, as `polarity` chooses; the
  inverters are plain logic, which abc maps and, back to back, removes.
- A generic cell with a constant input or an open output is logic, or the smaller generic cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bitwright.eda import generic
from bitwright.eda.generic import GENERIC, GenericCell
from bitwright.eda.liberty import POWER_GROUPS, Library
from bitwright.eda.liberty.matching import Match, matches, smallest_inverter
from bitwright.eda.order import sort_cells
from bitwright.eda.polarity import Mode, Node, choose_modes
from bitwright.eda.run import BuildPlan, Command
from bitwright.errors import CircuitError

Effort = Literal["area", "delay"]

MOST_INPUTS = 5
"""Cells with more inputs are not offered to abc: it reads five times as long and picks few."""
_SIZING = "topo\nbuffer -c -N 16\nupsize\ndnsize\n"
_ABC: dict[Effort, str] = {
    "area": "strash\nifraig\nscorr\ndc2\ndc2\ndch -f\namap -m\n" + _SIZING,
    "delay": "strash\nifraig\nscorr\ndc2\ndch -f\nmap -B 0.9\n" + _SIZING,
}
_MAJORITY = generic.MAJORITY.name
_GATES = r"\$_(BUF|NOT|AND|NAND|OR|NOR|XOR|XNOR|ANDNOT|ORNOT|MUX|NMUX|AOI3|OAI3|AOI4|OAI4)_"
_COMES_INVERTED = {
    f"$_{gate}_": inverted
    for gates, inverted in (
        (("AND", "OR", "ANDNOT", "ORNOT"), True),
        (("NAND", "NOR", "AOI3", "OAI3", "AOI4", "OAI4"), False),
    )
    for gate in gates
}
"""Whether the smallest cells give the inverse of what a gate says: transistors invert."""
_LOGIC = "LOGIC"
"""The mode of a generic cell that is to become plain gates."""


def elaboration_plan(verilog: str, top: str | None = None, wrappers: str = "") -> BuildPlan:
    """Return the plan that reads a design and leaves generic cells and gates in ``design.json``.

    Parameters
    ----------
    wrappers
        Modules that take the place of the design's own (see `recognise`).
    """
    chosen = f"-top {top}" if top else "-auto-top"
    script = f"""\
read_verilog design.v
read_verilog -overwrite wrappers.v
read_verilog -overwrite generic.v
hierarchy -check {chosen}
proc
flatten
techmap
opt -purge
check
write_json design.json
"""
    files = {
        "design.v": verilog,
        "wrappers.v": wrappers,
        "generic.v": generic.black_boxes(),
        "read.ys": script,
    }
    return BuildPlan(files, (_yosys("read.ys"),), ("design.json",))


@dataclass(frozen=True)
class Placed:
    """A design whose generic cells know what they become.

    Parameters
    ----------
    design
        In yosys's JSON format.
    top
        Its module.
    techmap
        Verilog that says what each generic cell becomes.
    """

    design: str
    top: str
    techmap: str


def place_cells(design: str, library: Library, *, adders: bool) -> Placed:
    """Choose for each generic cell of an elaborated design what it becomes.

    Parameters
    ----------
    design
        What `elaboration_plan` left.
    adders
        Whether cells of the library are used for adders and majority gates; else all is logic.

    Raises
    ------
    CircuitError
        If the design has storage, cells of unknown kind, an undriven net or a loop.
    """
    data = json.loads(design)
    tops = [name for name, module in data["modules"].items() if "top" in module["attributes"]]
    if len(tops) != 1:
        raise CircuitError("the design has no top module", "name it")
    module = data["modules"][tops[0]]
    data["modules"] = {tops[0]: module}
    for kind in ("cells", "netnames"):
        module[kind] = _renamed(module[kind], kind)
    order = _checked_order(tops[0], module)
    usable = library.usable(MOST_INPUTS) if adders else ()
    found = {name: matches(usable, cell.tables, len(cell.inputs)) for name, cell in GENERIC.items()}
    _simplify(module, found)
    placed = [name for name in order if found.get(module["cells"][name]["type"])]
    modes = _choose(module, placed, found, library)
    for name, cell in module["cells"].items():
        if cell["type"] in GENERIC:
            cell["type"] = f"{cell['type']}_{modes.get(name, _LOGIC)}"
    return Placed(json.dumps(data), tops[0], _techmap(found))


def mapping_plan(placed: Placed, library: Library, effort: Effort) -> BuildPlan:
    """Return the plan that maps a design, to ``mapped.json``."""
    cells = {cell.name for cell in library.usable(MOST_INPUTS)}
    script = """\
read_liberty -lib -ignore_miss_func cells.lib
read_json design.json
techmap -map generic.v
techmap
opt -purge
abc -liberty cells.lib -script abc.script
clean -purge
write_json mapped.json
"""
    files = {
        "design.json": placed.design,
        "generic.v": placed.techmap,
        "cells.lib": library.text(cells, POWER_GROUPS),
        "abc.script": _ABC[effort],
        "map.ys": script,
    }
    return BuildPlan(files, (_yosys("map.ys"),), ("mapped.json",))


def _yosys(script: str) -> Command:
    return Command("yosys", ("-q", "-s", script), timeout_s=1800.0)


def _renamed(entries: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Give new names to what yosys named: on reading them it would give some of them again."""
    names = [f"{kind}${i}" if name[0] == "$" else name for i, name in enumerate(entries)]
    return dict(zip(names, entries.values(), strict=True))


def _checked_order(top: str, module: Mapping[str, Any]) -> list[str]:
    """Return the cells sorted, if they are gates and generic cells of driven nets without loops."""
    names = list(module["cells"])
    reads, drives = [], []
    for name in names:
        cell = module["cells"][name]
        kind = cell["type"]
        if kind not in GENERIC and not re.fullmatch(_GATES, kind):
            raise CircuitError(
                f"{top}: cell {name} is of {kind}, neither a gate nor a generic cell",
                f"give assignments without storage and instances of {', '.join(GENERIC)}",
            )
        reads.append(_bits(cell, "input"))
        drives.append(_bits(cell, "output"))
    ports = module["ports"].values()
    driven = {bit for bits in drives for bit in bits} | {"0", "1"}
    driven |= {bit for port in ports if port["direction"] == "input" for bit in port["bits"]}
    for name, bits in zip(names, reads, strict=True):
        if not driven.issuperset(bits):
            raise CircuitError(f"{top}: an input of cell {name} is not driven", "connect it")
    for name, port in module["ports"].items():
        if not driven.issuperset(port["bits"]):
            raise CircuitError(f"{top}: output {name} is not driven in all bits", "connect it")
    return [names[index] for index in sort_cells(top, names, reads, drives)]


def _bits(cell: Mapping[str, Any], direction: str) -> list[int | str]:
    directions = cell["port_directions"]
    return [
        bit
        for port, bits in cell["connections"].items()
        if directions[port] == direction
        for bit in bits
    ]


def _simplify(module: Mapping[str, Any], found: Mapping[str, Sequence[Match]]) -> None:
    """Make logic of generic cells with constant inputs or open outputs; of a carry, a majority."""
    read = {bit for cell in module["cells"].values() for bit in _bits(cell, "input")}
    for port in module["ports"].values():
        if port["direction"] == "output":
            read.update(port["bits"])
    for cell in module["cells"].values():
        kind = GENERIC.get(cell["type"])
        if kind is None:
            continue
        nets = cell["connections"]
        used = [port for port in kind.outputs if not read.isdisjoint(nets.get(port, ()))]
        constant = any(isinstance(bit, str) for bit in _bits(cell, "input"))
        if kind is generic.FULL_ADDER and used == ["co"] and not constant and found[_MAJORITY]:
            cell["type"] = _MAJORITY
            cell["port_directions"] = {**dict.fromkeys("abc", "input"), "y": "output"}
            cell["connections"] = {port: nets[port] for port in "abc"} | {"y": nets["co"]}
        elif constant or len(used) < len(kind.outputs):
            cell["type"] = f"{kind.name}_{_LOGIC}"


def _choose(
    module: Mapping[str, Any],
    placed: Sequence[str],
    found: Mapping[str, Sequence[Match]],
    library: Library,
) -> dict[str, int]:
    """Return for each generic cell that gets a cell of the library the index of its match."""
    nodes = []
    for name in placed:
        cell = module["cells"][name]
        kind = GENERIC[cell["type"]]
        modes = tuple(
            Mode(match.inverted_inputs, match.inverted_outputs, match.cell.area)
            for match in found[kind.name]
        )
        nets = cell["connections"]
        nodes.append(
            Node(
                modes,
                tuple(nets[port][0] for port in kind.inputs),
                tuple(nets[port][0] for port in kind.outputs),
            )
        )
    comes = {}
    for cell in module["cells"].values():
        if cell["type"] in _COMES_INVERTED:
            comes[cell["connections"]["Y"][0]] = _COMES_INVERTED[cell["type"]]
    ports = module["ports"].values()
    for port in ports:
        if port["direction"] == "input":
            comes.update(dict.fromkeys(port["bits"], False))
    outputs = {bit for port in ports if port["direction"] == "output" for bit in port["bits"]}
    modes_chosen = choose_modes(nodes, comes, outputs, smallest_inverter(library).area)
    return dict(zip(placed, modes_chosen, strict=True))


def _techmap(found: Mapping[str, Sequence[Match]]) -> str:
    """Return as Verilog what each generic cell becomes in each mode."""
    parts = [generic.behaviour(f"_{_LOGIC}")]
    for name, cell in GENERIC.items():
        for index, match in enumerate(found[name]):
            parts.append(_mapped_module(f"{name}_{index}", cell, match))
    return "".join(parts)


def _mapped_module(name: str, cell: GenericCell, match: Match) -> str:
    pins = [
        f".{pin}({'~' * inverted}{port})"
        for port, pin, inverted in zip(
            cell.inputs, match.inputs, match.inverted_inputs, strict=True
        )
    ]
    pins += [f".{pin}(w_{port})" for port, pin in zip(cell.outputs, match.outputs, strict=True)]
    lines = [generic.header(name, cell)]
    lines += [f"  wire w_{port};\n" for port in cell.outputs]
    lines.append(f"  {match.cell.name} _TECHMAP_REPLACE_ ({', '.join(pins)});\n")
    lines += [
        f"  assign {port} = {'~' * inverted}w_{port};\n"
        for port, inverted in zip(cell.outputs, match.inverted_outputs, strict=True)
    ]
    return "".join(lines) + "endmodule\n"
