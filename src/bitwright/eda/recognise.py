"""Finding adders and majority gates among a design's own modules, by what they compute.

Writers of structural Verilog bring their own ``FA`` or ``full_adder``. Flattened, it would be gates
like any other; here such a module is made to hold one generic cell instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import permutations
from typing import Any

from bitwright.eda import generic
from bitwright.eda.generic import GENERIC, GenericCell
from bitwright.eda.liberty import boolean
from bitwright.eda.liberty.boolean import column
from bitwright.eda.run import BuildPlan, Command

_MOST_INPUTS = 3
_GATES = {
    kind: boolean.parse(text)
    for kind, text in {
        "$_BUF_": "A",
        "$_NOT_": "!A",
        "$_AND_": "A B",
        "$_NAND_": "!(A B)",
        "$_OR_": "A + B",
        "$_NOR_": "!(A + B)",
        "$_XOR_": "A ^ B",
        "$_XNOR_": "!(A ^ B)",
        "$_ANDNOT_": "A !B",
        "$_ORNOT_": "A + !B",
        "$_MUX_": "S B + !S A",
    }.items()
}


def modules_plan(verilog: str) -> BuildPlan:
    """Return the plan that leaves a design's modules, as gates, in ``modules.json``."""
    script = """\
read_verilog design.v
read_verilog -overwrite generic.v
proc
simplemap
clean
write_json modules.json
"""
    files = {"design.v": verilog, "generic.v": generic.black_boxes(), "read.ys": script}
    command = Command("yosys", ("-q", "-s", "read.ys"), timeout_s=600.0)
    return BuildPlan(files, (command,), ("modules.json",))


def wrappers(modules: str) -> str:
    """Return Verilog that makes modules which compute what a generic cell does hold such a cell.

    Parameters
    ----------
    modules
        What `modules_plan` left.
    """
    parts = []
    for name, module in json.loads(modules)["modules"].items():
        if name not in GENERIC and not module.get("parameter_default_values"):
            parts.append(_wrapper(name, module))
    return "".join(parts)


def _wrapper(name: str, module: Mapping[str, Any]) -> str:
    """Return a module that holds a generic cell; empty text if it is none."""
    ports = module["ports"]
    inputs = [port for port, entry in ports.items() if entry["direction"] == "input"]
    outputs = [port for port, entry in ports.items() if entry["direction"] == "output"]
    if any(len(entry["bits"]) != 1 for entry in ports.values()) or len(inputs) > _MOST_INPUTS:
        return ""
    tables = _tables(module, inputs, outputs)
    for cell in GENERIC.values():
        for order in permutations(outputs):
            found = tuple(tables.get(port) for port in order)
            if len(inputs) == len(cell.inputs) and found == cell.tables:
                return _holding(name, cell, inputs, list(order))
    return ""


def _tables(
    module: Mapping[str, Any], inputs: list[str], outputs: list[str]
) -> dict[str, int | None]:
    """Return the truth table of each output; None for one that depends on more than gates."""
    ones = (1 << (1 << len(inputs))) - 1
    known: dict[int | str, int] = {"0": 0, "1": ones}
    for j, port in enumerate(inputs):
        known[module["ports"][port]["bits"][0]] = column(j, len(inputs))
    waiting = [cell for cell in module["cells"].values() if cell["type"] in _GATES]
    progress = True
    while waiting and progress:
        ready = [cell for cell in waiting if all(bit in known for bit in _read(cell))]
        progress = bool(ready)
        for cell in ready:
            function, nets = _GATES[cell["type"]], cell["connections"]
            values = {pin: known[nets[pin][0]] for pin in function.names}
            known[nets["Y"][0]] = function.evaluate(values, ones)
        waiting = [cell for cell in waiting if cell not in ready]
    return {port: known.get(module["ports"][port]["bits"][0]) for port in outputs}


def _read(cell: Mapping[str, Any]) -> list[int | str]:
    return [cell["connections"][pin][0] for pin in _GATES[cell["type"]].names]


def _holding(name: str, cell: GenericCell, inputs: list[str], outputs: list[str]) -> str:
    ports = [f"input \\{port} " for port in inputs] + [f"output \\{port} " for port in outputs]
    pins = [
        f".{pin}(\\{port} )"
        for pin, port in zip((*cell.inputs, *cell.outputs), inputs + outputs, strict=True)
    ]
    return (
        f"module \\{name} ({', '.join(ports)});\n"
        f"  {cell.name} cell_ ({', '.join(pins)});\nendmodule\n"
    )
