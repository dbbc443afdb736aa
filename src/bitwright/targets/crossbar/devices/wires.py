"""Wires of an array: resistance and capacitance from geometry, by technology node.

Requirements:

- Source line and bit line run along a column: a cell adds its height to each. A word line runs
  along a row: a cell adds its width.
- Both rails of a column are wires of the same layer, so equal.
- Lengths are in units of the wire's width, as in the source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.crossbar.devices.provenance import Parameter, Provenance

_NEUROSIM = "DNN+NeuroSim V1.3, Param.cpp (github.com/neurosim/DNN_NeuroSim_V1.3)"
ROOM_KELVIN = 300.0


@dataclass(frozen=True)
class Wire:
    """A wire's cross-section and metal, at 300 K.

    Parameters
    ----------
    width_metre
        Its width, which is also the unit of the cells' sizes.
    aspect_ratio
        Thickness by width.
    resistivity_ohm_metre
        Of the metal in a wire this narrow: surfaces, grains and liner included.
    """

    width_metre: float
    aspect_ratio: float
    resistivity_ohm_metre: float

    def ohm_per_metre(self, temperature_kelvin: float = ROOM_KELVIN) -> float:
        """Return the resistance per length.

        Raises
        ------
        ConfigError
            If the temperature is not in 1 to 1000 K, or so low that the linear law ends.
        """
        factor = 1 + COPPER_PER_KELVIN * (temperature_kelvin - ROOM_KELVIN)
        if not (1 <= temperature_kelvin <= 1000 and factor > 0):
            least = math.ceil(ROOM_KELVIN - 1 / COPPER_PER_KELVIN)
            raise ConfigError(
                f"wires have no resistance model at {temperature_kelvin} K",
                f"give {least} to 1000 K",
            )
        section = self.width_metre**2 * self.aspect_ratio
        return self.resistivity_ohm_metre * factor / section


@dataclass(frozen=True)
class Pitch:
    """A cell's size, in units of the wire's width.

    Parameters
    ----------
    height
        Along a column: what a cell adds to source line and bit line.
    width
        Along a row: what it adds to a word line.
    """

    height: float
    width: float


NODES = {
    "7nm": Wire(18e-9, 2.0, 6.35e-8),
    "10nm": Wire(18e-9, 2.0, 6.35e-8),
    "14nm": Wire(25e-9, 2.0, 5.08e-8),
    "22nm": Wire(40e-9, 1.9, 4.03e-8),
    "45nm": Wire(80e-9, 1.7, 3.31e-8),
}
"""Wires in arrays, by technology node; the source has the same for 7 and 10 nm."""

PITCHES = {"sram8t": Pitch(10, 28 * 1.3), "reram1t1r": Pitch(4, 12), "linear": Pitch(4, 12)}
"""Cells, by technology; a linear cell stands for a 1T-1ReRAM one that obeys Ohm's law."""

COPPER_PER_KELVIN = 0.0039
"""Relative change of the resistivity."""

FARAD_PER_METRE = 0.2e-9
"""Of a wire in an array, to all that is around it."""


def wire_ohm(
    node: str, technology: str, temperature_kelvin: float = ROOM_KELVIN
) -> tuple[float, float]:
    """Return the resistances per cell of source line and bit line, in ohm.

    Parameters
    ----------
    node
        A key of `NODES`.
    technology
        A key of `PITCHES`, or ``ideal`` for no resistance.

    Raises
    ------
    UnknownNameError
        If there is no such node or technology.
    ConfigError
        If the temperature is out of range.
    """
    per_metre = _wire(node).ohm_per_metre(temperature_kelvin)
    if technology == "ideal":
        return 0.0, 0.0
    along = per_metre * cell_size(node, technology)[0]
    return along, along


def word_line_ohm(node: str, technology: str, temperature_kelvin: float = ROOM_KELVIN) -> float:
    """Return the resistance per cell of a word line, in ohm; see `wire_ohm`.

    It delays a word line; gates draw no current, so it drops no voltage.
    """
    return _wire(node).ohm_per_metre(temperature_kelvin) * cell_size(node, technology)[1]


def cell_size(node: str, technology: str) -> tuple[float, float]:
    """Return a cell's height (along a column) and width (along a row), in metre."""
    if technology not in PITCHES:
        raise UnknownNameError("cell technology", technology, PITCHES)
    pitch, width = PITCHES[technology], _wire(node).width_metre
    return pitch.height * width, pitch.width * width


def _wire(node: str) -> Wire:
    if node not in NODES:
        raise UnknownNameError("technology node", node, NODES)
    return NODES[node]


def _parameters() -> dict[str, Parameter]:
    found = {}
    for node, wire in NODES.items():
        source = f"{_NEUROSIM}: wire of the {node} node"
        found[f"wire.{node}.width"] = Parameter(wire.width_metre, "m", "published", source)
        found[f"wire.{node}.aspect_ratio"] = Parameter(wire.aspect_ratio, "1", "published", source)
        found[f"wire.{node}.resistivity"] = Parameter(
            wire.resistivity_ohm_metre, "ohm m", "published", source
        )
    widths: dict[str, tuple[Provenance, str]] = {
        "sram8t": (
            "assumed",
            f"{_NEUROSIM}: 28 for a 6T cell; the read port of an 8T cell makes it 30 % wider",
        ),
        "reram1t1r": ("published", f"{_NEUROSIM}: widthInFeatureSize1T1R"),
        "linear": ("assumed", "as 1T-1ReRAM, whose non-linearity it leaves out"),
    }
    heights: dict[str, tuple[Provenance, str]] = {
        "sram8t": ("published", f"{_NEUROSIM}: heightInFeatureSizeSRAM; a read port adds none"),
        "reram1t1r": ("published", f"{_NEUROSIM}: heightInFeatureSize1T1R"),
        "linear": ("assumed", "as 1T-1ReRAM, whose non-linearity it leaves out"),
    }
    for technology, pitch in PITCHES.items():
        found[f"cell.{technology}.height"] = Parameter(
            pitch.height, "wire widths", *heights[technology]
        )
        found[f"cell.{technology}.width"] = Parameter(
            pitch.width, "wire widths", *widths[technology]
        )
    found["wire.temperature_coefficient"] = Parameter(
        COPPER_PER_KELVIN,
        "1/K",
        "published",
        "J. H. Dellinger, The temperature coefficient of resistance of copper, Bulletin of the "
        "Bureau of Standards 7 (1911): 0.00393 at 20 degrees, for bulk copper; in narrow wires "
        "less, since scattering at surfaces does not depend on temperature; NeuroSim has 0.00451",
    )
    found["wire.capacitance"] = Parameter(
        FARAD_PER_METRE, "F/m", "published", "DNN+NeuroSim V1.3 and V1.4, SubArray.cpp: 0.2 fF/um"
    )
    return found


PARAMETERS = _parameters()
"""Every number of this module and where it comes from."""
