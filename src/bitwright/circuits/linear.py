"""What of a circuit is linear: adders keep weighted sums, so they can be taken out of the value.

With w on a full adder's sum and 2 w on its carry, ``w sum + 2 w carry = w (a + b + c)``. Going back
from the outputs, an exact tail of adders dissolves, and the value is an offset plus a weighted sum
of inputs and of those gates that really lose something.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from bitwright.circuits.cells import KINDS
from bitwright.circuits.circuit import Cell, Circuit


@dataclass(frozen=True)
class Linear:
    """``offset + sum(weight * wire)`` over `terms`, wire by wire; no weight is 0."""

    offset: int
    terms: Mapping[int, int]


@dataclass(frozen=True)
class Range:
    """Bounds on a value.

    Parameters
    ----------
    least, greatest
        No value is below or above.
    attained
        Whether both are known to occur; otherwise the bounds are by interval and may be wide.
    """

    least: int
    greatest: int
    attained: bool


class Structure:
    """A circuit's wires with what defines them.

    Attributes
    ----------
    cell
        For each wire the cell that defines it, None for an input.
    first
        For each wire the first wire of that cell; an input's own number.
    support
        For each wire the inputs that it depends on, as a bit mask.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.cell: list[Cell | None] = [None] * circuit.inputs
        self.first = list(range(circuit.inputs))
        self.support = [1 << wire for wire in range(circuit.inputs)]
        for cell, first in circuit.placed():
            mask = 0
            for wire in cell.inputs:
                mask |= self.support[wire]
            for _ in range(KINDS[cell.kind].fan_out):
                self.cell.append(cell)
                self.first.append(first)
                self.support.append(mask)

    def linearise(self, terms: Mapping[int, int], offset: int = 0) -> Linear:
        """Return the same weighted sum of wires with adders, inverters and constants taken out."""
        weights = dict(terms)
        waiting = [-wire for wire in weights]
        heapq.heapify(waiting)
        kept: dict[int, int] = {}

        def move(weight: int, wires: tuple[int, ...]) -> None:
            for wire in wires:
                if wire not in weights:
                    weights[wire] = 0
                    heapq.heappush(waiting, -wire)
                weights[wire] += weight

        while waiting:
            wire = -heapq.heappop(waiting)
            weight = weights.pop(wire, 0)
            cell, first = self.cell[wire], self.first[wire]
            if weight == 0:
                continue
            if cell is None:
                kept[wire] = weight
            elif cell.kind in ("HA", "FA") and weight == 2 * weights.get(first, 0) and wire > first:
                move(weights.pop(first), cell.inputs)
            elif cell.kind == "NOT":
                offset += weight
                move(-weight, cell.inputs)
            elif cell.kind == "CONST1":
                offset += weight
            elif cell.kind != "CONST0":
                kept[wire] = weight
        return Linear(offset, kept)


def linear_form(circuit: Circuit) -> Linear:
    """Return a circuit's value as a sum over inputs and gates that are not linear."""
    terms = {output.wire: output.weight for output in circuit.outputs if output.weight}
    return Structure(circuit).linearise(terms, circuit.offset)


def value_range(circuit: Circuit) -> Range:
    """Return the least and greatest value of a circuit, by interval over its linear form.

    They are known to be attained where the terms depend on different inputs and each is an input
    or a gate that no two of its own inputs' dependencies meet in: so for exact counts and levels of
    majorities, but in general not for netlists.
    """
    structure = Structure(circuit)
    terms = {output.wire: output.weight for output in circuit.outputs if output.weight}
    form = structure.linearise(terms, circuit.offset)
    least = form.offset + sum(weight for weight in form.terms.values() if weight < 0)
    greatest = form.offset + sum(weight for weight in form.terms.values() if weight > 0)
    free = _disjoint(structure, list(form.terms)) and all(
        _read_once(structure, wire) for wire in form.terms
    )
    return Range(least, greatest, free)


def _disjoint(structure: Structure, wires: list[int]) -> bool:
    seen = 0
    for wire in wires:
        if seen & structure.support[wire]:
            return False
        seen |= structure.support[wire]
    return True


def _read_once(structure: Structure, wire: int) -> bool:
    """Return whether a wire is a tree of gates over different inputs, so that it takes 0 and 1."""
    waiting = [wire]
    while waiting:
        cell = structure.cell[waiting.pop()]
        if cell is not None:
            if not cell.inputs or not _disjoint(structure, list(cell.inputs)):
                return False
            waiting.extend(cell.inputs)
    return True
