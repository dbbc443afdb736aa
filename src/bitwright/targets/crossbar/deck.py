"""A tile as a circuit for ngspice, with the very weights and word lines, and what ngspice finds.

Requirements:

- The deck's equations are those of `...devices.cells`, written as behavioural sources; scales are
  worked out here, so the deck needs nothing but ngspice.
- Numbers have 17 digits, and the same tile gives the same text.
- Wires and ends of 0 ohm are no resistors: what they connect is one node.
- ``ln(1 + e^z)`` is written as ``max(z, 0) + ln(1 + e^-|z|)``, which does not overflow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from bitwright.eda.run import BuildPlan, Command, run_plan
from bitwright.errors import ConfigError, ToolError
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.solver.ladder import Ladder

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FILE = "tile.cir"
_OPTIONS = ".options reltol=1e-9 abstol=1e-18 vntol=1e-13 gmin=1e-20 itl1=1000 itl2=1000"
_CURRENT = re.compile(r"^i\(vsense(\d+)\)\s*=\s*(\S+)\s*$", re.MULTILINE | re.IGNORECASE)


def deck(
    ladder: Ladder,
    cell: Cell,
    weights: Array,
    active: Mask,
    columns: Sequence[int] | None = None,
    title: str = "a crossbar tile",
) -> str:
    """Return a tile's circuit, its operating point and the printing of its sense currents.

    Parameters
    ----------
    ladder, cell
        The wires and the cells.
    weights
        (rows, columns): what multiplies each cell's storing element.
    active
        (rows,): which word lines are on.
    columns
        Which columns to write; by default all.
    title
        The first line, which ngspice prints.

    Raises
    ------
    ConfigError
        If the tile has no such column.
    """
    if weights.shape[:1] != (ladder.rows,) or active.shape != (ladder.rows,):
        raise ValueError(f"weights are {weights.shape}, active {active.shape}: not {ladder.rows}")
    chosen = range(weights.shape[1]) if columns is None else columns
    for column in chosen:
        if not 0 <= column < weights.shape[1]:
            raise ConfigError(
                f"the tile has no column {column}", f"give 0 to {weights.shape[1] - 1}"
            )
    lines = [
        f"* {' '.join(title.split())}",
        f"* {ladder.rows} rows of cells '{cell.kind}', {int(active.sum())} word lines on; columns: "
        f"{_ranges(chosen)}",
        "* Units: volt, ampere, ohm. Nodes of column C at row R: sC_R on the source line, bC_R on "
        "the",
        "* bit line, xC_R between the two elements of a cell. i(vsenseC) is the column's current.",
        f"* source line: {ladder.source_ohm:.6g} ohm a row, fed at the {ladder.feed} end through "
        f"{ladder.driver_ohm:.6g} ohm",
        f"* bit line: {ladder.bit_ohm:.6g} ohm a row, sensed behind the last one through "
        f"{ladder.sink_ohm:.6g} ohm",
        *_equations(cell, ladder.read_volt),
        _OPTIONS,
        f"vread read 0 dc {_number(ladder.read_volt)}",
    ]
    for column in chosen:
        lines += _column(ladder, cell, column, weights[:, column], active)
    lines += [
        ".op",
        ".control",
        "set numdgt=15",
        "run",
        *(f"print i(vsense{column})" for column in chosen),
        "quit",
        ".endc",
        ".end",
    ]
    return "\n".join(lines) + "\n"


def read_currents(text: str) -> Array:
    """Return the columns' currents in ampere, in the columns' order, from what ngspice printed.

    Raises
    ------
    ToolError
        If it printed none.
    """
    found = {int(number): float(value) for number, value in _CURRENT.findall(text)}
    if not found:
        last = " / ".join(text.split("\n")[-4:]).strip()
        raise ToolError(
            f"ngspice found no operating point ({last})",
            "check the design's resistances and voltages",
        )
    return np.array([found[number] for number in sorted(found)])


def run(text: str) -> tuple[Array, str]:
    """Solve a deck: the columns' currents in ampere, and the version of ngspice.

    Raises
    ------
    ToolError
        If ngspice is missing, fails or finds no operating point.
    """
    done = run_plan(BuildPlan({FILE: text}, (Command("ngspice", ("-b", FILE)),), ()))
    return read_currents(done.logs[0]), done.versions["ngspice"]


def _number(value: float) -> str:
    return f"{value:.17g}"


def _ranges(columns: Iterable[int]) -> str:
    """Return numbers with runs joined: "0-3, 7"."""
    parts: list[list[int]] = []
    for column in columns:
        if parts and parts[-1][1] == column - 1:
            parts[-1][1] = column
        else:
            parts.append([column, column])
    return ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in parts) or "none"


def _equations(cell: Cell, read_volt: float) -> list[str]:
    """Return the functions of the cell's elements: `upper` and `lower` of (high, low, weight)."""
    if cell.kind == "linear":
        return []
    numbers = [_number(float(value)) for value in cell.numbers(read_volt)]
    pinch_off, half_inverse, specific, modulation = numbers[:4]
    lines = [
        "* EKV: charge(v) = ln(1 + exp((v_p - v) / (2 v_T)))^2",
        f".func place(v) {{({pinch_off} - (v)) * {half_inverse}}}",
        ".func softplus(z) {max(z, 0) + ln(1 + exp(-abs(z)))}",
        ".func charge(v) {pow(softplus(place(v)), 2)}",
        f".func modulated(v) {{1 + {modulation} * abs(v)}}",
        f".func fet(h, l) {{{specific} * (charge(l) - charge(h)) * modulated((h) - (l))}}",
    ]
    if cell.kind == "sram8t":
        return [
            *lines,
            ".func upper(h, l, w) {(w) * fet(h, l)}",
            ".func lower(h, l, w) {(w) * fet(h, l)}",
        ]
    scale, inverse_volt = numbers[4:]
    return [
        *lines,
        f".func upper(h, l, w) {{(w) * {scale} * sinh(((h) - (l)) * {inverse_volt})}}",
        ".func lower(h, l, w) {fet(h, l)}",
    ]


def _column(ladder: Ladder, cell: Cell, column: int, weights: Array, active: Mask) -> list[str]:
    """Return the elements of a column."""
    last = ladder.rows - 1
    feed = 0 if ladder.feed == "far" else last

    def source(row: int) -> str:
        if ladder.source_ohm > 0:
            at = row
        elif ladder.driver_ohm > 0:
            at = feed
        else:
            return "read"
        return "read" if at == feed and not ladder.driver_ohm else f"s{column}_{at}"

    def bit(row: int) -> str:
        at = row if ladder.bit_ohm > 0 else last
        return end if at == last and not ladder.sink_ohm else f"b{column}_{at}"

    end = f"e{column}"
    lines = [f"* column {column}"]
    if ladder.driver_ohm > 0:
        lines.append(f"rd{column} read {source(feed)} {_number(ladder.driver_ohm)}")
    if ladder.sink_ohm > 0:
        lines.append(f"rk{column} {bit(last)} {end} {_number(ladder.sink_ohm)}")
    lines.append(f"vsense{column} {end} 0 dc 0")
    for row in range(last):
        name = f"{column}_{row}"
        if ladder.source_ohm > 0:
            wire = _number(ladder.source_ohm)
            lines.append(f"rs{name} {source(row)} {source(row + 1)} {wire}")
        if ladder.bit_ohm > 0:
            lines.append(f"rb{name} {bit(row)} {bit(row + 1)} {_number(ladder.bit_ohm)}")
    for row in np.flatnonzero(weights > 0).tolist():
        name, s, b = f"{column}_{row}", source(row), bit(row)
        weight = _number(weights[row])
        if not active[row]:
            if cell.unselected_share > 0:
                lines.append(f"rl{name} {s} {b} {_number(cell.on_ohm / cell.unselected_share)}")
        elif cell.kind == "linear":
            lines.append(f"rc{name} {s} {b} {_number(cell.on_ohm / weights[row])}")
        else:
            x = f"x{name}"
            lines.append(f"bu{name} {s} {x} i=upper(v({s}), v({x}), {weight})")
            lines.append(f"bl{name} {x} {b} i=lower(v({x}), v({b}), {weight})")
    return lines
