"""What a design's popcounts cost beside exact ones: in cells of a library, or in gates.

Requirements:

- What would stop the mapping is told before anything slow begins: a missing tool, a bad library.
- A saving is that of an accelerator with one popcount for each layer: areas add up, energies are
  those of an image's operations. Only layers with a circuit are in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from bitwright.circuits import Circuit
from bitwright.eda import pdk
from bitwright.eda.circuit_costs import PopcountCost, count_gates, kept, map_to_cells
from bitwright.eda.tools import require
from bitwright.files import make_folder
from bitwright.ir import ops as o
from bitwright.native.convolution import Dot, dot_of
from bitwright.records import Measurement
from bitwright.targets.base import Progress
from bitwright.targets.majority.design import Design
from bitwright.targets.majority.networks import exact


def choose(liberty: str) -> pdk.ChosenLibrary | None:
    """Return the library that a setting names, None for none, once all is there to map with it.

    Raises
    ------
    LibertyError
        If there is no such library, or it is not sound.
    ToolError
        If yosys is missing.
    ConfigError
        If the folder where costs are kept cannot be made.
    """
    if not liberty:
        return None
    chosen = pdk.choose([liberty])
    require("yosys")
    make_folder(kept(), "set $XDG_CACHE_HOME to a folder that can be written")
    return chosen


def map_all(
    circuits: Mapping[str, Circuit], chosen: pdk.ChosenLibrary, progress: Progress | None = None
) -> dict[str, PopcountCost]:
    """Return the costs of layers' circuits, and of exact ones in their place, by their digests.

    Raises
    ------
    CircuitError, LibertyError, ToolError
        As `bitwright.eda.circuit_costs.map_to_cells` does.
    """
    both = [one for circuit in circuits.values() for one in (exact(circuit.inputs), circuit)]
    return map_to_cells(both, chosen, kept(), progress=progress)


def costs(design: Design) -> Iterator[Measurement]:
    """Yield area, delay and, in cells, energy of each layer's popcount, and what is saved in all.

    Without a library the area is of gate equivalents, whose energy would be the area again.
    """
    every: dict[str, tuple[PopcountCost, PopcountCost]] = {}
    for name, circuit in design.circuits.items():
        twin = exact(circuit.inputs)
        if design.costs:
            every[name] = design.costs[circuit.digest], design.costs[twin.digest]
        else:
            every[name] = count_gates(circuit), count_gates(twin)
    metrics = ("area", "delay", "energy") if design.costs else ("area", "delay")
    for metric in metrics:
        for name, both in every.items():
            for start, cost in zip(("popcount", "exact_popcount"), both, strict=True):
                yield replace(getattr(cost, metric), metric=f"{start}_{metric}/{name}")
    yield from _saved("area", every, dict.fromkeys(every, 1))
    if design.costs:
        yield from _saved("energy", every, {name: _dot(design, name).sums for name in every})


def _dot(design: Design, name: str) -> Dot:
    return dot_of(design.program, cast(o.Conv2d | o.Dense, design.program.definitions[name]))


def _saved(
    metric: str, every: Mapping[str, tuple[PopcountCost, PopcountCost]], weights: Mapping[str, int]
) -> Iterator[Measurement]:
    """Yield the share of a cost that the circuits save, if exact popcounts cost anything."""
    ours, theirs = (
        sum(weights[name] * getattr(both[k], metric).value for name, both in every.items())
        for k in (0, 1)
    )
    if theirs > 0:
        known: Measurement = getattr(next(iter(every.values()))[0], metric)
        yield Measurement(
            f"popcount_{metric}_saved", 1 - ours / theirs, "share", known.method, known.source
        )
