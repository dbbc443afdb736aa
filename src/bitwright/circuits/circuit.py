"""`Circuit`: one popcount, gate by gate.

Requirements:

- Wires are numbered: the inputs are 0 .. inputs - 1, and each cell defines the next one or two.
  A cell reads only wires that were defined before it, so a circuit cannot hold a loop.
- The value is ``offset + sum(weight * wire)`` with integer weights: an approximate popcount with
  missing sum bits, a bias or negative weights is a circuit like any other.
- A circuit is immutable and small (1,152 inputs are about 1,150 cells), and is checked when made.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from bitwright.circuits.cells import KINDS
from bitwright.errors import CircuitError

_REPAIR = "number inputs first, then each cell's outputs, and read only what is already defined"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its kind (`bitwright.circuits.cells.KINDS`) and the wires that it reads."""

    kind: str
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """A wire that counts `weight` where it is 1."""

    wire: int
    weight: int


@dataclass(frozen=True)
class Circuit:
    """A gate-level popcount, exact or not.

    Parameters
    ----------
    inputs
        The number of input bits, at least 1.
    cells
        In an order in which each reads only what is defined before it. A cell defines one wire,
        or two (adders: the sum, then the carry).
    outputs
        The wires that count, each once.
    offset
        Added to the value.
    divisor
        The count of ones that the circuit stands for is ``value / divisor``; 1 unless its weights
        had to be scaled up to stay integers.
    is_bit
        Whether the value is a neuron's bit, 0 or 1, instead of a count.

    Raises
    ------
    CircuitError
        If one of these rules is broken; the message names the cell.
    """

    inputs: int
    cells: tuple[Cell, ...]
    outputs: tuple[Output, ...]
    offset: int = 0
    divisor: int = 1
    is_bit: bool = False

    def __post_init__(self) -> None:
        if self.inputs < 1:
            raise CircuitError(
                f"a circuit of {self.inputs} inputs counts nothing", "give it at least one"
            )
        wires = self.inputs
        for index, cell in enumerate(self.cells):
            kind = KINDS.get(cell.kind)
            if kind is None:
                known = ", ".join(KINDS)
                raise CircuitError(f"cell {index} is of kind '{cell.kind}'", f"known: {known}")
            if len(cell.inputs) != kind.fan_in:
                raise CircuitError(
                    f"cell {index} ({cell.kind}) has {len(cell.inputs)} inputs",
                    f"a {cell.kind} has {kind.fan_in}",
                )
            for wire in cell.inputs:
                if not 0 <= wire < wires:
                    raise CircuitError(
                        f"cell {index} ({cell.kind}) reads wire {wire}, and only 0..{wires - 1} "
                        "are defined before it",
                        _REPAIR,
                    )
            wires += kind.fan_out
        self._check_outputs(wires)

    def _check_outputs(self, wires: int) -> None:
        seen = set()
        for output in self.outputs:
            if not 0 <= output.wire < wires:
                raise CircuitError(
                    f"output wire {output.wire} does not exist, there are 0..{wires - 1}", _REPAIR
                )
            if output.wire in seen:
                raise CircuitError(f"wire {output.wire} is put out twice", "add up its weights")
            seen.add(output.wire)
        if self.divisor < 1:
            raise CircuitError(f"the divisor is {self.divisor}", "give a positive one")
        one = len(self.outputs) == 1 and self.outputs[0].weight == 1
        if self.is_bit and not (one and self.offset == 0 and self.divisor == 1):
            raise CircuitError(
                "a circuit whose value is a bit has other outputs than one wire of weight 1",
                "give it one wire of weight 1, offset 0 and divisor 1, or is_bit=False",
            )

    @cached_property
    def wires(self) -> int:
        """The number of wires, inputs included."""
        return self.inputs + sum(KINDS[cell.kind].fan_out for cell in self.cells)

    def placed(self) -> Iterator[tuple[Cell, int]]:
        """Yield each cell with the first wire that it defines."""
        wire = self.inputs
        for cell in self.cells:
            yield cell, wire
            wire += KINDS[cell.kind].fan_out

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many cells there are of each kind that occurs, in the order of `KINDS`."""
        found = Counter(cell.kind for cell in self.cells)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    @cached_property
    def depth(self) -> int:
        """The most cells on a way from an input to an output."""
        return self.delay()

    def delay(self, delays: Mapping[str, int] | None = None) -> int:
        """Return the greatest sum of cell delays from an input to an output.

        Parameters
        ----------
        delays
            The delay of each kind, in any unit; 1 for kinds that are not named.
        """
        arrival = [0] * self.wires
        for cell, first in self.placed():
            own = 1 if delays is None else delays.get(cell.kind, 1)
            time = own + max((arrival[wire] for wire in cell.inputs), default=0)
            for wire in range(first, first + KINDS[cell.kind].fan_out):
                arrival[wire] = time
        return max((arrival[output.wire] for output in self.outputs), default=0)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all that decides the circuit."""
        text = [f"{self.inputs} {self.offset} {self.divisor} {int(self.is_bit)}"]
        text += [f"{cell.kind} {' '.join(map(str, cell.inputs))}" for cell in self.cells]
        text += [f"out {output.wire} {output.weight}" for output in self.outputs]
        return hashlib.sha256("\n".join(text).encode()).hexdigest()

    def rewire(self, sources: Sequence[int], inputs: int | None = None) -> Circuit:
        """Return the circuit with input i read from input ``sources[i]``.

        Parameters
        ----------
        sources
            For each input of this circuit, the input of the new one that feeds it; no two the same.
        inputs
            The inputs of the new circuit, by default as many as now. It may have inputs that
            nothing reads.

        Raises
        ------
        CircuitError
            If `sources` are not as many different inputs of the new circuit.
        """
        count = self.inputs if inputs is None else inputs
        ordered = sorted(int(source) for source in sources)
        inside = bool(ordered) and ordered[0] >= 0 and ordered[-1] < count
        distinct = all(a < b for a, b in pairwise(ordered))
        if len(ordered) != self.inputs or not (inside and distinct):
            raise CircuitError(
                f"{len(ordered)} sources do not feed {self.inputs} inputs out of {count}",
                f"give {self.inputs} different numbers in 0..{count - 1}",
            )
        shift = count - self.inputs
        renamed = [int(s) for s in sources] + [w + shift for w in range(self.inputs, self.wires)]
        return replace(
            self,
            inputs=count,
            cells=tuple(
                Cell(cell.kind, tuple(renamed[wire] for wire in cell.inputs)) for cell in self.cells
            ),
            outputs=tuple(Output(renamed[output.wire], output.weight) for output in self.outputs),
        )

    def scale(self, factor: int, divisor: int = 1) -> Circuit:
        """Return the circuit with its value times `factor` and its divisor times `divisor`."""
        return replace(
            self,
            outputs=tuple(Output(output.wire, output.weight * factor) for output in self.outputs),
            offset=self.offset * factor,
            divisor=self.divisor * divisor,
        )
