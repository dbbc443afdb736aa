"""`prune`: take out what no output needs.

An adder of which one output is needed becomes the gate that computes it: this is how dropped sum
bits save anything, and how a full adder becomes a majority gate. The value stays what it was.
"""

from __future__ import annotations

from dataclasses import replace

from bitwright.circuits.cells import KINDS
from bitwright.circuits.circuit import Cell, Circuit, Output

HALVES = {"HA": ("XOR2", "AND2"), "FA": ("XOR3", "MAJ3")}
"""What computes the sum, and what the carry, of each adder."""


def prune(circuit: Circuit) -> Circuit:
    """Return the circuit without the cells, and halves of adders, that nothing needs.

    Outputs of weight 0 go too. The order of cells and the inputs stay.
    """
    outputs = [output for output in circuit.outputs if output.weight]
    needed = bytearray(circuit.wires)
    for output in outputs:
        needed[output.wire] = 1
    placed = list(circuit.placed())
    for cell, first in reversed(placed):
        if any(needed[first : first + KINDS[cell.kind].fan_out]):
            for wire in cell.inputs:
                needed[wire] = 1
    renamed = list(range(circuit.inputs)) + [-1] * (circuit.wires - circuit.inputs)
    cells = []
    free = circuit.inputs
    for cell, first in placed:
        own = range(first, first + KINDS[cell.kind].fan_out)
        alive = [wire for wire in own if needed[wire]]
        if not alive:
            continue
        kind = cell.kind if len(alive) == len(own) else HALVES[cell.kind][alive[0] - first]
        cells.append(Cell(kind, tuple(renamed[wire] for wire in cell.inputs)))
        for wire in alive:
            renamed[wire] = free
            free += 1
    return replace(
        circuit,
        cells=tuple(cells),
        outputs=tuple(Output(renamed[output.wire], output.weight) for output in outputs),
    )
