"""`Builder`: puts a circuit together cell by cell; what all generators use."""

from __future__ import annotations

from collections.abc import Iterable

from bitwright.circuits.cells import KINDS
from bitwright.circuits.circuit import Cell, Circuit, Output
from bitwright.errors import CircuitError


class Builder:
    """A circuit in the making.

    Parameters
    ----------
    inputs
        The number of input bits; they are wires 0 .. inputs - 1.

    Attributes
    ----------
    level
        For each wire, the most cells on a way to it from an input.

    Raises
    ------
    CircuitError
        If there is not at least one input.
    """

    def __init__(self, inputs: int) -> None:
        if inputs < 1:
            raise CircuitError(
                f"a popcount of {inputs} inputs counts nothing", "give a fan-in of at least 1"
            )
        self.inputs = inputs
        self.cells: list[Cell] = []
        self.level = [0] * inputs

    def add(self, kind: str, *inputs: int) -> tuple[int, ...]:
        """Add a cell; return the wires that it defines."""
        self.cells.append(Cell(kind, inputs))
        level = 1 + max((self.level[wire] for wire in inputs), default=0)
        first = len(self.level)
        self.level += [level] * KINDS[kind].fan_out
        return tuple(range(first, len(self.level)))

    def gate(self, kind: str, *inputs: int) -> int:
        """Add a cell of one output; return its wire."""
        (wire,) = self.add(kind, *inputs)
        return wire

    def adder(self, kind: str, *inputs: int) -> tuple[int, int]:
        """Add a half or full adder; return its sum and its carry."""
        total, carry = self.add(kind, *inputs)
        return total, carry

    def finish(
        self, outputs: Iterable[tuple[int, int]], offset: int = 0, is_bit: bool = False
    ) -> Circuit:
        """Return the circuit whose outputs are these pairs of wire and weight."""
        return Circuit(
            self.inputs,
            tuple(self.cells),
            tuple(Output(wire, weight) for wire, weight in outputs),
            offset,
            is_bit=is_bit,
        )


def extend(circuit: Circuit) -> Builder:
    """Return a builder that holds a circuit's cells, to add more."""
    builder = Builder(circuit.inputs)
    for cell in circuit.cells:
        builder.add(cell.kind, *cell.inputs)
    return builder
