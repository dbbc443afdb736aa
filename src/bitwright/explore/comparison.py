"""Circuits side by side: each popcount exact and approximate, mapped by the same flow.

Requirements:

- The exact popcount of the same fan-in is always there, and ratios are to the one that the same
  flow mapped.
- A netlist is compared with its circuit before any number of it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bitwright import circuits
from bitwright.circuits import Circuit
from bitwright.eda import fpga
from bitwright.eda.implementation import (
    CHECKED,
    Implementation,
    energy_measurements,
    implement,
)
from bitwright.eda.logic import Bits
from bitwright.eda.mapping import Effort
from bitwright.eda.pdk import ChosenLibrary
from bitwright.eda.timing import Boundary
from bitwright.eda.vectors import random_vectors
from bitwright.explore.popcounts import EXACT, Popcount
from bitwright.records import Measurement

ADDERS, ABC = "adder cells", "abc"
"""How a circuit is mapped: adders and majority gates to cells that are such, or all by abc."""
Fpga = Literal["xc7", "ecp5"]

Progress = Callable[[int, int], None]
"""Called with (circuits done, circuits in all)."""


@dataclass(frozen=True)
class Settings:
    """How circuits are implemented and measured.

    Parameters
    ----------
    mappings
        How each is mapped: `ADDERS`, `ABC`, or both.
    effort, boundary, prove
        As `bitwright.eda.implementation.implement` takes them.
    vectors
        Operations that an energy is the mean of.
    checked
        Random vectors on which a netlist must equal its circuit.
    seed
        Of the random vectors, and of placing and routing.
    """

    mappings: tuple[str, ...] = (ADDERS,)
    effort: Effort = "area"
    boundary: Boundary | None = None
    prove: bool = False
    vectors: int = 1000
    checked: int = CHECKED
    seed: int = 0


@dataclass(frozen=True, eq=False)
class OnData:
    """Energies on what one layer sees on real images.

    Parameters
    ----------
    vectors
        How many, one after the other.
    ratios
        Each number over that of the exact popcount by the same mapping.
    """

    vectors: int
    measurements: tuple[Measurement, ...]
    ratios: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Row:
    """What came of one circuit of one popcount.

    Parameters
    ----------
    mapping
        `ADDERS`, `ABC`, or the FPGA.
    measurements
        Its numbers; energies are those of random vectors.
    on_data
        The energies on real inputs, for each layer that has such.
    cells
        How many there are of each cell.
    checked
        Random vectors on which the netlist equals its circuit.
    proved
        Whether yosys proved that it does so on all.
    verilog
        The mapped netlist; empty for FPGAs.
    versions
        The tools that made it.
    boundary
        What it is connected to; None for FPGAs.
    ratios
        Each number over that of the exact popcount by the same mapping.
    """

    popcount: Popcount
    circuit: str
    mapping: str
    measurements: tuple[Measurement, ...]
    on_data: Mapping[str, OnData]
    cells: Mapping[str, int]
    checked: int
    proved: bool
    verilog: str
    versions: Mapping[str, str]
    boundary: Boundary | None = None
    ratios: Mapping[str, float] = field(default_factory=dict)

    def measurement(self, metric: str, layer: str = "") -> Measurement:
        """Return a measurement by its name; of a layer's real inputs if one is named."""
        found = self.on_data[layer].measurements if layer else self.measurements
        return next(m for m in found if m.metric == metric)

    def value(self, metric: str, layer: str = "") -> float:
        """Return a number by its name; of a layer's real inputs if one is named."""
        return self.measurement(metric, layer).value

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        counted = self.popcount
        return {
            "inputs": counted.inputs,
            "shape": list(counted.shape) if counted.shape else None,
            "layers": list(counted.layers),
            "circuit": self.circuit,
            "digest": counted.circuits[self.circuit].digest,
            "mapping": self.mapping,
            "measurements": [m.to_json() for m in self.measurements],
            "ratios_to_exact": dict(self.ratios),
            "on_data": [
                {
                    "layer": name,
                    "vectors": found.vectors,
                    "measurements": [m.to_json() for m in found.measurements],
                    "ratios_to_exact": dict(found.ratios),
                }
                for name, found in self.on_data.items()
            ],
            "cells": dict(self.cells),
            "equal_to_circuit": {
                "random_vectors": self.checked,
                "data_vectors": sum(found.vectors for found in self.on_data.values()),
                "proved": self.proved,
            },
            "versions": dict(self.versions),
        }


def in_cells(
    popcounts: Sequence[Popcount],
    chosen: ChosenLibrary,
    settings: Settings = Settings(),
    progress: Progress | None = None,
) -> list[Row]:
    """Implement every circuit in standard cells.

    Raises
    ------
    CircuitError
        If a circuit cannot be implemented, or a netlist differs from its circuit.
    LibertyError
        If the library lacks what is needed.
    ToolError
        If a tool is missing or fails.
    """
    total = len(settings.mappings) * sum(len(one.circuits) for one in popcounts)
    rows: list[Row] = []
    for one in popcounts:
        sample = random_vectors(one.inputs, settings.vectors + 1, settings.seed)
        for mapping in settings.mappings:
            group = []
            for name, circuit in one.circuits.items():
                made = implement(
                    circuit,
                    chosen.library,
                    adders=mapping == ADDERS,
                    effort=settings.effort,
                    boundary=settings.boundary,
                    vectors=settings.checked,
                    seed=settings.seed,
                    prove=settings.prove,
                )
                group.append(_cells_row(one, name, mapping, made, sample, chosen.area_unit))
                if progress is not None:
                    progress(len(rows) + len(group), total)
            rows += _with_ratios(group)
    return rows


def _cells_row(
    one: Popcount, name: str, mapping: str, made: Implementation, sample: Bits, area_unit: str
) -> Row:
    library = made.library
    on_data = {
        layer: OnData(
            len(vectors), tuple(energy_measurements(made.energy(vectors), library, "_on_data"))
        )
        for layer, vectors in one.real.items()
    }
    energies = energy_measurements(made.energy(sample), library)
    versions = dict(made.mapped.versions)
    tool, _, version = made.delay.source.rpartition(" ")
    if tool == "OpenSTA":
        versions["sta"] = version
    return Row(
        one,
        name,
        mapping,
        (*made.measurements(area_unit), *energies),
        on_data,
        made.mapped.netlist.cell_counts,
        made.checked,
        made.proof is not None,
        made.mapped.verilog,
        versions,
        made.boundary,
    )


def in_fpga(
    popcounts: Sequence[Popcount],
    device: Fpga,
    settings: Settings = Settings(),
    progress: Progress | None = None,
) -> list[Row]:
    """Map every circuit to an FPGA: count look-up tables, and for ``ecp5`` place and route.

    Raises
    ------
    CircuitError
        If a circuit has no output, or a netlist differs from it.
    ToolError
        If a tool is missing or fails.
    """
    total = sum(len(one.circuits) for one in popcounts)
    rows: list[Row] = []
    for one in popcounts:
        sample = random_vectors(one.inputs, settings.checked, settings.seed)
        group = []
        for name, circuit in one.circuits.items():
            group.append(_fpga_row(one, name, circuit, device, sample, settings.seed))
            if progress is not None:
                progress(len(rows) + len(group), total)
        rows += _with_ratios(group)
    return rows


def _fpga_row(
    one: Popcount, name: str, circuit: Circuit, device: Fpga, sample: Bits, seed: int
) -> Row:
    if device == "xc7":
        counted = fpga.count_luts(circuits.write_verilog(circuit), top="popcount")
        netlist, versions = counted.netlist, counted.versions
        source = f"yosys {versions['yosys']}, synth_xilinx -family xc7"
        found = [Measurement("luts", counted.luts, "LUT", "synthesised", source)]
    else:
        routed = fpga.place_and_route(circuit, seed)
        netlist, versions = routed.netlist, routed.versions
        source = (
            f"yosys {versions['yosys']}, nextpnr-ecp5 {versions['nextpnr-ecp5']}, "
            f"{routed.device}, seed {seed}, shift register before, register behind"
        )
        found = [
            Measurement("luts", routed.luts, "LUT4", "synthesised", source),
            Measurement("flip_flops", routed.flip_flops, "flip-flop", "synthesised", source),
            Measurement("fmax", routed.fmax_mhz, "MHz", "synthesised", source),
        ]
    fpga.check_luts(netlist, circuit, sample)
    return Row(
        one, name, device, tuple(found), {}, netlist.counts, len(sample), False, "", versions
    )


def _with_ratios(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of one popcount and mapping with their ratios to the exact one."""
    exact = next(row for row in rows if row.circuit == EXACT)
    return [
        replace(
            row,
            ratios=_ratios(row.measurements, exact.measurements),
            on_data={
                layer: replace(
                    found, ratios=_ratios(found.measurements, exact.on_data[layer].measurements)
                )
                for layer, found in row.on_data.items()
            },
        )
        for row in rows
    ]


def _ratios(ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> dict[str, float]:
    base = {m.metric: m.value for m in theirs}
    return {m.metric: m.value / base[m.metric] for m in ours if base[m.metric]}
