"""Designs that give each layer a circuit of its own, and what they cost.

Requirements:

- Costs are of the searched layers' popcounts only: energy is popcounts an image times the energy of
  one; area is one popcount for each layer, as in an accelerator that has one a layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bitwright.circuits import Circuit, make
from bitwright.eda.circuit_costs import PopcountCost
from bitwright.errors import CircuitError
from bitwright.explore.layers import popcount_layers
from bitwright.explore.popcounts import EXACT
from bitwright.ir.program import Program
from bitwright.targets import get_target

Choice = tuple[str, ...]
"""The circuit of each layer, by its spec."""

MILLION = 1_000_000
UNITS = {"fJ/op": "nJ/image", "GE/op": "MGE/image"}
"""What a million times the energy of an operation is in, of one image."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer that is searched.

    Parameters
    ----------
    popcounts
        How many there are in one image: windows times neurons.
    circuits
        Those that it may have, by spec; `EXACT` is the first.
    """

    name: str
    shape: tuple[int, int, int]
    popcounts: int
    circuits: Mapping[str, Circuit]
    costs: Mapping[str, PopcountCost] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        """The fan-in of the popcount."""
        rows, columns, channels = self.shape
        return rows * columns * channels

    def energy(self, spec: str) -> float:
        """Return the energy of one image, in a unit of `UNITS`."""
        return self.popcounts * float(self.costs[spec].energy.value) / MILLION

    def cost(self, spec: str, objective: str) -> float:
        """Return a circuit's area if that is the objective, else its energy of one image."""
        if objective == "area":
            return float(self.costs[spec].area.value)
        return self.energy(spec)

    def is_slower(self, spec: str) -> bool:
        """Return whether a circuit is slower than the exact popcount."""
        return self.costs[spec].delay.value > self.costs[EXACT].delay.value


def units(layers: Sequence[Layer]) -> dict[str, str]:
    """Return the units of energy, area and delay."""
    cost = layers[0].costs[EXACT]
    return {
        "energy": UNITS[cost.energy.unit],
        "area": cost.area.unit,
        "delay": cost.delay.unit,
    }


def find_layers(program: Program, names: Sequence[str], specs: Sequence[str]) -> tuple[Layer, ...]:
    """Return the layers that are searched, with the circuits that each may have.

    Parameters
    ----------
    names
        Of their dot products; all that the target ``majority`` can give circuits if none is named.
    specs
        As `bitwright.circuits.parse` reads them. A circuit that cannot have a layer's fan-in, such
        as a netlist of another one, is not a choice there.

    Raises
    ------
    ConfigError
        If a spec or a name is not valid, or the network has no such layer.
    CircuitError
        If a circuit fits no layer.
    """
    target = get_target("majority")
    ideal = target.configure({"circuit": EXACT, "layers": list(names), "thresholds": "unchanged"})
    wanted = target.lower(program, ideal).circuits
    found = [layer for layer in popcount_layers(program) if layer.name in wanted]
    circuits: dict[str, dict[str, Circuit]] = {layer.name: {} for layer in found}
    for spec in dict.fromkeys((EXACT, *specs)):
        refused: CircuitError | None = None
        for layer in found:
            try:
                circuits[layer.name][spec] = make(spec, layer.inputs, layer.shape)
            except CircuitError as error:
                refused = error
        if refused is not None and not any(spec in made for made in circuits.values()):
            raise refused
    return tuple(
        Layer(layer.name, layer.shape, layer.dot.sums, circuits[layer.name]) for layer in found
    )


def design_settings(
    base: Mapping[str, Any], layers: Sequence[Layer], choice: Choice
) -> dict[str, Any]:
    """Return the settings of the target ``majority`` for a design.

    Layers that count exactly are not named, so that the native engine may run them. The exact
    design needs no calibration.
    """
    given = {layer.name: spec for layer, spec in zip(layers, choice, strict=True) if spec != EXACT}
    if not given:
        return {"circuit": EXACT, "thresholds": "unchanged"}
    return {**base, "circuit": EXACT, "circuits": given, "layers": list(given)}
