"""Bit-parallel simulation of a design in look-up tables, to check it against its circuit.

Requirements:

- What each primitive computes is stated here, from the vendors' guides (Xilinx UG953, Lattice
  FPGA-TN-02202), and not taken from the tool that placed it.
- Flip-flops are cut: their outputs are given, their next states are asked for. Tools put logic in
  front of a register into its synchronous reset, so that counts too.
- A design with a primitive that is not known here is not simulated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bitwright.eda.logic import Bits, Words, pack, unpack
from bitwright.eda.order import sort_cells
from bitwright.errors import ToolError

Net = int | str
"""A net's number, a constant ("0", "1", "x"), or the next state of a flip-flop."""

_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_TABLE = re.compile(r"LUT[1-6]")
_CHOICES = {
    "MUXF7": ("S", "I1", "I0", "O"),
    "MUXF8": ("S", "I1", "I0", "O"),
    "MUXF9": ("S", "I1", "I0", "O"),
    "PFUMX": ("C0", "ALUT", "BLUT", "Z"),
    "L6MUX21": ("SD", "D1", "D0", "Z"),
}
"""Multiplexers: select, the input that 1 selects, the other, the output."""
_INVERTER = "INV"
_FLIP_FLOP = "TRELLIS_FF"
_ALWAYS = "1"
"""The parameter CEMUX of a flip-flop that takes its input in every cycle."""


@dataclass(frozen=True)
class Cell:
    """One primitive: the nets of its inputs, its output, and the parameter of a table."""

    kind: str
    inputs: tuple[Net, ...]
    output: Net
    table: str = ""


@dataclass(frozen=True)
class LutNetlist:
    """A mapped design.

    Parameters
    ----------
    ports
        The nets of each port, the lowest bit first.
    cells
        Its combinational primitives, each behind those that drive it.
    registers
        For the output of each flip-flop its next state.
    counts
        How many there are of each primitive.
    unknown
        The first primitive that is not known here; empty if there is none.
    """

    ports: Mapping[str, tuple[Net, ...]]
    cells: tuple[Cell, ...]
    registers: Mapping[Net, Net]
    counts: Mapping[str, int]
    unknown: str = ""

    def simulate(self, given: Sequence[Net], bits: Bits, asked: Sequence[Net]) -> Bits:
        """Return the values of nets, of shape (vectors, asked).

        Parameters
        ----------
        given
            Nets that are set: inputs, and outputs of flip-flops.
        bits
            Their values, of shape (vectors, given).

        Raises
        ------
        ToolError
            If a primitive is not known here, or a net that matters is neither driven nor given.
        """
        if self.unknown:
            raise ToolError(
                f"the mapped design has the primitive {self.unknown}, which cannot be checked",
                "give a circuit of gates and adders without storage",
            )
        words = pack(bits)
        size = words.shape[1]
        values: dict[Net, Words] = {"0": np.zeros(size, np.uint64), "1": np.full(size, _ONES)}
        values["x"] = values["0"]
        values |= {net: word for net, word in zip(given, words, strict=True) if _is_wire(net)}
        try:
            for cell in self._cone(asked):
                values[cell.output] = _evaluate(cell, [values[net] for net in cell.inputs])
            return unpack(np.stack([values[net] for net in asked]), len(bits))
        except KeyError as error:
            raise ToolError(
                f"the mapped design reads net {error} that nothing drives",
                "report this: it cannot be checked",
            ) from error

    def shift_register(self, source: Net) -> tuple[Net, ...]:
        """Return the outputs of the flip-flops through which a net moves, the first one first.

        Where several take over the same net, one that drives no port goes on.
        """
        ports = {net for bits in self.ports.values() for net in bits}
        states = {state: net for net, state in self.registers.items()}
        takers: dict[Net, Net] = {}
        for cell in self.cells:
            if cell.kind == _FLIP_FLOP and cell.inputs[0] in ("0", "1"):
                reset, one, zero = cell.inputs
                data, output = one if reset == "1" else zero, states[cell.output]
                if data not in takers or takers[data] in ports:
                    takers[data] = output
        chain = []
        while source in takers:
            source = takers.pop(source)
            chain.append(source)
        return tuple(chain)

    def _cone(self, asked: Sequence[Net]) -> list[Cell]:
        """Return the primitives that nets depend on, in order."""
        needed, cone = set(asked), []
        for cell in reversed(self.cells):
            if cell.output in needed:
                needed.update(cell.inputs)
                cone.append(cell)
        return cone[::-1]


def read_luts(text: str) -> LutNetlist:
    """Read what yosys's ``write_json`` wrote of a design mapped to look-up tables.

    Raises
    ------
    CircuitError
        If it has a loop.
    """
    modules = json.loads(text)["modules"].values()
    (module,) = (module for module in modules if "top" in module["attributes"])
    cells: list[Cell] = []
    registers: dict[Net, Net] = {}
    counts: dict[str, int] = {}
    unknown = ""
    for cell in module["cells"].values():
        kind = cell["type"]
        counts[kind] = counts.get(kind, 0) + 1
        if kind == _FLIP_FLOP and cell["parameters"]["CEMUX"].strip() == _ALWAYS:
            cells.append(_next_state(cell))
            registers[cell["connections"]["Q"][0]] = cells[-1].output
        elif kind in _CHOICES or kind == _INVERTER or _TABLE.fullmatch(kind):
            cells.append(_cell(cell))
        else:
            unknown = unknown or kind
    order = sort_cells(
        "the mapped design",
        [str(cell.output) for cell in cells],
        [cell.inputs for cell in cells],
        [(cell.output,) for cell in cells],
    )
    return LutNetlist(
        {name: tuple(port["bits"]) for name, port in module["ports"].items()},
        tuple(cells[index] for index in order),
        registers,
        dict(sorted(counts.items())),
        unknown,
    )


def _cell(cell: Mapping[str, Any]) -> Cell:
    kind, pins = cell["type"], cell["connections"]
    if kind in _CHOICES:
        select, one, zero, output = (pins[pin][0] for pin in _CHOICES[kind])
        return Cell(kind, (select, one, zero), output)
    if kind == _INVERTER:
        return Cell(kind, (pins["I"][0],), pins["O"][0])
    lattice = "Z" in pins
    names = list("ABCD") if lattice else [f"I{i}" for i in range(int(kind[-1]))]
    inputs = tuple(pins[pin][0] for pin in names)
    return Cell("LUT", inputs, pins["Z" if lattice else "O"][0], cell["parameters"]["INIT"])


def _next_state(cell: Mapping[str, Any]) -> Cell:
    """Return what a flip-flop takes over at the clock: a multiplexer of its reset."""
    pins, parameters = cell["connections"], cell["parameters"]
    data, reset = pins["DI"][0], pins.get("LSR", ("0",))[0]
    value = "1" if parameters.get("REGSET", "RESET") == "SET" else "0"
    choices = (data, value) if parameters.get("LSRMUX", "LSR") == "INV" else (value, data)
    return Cell(_FLIP_FLOP, (reset, *choices), f"next {pins['Q'][0]}")


def _is_wire(net: Net) -> bool:
    return not isinstance(net, str)


def _evaluate(cell: Cell, inputs: list[Words]) -> Words:
    if cell.kind == "LUT":
        return _look_up(cell.table, inputs)
    if cell.kind == _INVERTER:
        return np.asarray(~inputs[0])
    select, one, zero = inputs
    return np.asarray(select & one | ~select & zero)


def _look_up(table: str, inputs: Sequence[Words]) -> Words:
    """Return the output of a table of at least one input; its text has the last row first."""
    *rest, last = inputs
    high, low = table[: len(table) // 2], table[len(table) // 2 :]
    if rest:
        if high == low:
            return _look_up(low, rest)
        return np.asarray(last & _look_up(high, rest) | ~last & _look_up(low, rest))
    one, zero = (_ONES if int(bit) else np.uint64(0) for bit in (high, low))
    return np.asarray(last & one | ~last & zero)
