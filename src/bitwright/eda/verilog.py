"""Writing a netlist of standard cells as structural Verilog."""

from __future__ import annotations

import re

from bitwright.eda.netlist import CONSTANTS, Netlist

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


def write_verilog(netlist: Netlist) -> str:
    """Return the netlist as one Verilog module of instances and assignments to its outputs.

    Ports and instances keep their names; nets are called ``n2``, ``n3``, ... by their numbers (with
    more letters if something else has such a name), and constants stand as ``1'b0``, ``1'b1``.
    """
    ports = [*netlist.inputs, *netlist.outputs]
    taken = [*ports, *(instance.name for instance in netlist.instances)]
    prefix = "n"
    while any(name.startswith(prefix) and name[len(prefix) :].isdigit() for name in taken):
        prefix += "n"

    def net_name(net: int) -> str:
        return f"1'b{net}" if net < CONSTANTS else f"{prefix}{net}"

    lines = [f"module {_name(netlist.name)}({', '.join(_name(port) for port in ports)});"]
    for direction, group in (("input", netlist.inputs), ("output", netlist.outputs)):
        lines += [f"  {direction} {_range(len(n))}{_name(port)};" for port, n in group.items()]
    lines += [f"  wire {prefix}{net};" for net in range(CONSTANTS, netlist.nets)]
    for port, nets in netlist.inputs.items():
        lines += [f"  assign {prefix}{net} = {_name(port)}[{i}];" for i, net in enumerate(nets)]
    for instance in netlist.instances:
        pins = ", ".join(f".{_name(pin)}({net_name(net)})" for pin, net in instance.nets.items())
        lines.append(f"  {_name(instance.cell.name)} {_name(instance.name)} ({pins});")
    for port, nets in netlist.outputs.items():
        lines += [f"  assign {_name(port)}[{i}] = {net_name(net)};" for i, net in enumerate(nets)]
    return "\n".join([*lines, "endmodule", ""])


def _range(width: int) -> str:
    return f"[{width - 1}:0] "


def _name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else f"\\{name} "
