"""`Nets`: a flat netlist in the making, as readers of netlist files fill it.

Requirements: gates may come in any order, and nets may be read before they are driven. `circuit`
sorts the gates, keeps the order of the file where it is one already, and refuses what is no
circuit: a net with no driver or two, a loop.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from bitwright.circuits.cells import match
from bitwright.circuits.circuit import Cell, Circuit, Output
from bitwright.errors import CircuitError

MOST_NETS = 1 << 20
"""More than any popcount has: modules within modules can multiply without end."""


@dataclass(frozen=True)
class Place:
    """A line of a netlist file, for errors."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True, kw_only=True)
class Interface:
    """How a netlist is a popcount; what is None is found out.

    Parameters
    ----------
    top
        The module; by default the one that no other uses.
    inputs
        The input ports in the order of the circuit's inputs, each from its lowest bit up; by
        default as they are declared.
    output
        The output port; by default the only one.
    weights
        The weight of each bit of the output, from the lowest up; by default 2**i.
    offset
        Added to the value; by default 0.

    Notes
    -----
    Verilog that `bitwright.circuits.verilog` wrote says itself what its weights are.
    """

    top: str | None = None
    inputs: tuple[str, ...] | None = None
    output: str | None = None
    weights: tuple[int, ...] | None = None
    offset: int | None = None


@dataclass(frozen=True)
class _Gate:
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    place: Place


@dataclass
class Nets:
    """Nets, numbered as they come, and the gates that drive them."""

    names: list[str] = field(default_factory=list)
    _gates: list[_Gate] = field(default_factory=list)
    _driver: dict[int, _Gate] = field(default_factory=dict)
    _same: dict[int, tuple[int, Place]] = field(default_factory=dict)
    _inputs: dict[int, int] = field(default_factory=dict)
    _constants: dict[int, int] = field(default_factory=dict)

    def new(self, name: str = "") -> int:
        """Return a new net.

        Raises
        ------
        CircuitError
            If there are more than `MOST_NETS`.
        """
        if len(self.names) >= MOST_NETS:
            raise CircuitError(
                f"the netlist has more than {MOST_NETS} nets", "modules that use others multiply"
            )
        self.names.append(name)
        return len(self.names) - 1

    def input(self, net: int, place: Place) -> None:
        """Make a net the next input of the circuit."""
        self._claim(net, place)
        self._inputs[net] = len(self._inputs)

    def gate(
        self, kind: str, inputs: Sequence[int], place: Place, outputs: Sequence[int] = ()
    ) -> int:
        """Add a gate that drives `outputs`, or a new net; return the first net that it drives."""
        driven = tuple(outputs) or (self.new(),)
        gate = _Gate(kind, tuple(inputs), driven, place)
        for net in driven:
            self._claim(net, place)
            self._driver[net] = gate
        self._gates.append(gate)
        return driven[0]

    def constant(self, value: int, place: Place) -> int:
        """Return a net that is always 0, or always 1."""
        if value not in self._constants:
            self._constants[value] = self.gate(f"CONST{value}", (), place)
        return self._constants[value]

    def connect(self, net: int, source: int, place: Place) -> None:
        """Let a net be driven by another net."""
        self._claim(net, place)
        self._same[net] = (source, place)

    def table(self, inputs: Sequence[int], rows: int, place: Place) -> int:
        """Return a net that computes a truth table.

        Parameters
        ----------
        inputs
            The variables.
        rows
            An integer whose bit r is the value where input i is bit i of r.
        place
            Where the table stands.

        Notes
        -----
        Variables that do not matter are left out. A table of up to three variables that a kind of
        cell computes becomes that cell; others are split at their last variable (Shannon).
        """
        for i in reversed(range(len(inputs))):
            low, high = _cofactors(rows, len(inputs), i)
            if low == high:
                return self.table([*inputs[:i], *inputs[i + 1 :]], low, place)
        if not inputs:
            return self.constant(rows, place)
        if len(inputs) == 1 and rows == 0b10:
            return inputs[0]
        found = match(len(inputs), (rows,))
        if found is not None:
            return self.gate(found.kind, [inputs[i] for i in found.inputs], place)
        low, high = _cofactors(rows, len(inputs), len(inputs) - 1)
        rest = inputs[:-1]
        all_rows = (1 << (1 << len(rest))) - 1
        if low == high ^ all_rows:
            return self.gate("XOR2", (inputs[-1], self.table(rest, low, place)), place)
        if low == 0:
            return self.gate("AND2", (inputs[-1], self.table(rest, high, place)), place)
        if high == all_rows:
            return self.gate("OR2", (inputs[-1], self.table(rest, low, place)), place)
        branches = (self.table(rest, high, place), self.table(rest, low, place))
        return self.gate("MUX2", (inputs[-1], *branches), place)

    def circuit(self, outputs: Sequence[int], interface: Interface, place: Place) -> Circuit:
        """Return the circuit whose outputs are these nets.

        Parameters
        ----------
        outputs
            The nets, the lowest bit first.
        interface
            What they weigh.
        place
            Where they are declared, for errors.

        Raises
        ------
        CircuitError
            If a net that matters has no driver, gates form a loop, or the weights do not fit.
        """
        wires = dict(self._inputs)
        cells = []
        free = len(wires)
        for gate in self._sorted():
            cells.append(Cell(gate.kind, tuple(wires[self._root(net)] for net in gate.inputs)))
            for net in gate.outputs:
                wires[net] = free
                free += 1
        weights = interface.weights or tuple(1 << i for i in range(len(outputs)))
        if len(weights) != len(outputs):
            raise CircuitError(
                f"{place}: {len(weights)} weights do not fit {len(outputs)} output bits",
                "give one for each bit, the lowest first",
            )
        total: dict[int, int] = {}
        for net, weight in zip(outputs, weights, strict=True):
            wire = wires[self._root(net, place)]
            total[wire] = total.get(wire, 0) + weight
        return Circuit(
            len(self._inputs),
            tuple(cells),
            tuple(Output(wire, weight) for wire, weight in total.items()),
            interface.offset or 0,
        )

    def _claim(self, net: int, place: Place) -> None:
        if net in self._driver or net in self._same or net in self._inputs:
            raise CircuitError(
                f"{place}: net '{self.names[net]}' has two drivers", "leave one of them"
            )

    def _root(self, net: int, reader: Place | None = None) -> int:
        """Return the net that drives a net through plain connections."""
        passed, place = [net], reader
        while net in self._same:
            net, place = self._same[net]
            if net in passed:
                raise CircuitError(
                    f"{place}: net '{self.names[net]}' drives itself", "break the loop"
                )
            passed.append(net)
        if net not in self._driver and net not in self._inputs:
            where = f"{place}: " if place is not None else ""
            raise CircuitError(
                f"{where}net '{self.names[net]}' has no driver", "drive it, or tie it to a constant"
            )
        return net

    def _sorted(self) -> list[_Gate]:
        """Return the gates in an order in which each reads only what is driven before it."""
        readers: dict[int, list[int]] = {}
        missing = []
        for index, gate in enumerate(self._gates):
            sources = {self._root(net, gate.place) for net in gate.inputs}
            driven = [net for net in sources if net in self._driver]
            missing.append(len(driven))
            for net in driven:
                readers.setdefault(net, []).append(index)
        ready = [index for index, count in enumerate(missing) if count == 0]
        order = []
        while ready:
            index = heapq.heappop(ready)
            order.append(self._gates[index])
            for net in self._gates[index].outputs:
                for reader in readers.get(net, ()):
                    missing[reader] -= 1
                    if missing[reader] == 0:
                        heapq.heappush(ready, reader)
        if len(order) < len(self._gates):
            self._refuse_loop({index for index, count in enumerate(missing) if count > 0})
        return order

    def _refuse_loop(self, stuck: set[int]) -> None:
        """Raise an error that names the gates of a loop among gates that wait for each other."""
        driver = {net: i for i in stuck for net in self._gates[i].outputs}
        walk = [min(stuck)]
        while len(set(walk)) == len(walk):
            sources = [self._root(net) for net in self._gates[walk[-1]].inputs]
            walk.append(next(driver[net] for net in sources if net in driver))
        loop = [self._gates[index] for index in walk[walk.index(walk[-1]) + 1 :]]
        inside = {net for gate in loop for net in gate.outputs}
        inside |= {net for net in self._same if self._root(net) in inside}
        names = ", ".join(f"'{self.names[net]}'" for net in sorted(inside) if self.names[net])
        first = min((gate.place for gate in loop), key=lambda place: place.line)
        raise CircuitError(
            f"{first}: a loop goes through the nets {names}",
            "a popcount is combinational: break the loop",
        )


def _cofactors(rows: int, variables: int, variable: int) -> tuple[int, int]:
    """Return a truth table with one variable set to 0, and to 1."""
    halves = [0, 0]
    found = [0, 0]
    for row in range(1 << variables):
        side = row >> variable & 1
        halves[side] |= (rows >> row & 1) << found[side]
        found[side] += 1
    return halves[0], halves[1]
