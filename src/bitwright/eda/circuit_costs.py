"""What one popcount costs: mapped to a cell library, or counted in gate equivalents.

Requirements:

- The popcount alone: XNORs before it and the comparison behind it are not in it.
- A circuit that was mapped is not mapped again: each has a file of its own, written whole or not at
  all, whose name is a digest of all that decides its numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from bitwright.circuits import Circuit
from bitwright.data.locate import cache_root
from bitwright.eda.implementation import CHECKED, energy_measurements, implement
from bitwright.eda.pdk import ChosenLibrary
from bitwright.eda.timing import typical_boundary
from bitwright.eda.tools import is_there, require
from bitwright.eda.vectors import random_vectors
from bitwright.files import digest_of, make_folder, write_atomically
from bitwright.records import Measurement

Progress = Callable[[int, int], None]
"""Called with (circuits done, circuits in all)."""

TRANSISTORS = {
    "CONST0": 0,
    "CONST1": 0,
    "NOT": 2,
    "NAND2": 4,
    "NOR2": 4,
    "NAND3": 6,
    "NOR3": 6,
    "AND2": 6,
    "OR2": 6,
    "AND3": 8,
    "OR3": 8,
    "XOR2": 10,
    "XNOR2": 10,
    "XOR3": 20,
    "XNOR3": 20,
    "MUX2": 12,
    "MAJ3": 12,
    "HA": 16,
    "FA": 28,
}
"""Transistors of each kind of cell in static CMOS.

A full adder is the mirror adder, a majority gate its carry half with the inverter, a half adder an
XOR and an AND (N. Weste, D. Harris, CMOS VLSI Design, chapter 11).
"""
LEVELS = {"CONST0": 0, "CONST1": 0, "FA": 2, "XOR3": 2, "XNOR3": 2}
"""Gate levels of cells that have not one."""
MODEL = (
    "transistors of static CMOS cells / 4, without wires: full adder 7, half adder 4, majority 3, "
    "XOR 2.5"
)


@dataclass(frozen=True)
class PopcountCost:
    """Area, delay, and the energy of one operation, of one popcount."""

    area: Measurement
    delay: Measurement
    energy: Measurement

    def to_json(self) -> dict[str, Any]:
        """Return the cost as JSON-ready data."""
        return {m.metric: m.to_json() for m in (self.area, self.delay, self.energy)}


def kept() -> Path:
    """Return the folder of costs in the user's cache."""
    return cache_root() / "explore" / "circuits"


def count_gates(circuit: Circuit) -> PopcountCost:
    """Return a cost that needs no tool: gate equivalents (a NAND2 is one) and gate levels.

    The energy is that every gate equivalent is used once an operation: it is the area again.
    """
    gates = sum(TRANSISTORS[kind] * count for kind, count in circuit.counts.items()) / 4
    levels = circuit.delay(LEVELS)
    return PopcountCost(
        Measurement("area", gates, "GE", "estimated", MODEL),
        Measurement(
            "delay", levels, "level", "estimated", "longest way in gates; a full adder counts two"
        ),
        Measurement("energy", gates, "GE/op", "estimated", f"each gate once; {MODEL}"),
    )


def map_to_cells(
    circuits: Sequence[Circuit],
    chosen: ChosenLibrary,
    folder: Path,
    *,
    vectors: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, PopcountCost]:
    """Map circuits to the cells of a library, those that are not in a folder yet.

    Parameters
    ----------
    folder
        Where costs are kept; made if it is not there.
    vectors
        Operations on random bits that an energy is the mean of.
    seed
        Of the random bits.

    Returns
    -------
    dict
        By the circuits' digests.

    Raises
    ------
    ConfigError
        If the folder cannot be made.
    CircuitError, LibertyError, ToolError
        As `bitwright.eda.implementation.implement` does.
    """
    boundary = typical_boundary(chosen.library)
    tools = {"yosys": require("yosys").version}
    if is_there("sta"):
        tools["sta"] = require("sta").version
    make_folder(folder, "give a folder that can be written")
    distinct = list({circuit.digest: circuit for circuit in circuits}.values())
    costs: dict[str, PopcountCost] = {}
    for circuit in distinct:
        decides = {
            "bitwright": metadata.version("bitwright"),
            "tools": tools,
            "circuit": circuit.digest,
            "library": chosen.library.digest,
            "area_unit": chosen.area_unit,
            "boundary": asdict(boundary),
            "vectors": vectors,
            "checked": CHECKED,
            "seed": seed,
        }
        file = folder / f"{digest_of(decides)}.json"
        cost = _read(file)
        if cost is None:
            made = implement(circuit, chosen.library, boundary=boundary, seed=seed)
            energy = made.energy(random_vectors(circuit.inputs, vectors + 1, seed))
            measured = {
                m.metric: m
                for m in (
                    *made.measurements(chosen.area_unit),
                    *energy_measurements(energy, chosen.library),
                )
            }
            cost = PopcountCost(measured["area"], measured["delay"], measured["energy"])
            write_atomically(file, json.dumps(asdict(cost)).encode())
        costs[circuit.digest] = cost
        if progress is not None:
            progress(len(costs), len(distinct))
    return costs


def _read(file: Path) -> PopcountCost | None:
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        cost = PopcountCost(**{name: Measurement(**given) for name, given in fields.items()})
        numbers = [float(m.value) for m in (cost.area, cost.delay, cost.energy)]
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return cost if all(map(math.isfinite, numbers)) else None
