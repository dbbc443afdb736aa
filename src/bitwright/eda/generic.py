"""The cells that circuits are written in: adders and the majority gate, next to plain gates.

Structural Verilog instantiates them by name; what they compute is stated here once, as a truth
table (bit i is the output where input j has bit j of i) and as Verilog.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GenericCell:
    """A cell of no library.

    Parameters
    ----------
    inputs, outputs
        Its ports.
    tables
        The truth table of each output.
    verilog
        The expression of each output.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tables: tuple[int, ...]
    verilog: tuple[str, ...]


_MAJORITY = "(a & b) | (c & (a | b))"

FULL_ADDER = GenericCell(
    "BW_FA", ("a", "b", "c"), ("s", "co"), (0b10010110, 0b11101000), ("a ^ b ^ c", _MAJORITY)
)
HALF_ADDER = GenericCell("BW_HA", ("a", "b"), ("s", "co"), (0b0110, 0b1000), ("a ^ b", "a & b"))
MAJORITY = GenericCell("BW_MAJ3", ("a", "b", "c"), ("y",), (0b11101000,), (_MAJORITY,))

GENERIC = {cell.name: cell for cell in (FULL_ADDER, HALF_ADDER, MAJORITY)}


def black_boxes() -> str:
    """Return the cells as Verilog modules without content."""
    parts = (f"(* blackbox *)\n{header(cell.name, cell)}endmodule\n" for cell in GENERIC.values())
    return "".join(parts)


def behaviour(suffix: str = "") -> str:
    """Return the cells as Verilog modules of plain gates, their names with a suffix."""
    parts = []
    for cell in GENERIC.values():
        parts.append(header(cell.name + suffix, cell))
        for port, expression in zip(cell.outputs, cell.verilog, strict=True):
            parts.append(f"  assign {port} = {expression};\n")
        parts.append("endmodule\n")
    return "".join(parts)


def header(name: str, cell: GenericCell) -> str:
    """Return the first line of a Verilog module with the ports of a cell."""
    ports = [f"input {port}" for port in cell.inputs] + [f"output {port}" for port in cell.outputs]
    return f"module {name}({', '.join(ports)});\n"
