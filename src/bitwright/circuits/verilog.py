"""A `Circuit` as structural Verilog: gate primitives, and adders as instances of small modules.

One circuit gives one text, byte for byte. The module's attributes say what its output bits weigh,
so `bitwright.circuits.verilog_read` reads the same circuit back.
"""

from __future__ import annotations

import re

from bitwright.circuits.cells import KINDS
from bitwright.circuits.circuit import Circuit
from bitwright.errors import CircuitError

CELLS = {
    "MAJ3": (("a", "b", "c", "y"), "assign y = a & b | a & c | b & c;"),
    "MUX2": (("s", "a", "b", "y"), "assign y = s ? a : b;"),
    "HA": (("a", "b", "s", "co"), "assign s = a ^ b;\n  assign co = a & b;"),
    "FA": (
        ("a", "b", "c", "s", "co"),
        "assign s = a ^ b ^ c;\n  assign co = a & b | a & c | b & c;",
    ),
}
"""The modules that are written for cells that are no gate primitives: ports and body."""


def write_verilog(circuit: Circuit, name: str = "popcount", modules: bool = True) -> str:
    """Return a circuit as structural Verilog.

    Parameters
    ----------
    circuit
        The circuit.
    name
        The module's name.
    modules
        Whether the modules of `CELLS` that it uses follow; without them the synthesis flow must
        have its own.

    Returns
    -------
    text
        A module with input ``in`` and output ``out``: out[i] is the i-th output of the circuit.

    Raises
    ------
    CircuitError
        If the circuit has no output, or the name is no Verilog name.
    """
    if not circuit.outputs:
        raise CircuitError("the circuit has no output", "its value is constant: write no module")
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or name in CELLS:
        raise CircuitError(f"'{name}' is not a name for this module", "use letters, digits and _")
    lines = [
        _attributes(circuit),
        f"module {name} (",
        f"  input [{circuit.inputs - 1}:0] in,",
        f"  output [{len(circuit.outputs) - 1}:0] out",
        ");",
    ]
    for index, (cell, first) in enumerate(circuit.placed()):
        inputs = [_wire(circuit, wire) for wire in cell.inputs]
        outputs = [_wire(circuit, first + i) for i in range(KINDS[cell.kind].fan_out)]
        lines.append(f"  wire {', '.join(outputs)};")
        if cell.kind in CELLS:
            ports = CELLS[cell.kind][0]
            pins = ", ".join(
                f".{port}({net})" for port, net in zip(ports, inputs + outputs, strict=True)
            )
            lines.append(f"  {cell.kind} u{index} ({pins});")
        elif cell.kind.startswith("CONST"):
            lines.append(f"  assign {outputs[0]} = 1'b{cell.kind[-1]};")
        else:
            primitive = cell.kind.rstrip("23").lower()
            lines.append(f"  {primitive} u{index} ({', '.join(outputs + inputs)});")
    for i, output in enumerate(circuit.outputs):
        lines.append(f"  assign out[{i}] = {_wire(circuit, output.wire)};")
    lines.append("endmodule")
    if modules:
        lines += [_module(kind) for kind in CELLS if kind in circuit.counts]
    return "\n".join(lines) + "\n"


def _attributes(circuit: Circuit) -> str:
    weights = " ".join(str(output.weight) for output in circuit.outputs)
    pairs = [f'bitwright_weights = "{weights}"', f'bitwright_offset = "{circuit.offset}"']
    if circuit.divisor != 1:
        pairs.append(f'bitwright_divisor = "{circuit.divisor}"')
    if circuit.is_bit:
        pairs.append('bitwright_is_bit = "1"')
    return f"(* {', '.join(pairs)} *)"


def _wire(circuit: Circuit, wire: int) -> str:
    return f"in[{wire}]" if wire < circuit.inputs else f"w{wire}"


def _module(kind: str) -> str:
    ports, body = CELLS[kind]
    fan_in = KINDS[kind].fan_in
    listed = ", ".join(
        f"{'input' if i < fan_in else 'output'} {port}" for i, port in enumerate(ports)
    )
    return f"\nmodule {kind} ({listed});\n  {body}\nendmodule"
