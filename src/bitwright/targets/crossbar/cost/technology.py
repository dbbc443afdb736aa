"""What an array is made of, for its cost: cells, wires, gates on word lines, and their drivers.

Requirements:

- Capacitances are those of wires plus what each cell hangs on them: a gate on the word line, a
  junction on each rail.
- Digital pieces are mapped to a 7 nm library; at other nodes they are scaled by rule, since no
  library of each is at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.crossbar.devices import presets, wires
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.devices.provenance import Parameter
from bitwright.targets.crossbar.solver.ladder import Ladder

_NEUROSIM = "DNN+NeuroSim V1.4, Technology.cpp and formula.cpp"

GATE_FARAD = {
    "7nm": 0.100497e-15,
    "10nm": 0.097549e-15,
    "14nm": 0.103816e-15,
    "22nm": 0.03146e-15,
    "45nm": 0.08805e-15,
}
"""A gate of the smallest transistor, by technology node."""

DRAIN_FARAD = {
    "7nm": 0.02224e-15,
    "10nm": 0.02668e-15,
    "14nm": 0.02499e-15,
    "22nm": 0.01573e-15,
    "45nm": 0.04403e-15,
}
"""A drain of it."""

LIBRARY_NODE = "7nm"
"""What the digital pieces that ship are mapped to."""


@dataclass(frozen=True, kw_only=True)
class Technology:
    """An array's cells and wires.

    Parameters
    ----------
    node
        A technology node, "7nm".
    cell_height_m, cell_width_m
        What a cell adds to a column, and to a row.
    wire_farad_per_m
        Of all wires.
    gate_farad, drain_farad
        What a cell hangs on a word line, and on each rail.
    word_line_ohm, source_ohm, bit_ohm
        Resistance that a cell adds to each wire.
    driver_ohm, sink_ohm
        At the ends of the rails.
    word_line_volt, read_volt
        Swing of a word line, and voltage along a column.
    on_ohm
        Of a cell that is on.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    node: str = LIBRARY_NODE
    cell_height_m: float
    cell_width_m: float
    wire_farad_per_m: float = wires.FARAD_PER_METRE
    gate_farad: float
    drain_farad: float
    word_line_ohm: float
    source_ohm: float
    bit_ohm: float
    driver_ohm: float
    sink_ohm: float
    word_line_volt: float
    read_volt: float
    on_ohm: float

    def __post_init__(self) -> None:
        above = ("cell_height_m", "cell_width_m", "word_line_volt", "read_volt", "on_ohm")
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name != "node" and not (0 <= value < float("inf") and (value or name not in above)):
                least = "above 0" if name in above else "0 or more"
                raise ConfigError(f"{name} is {value}", f"give a finite number {least}")
        if self.node not in presets.NODES:
            raise UnknownNameError("technology node", self.node, presets.NODES)

    @property
    def cell_m2(self) -> float:
        """Area of a cell."""
        return self.cell_height_m * self.cell_width_m

    def word_line_farad(self, columns: int) -> float:
        """Return the capacitance of a word line across so many columns."""
        return columns * (self.wire_farad_per_m * self.cell_width_m + self.gate_farad)

    def rail_farad(self, rows: int) -> float:
        """Return the capacitance of one rail along so many rows."""
        return rows * (self.wire_farad_per_m * self.cell_height_m + self.drain_farad)


def technology_of(
    node: str, technology: str, cell: Cell | None = None, ladder: Ladder | None = None
) -> Technology:
    """Return an array's cells and wires.

    Parameters
    ----------
    node, technology
        As a configuration names them; "ideal" and "linear" cells are priced as 1T-1ReRAM.
    cell, ladder
        What a design has; None for the presets.

    Raises
    ------
    UnknownNameError
        If there is no such node or technology.
    """
    kind = "linear" if technology == "ideal" else technology
    chosen = cell or presets.cell_preset(kind, node)
    height, width = wires.cell_size(node, kind)
    supply = presets.NODES[node].supply_volt
    if ladder is None:
        source, bit = wires.wire_ohm(node, technology)
        ladder = Ladder(
            rows=1,
            source_ohm=source,
            bit_ohm=bit,
            driver_ohm=presets.DRIVER_OHM,
            sink_ohm=presets.SINK_OHM,
            read_volt=presets.read_volt(technology, node),
        )
    return Technology(
        node=node,
        cell_height_m=height,
        cell_width_m=width,
        gate_farad=GATE_FARAD[node],
        drain_farad=DRAIN_FARAD[node],
        word_line_ohm=wires.word_line_ohm(node, kind),
        source_ohm=ladder.source_ohm,
        bit_ohm=ladder.bit_ohm,
        driver_ohm=ladder.driver_ohm,
        sink_ohm=ladder.sink_ohm,
        word_line_volt=getattr(chosen, "supply_volt", supply),
        read_volt=ladder.read_volt,
        on_ohm=chosen.on_ohm,
    )


@dataclass(frozen=True)
class Scale:
    """What digital pieces of another node take, in units of the library's."""

    energy: float
    delay: float
    area: float


def digital_scale(node: str, library: str = LIBRARY_NODE) -> Scale:
    """Return how the pieces of a library's node scale to another.

    Lengths, and with them capacitances and delays, go with the node's name; energies with the
    capacitance and the square of the supply.
    """
    for name in (node, library):
        if name not in presets.NODES:
            raise UnknownNameError("technology node", name, presets.NODES)
    length = float(node.removesuffix("nm")) / float(library.removesuffix("nm"))
    volts = presets.NODES[node].supply_volt / presets.NODES[library].supply_volt
    return Scale(length * volts**2, length, length**2)


@dataclass(frozen=True)
class Coefficients:
    """Numbers of the analog formulas.

    Parameters
    ----------
    rails
        Rails of a column that are charged to the read voltage for a conversion.
    stage_ratio
        By how much each stage of a word line's driver is bigger than the one before.
    driver_m2_per_farad
        Area of an inverter by its input's capacitance.
    stage_second
        Delay of a stage of the driver.
    first_stage_farad
        Input capacitance of the driver's first stage.
    switch_m2
        What connects a column to its converter.
    steps_of_settling
        A column has settled when it is within this part of a converter's step.
    sample_second
        How long a sample is taken, after settling, where currents are sampled.
    """

    rails: Parameter = field(default_factory=lambda: Parameter(
        1.0, "1", "assumed",
        "the source line is charged to the read voltage, the bit line stays at the sense node's",
    ))  # fmt: skip
    stage_ratio: Parameter = field(default_factory=lambda: Parameter(
        4.0, "1", "published",
        "I. Sutherland, B. Sproull, D. Harris, Logical Effort (1999): stages are near the best at "
        "an effort of 4",
    ))  # fmt: skip
    driver_m2_per_farad: Parameter = field(default_factory=lambda: Parameter(
        37.4, "m2/F", "derived", "ASAP7: INVx4_ASAP7_75t_R, 0.0875 um2 by 2.34 fF"
    ))  # fmt: skip
    stage_second: Parameter = field(default_factory=lambda: Parameter(
        18.3e-12, "s", "derived",
        "ASAP7, 0.7 V, typical: INVx4_ASAP7_75t_R with four times its input at its output, mean of "
        "both edges",
    ))  # fmt: skip
    first_stage_farad: Parameter = field(default_factory=lambda: Parameter(
        0.62e-15, "F", "derived", "ASAP7: input of INVx1_ASAP7_75t_R"
    ))  # fmt: skip
    switch_m2: Parameter = field(default_factory=lambda: Parameter(
        0.0437e-12, "m2", "assumed",
        "a transmission gate is as big as ASAP7's smallest inverter",
    ))  # fmt: skip
    steps_of_settling: Parameter = field(default_factory=lambda: Parameter(
        0.5, "1", "assumed", "half a step"
    ))  # fmt: skip
    sample_second: Parameter = field(default_factory=lambda: Parameter(
        1e-9, "s", "assumed", "one step of the converter"
    ))  # fmt: skip


def _parameters() -> dict[str, Parameter]:
    found = {}
    for node, farad in GATE_FARAD.items():
        fins = float(node.removesuffix("nm")) < 22
        gate = "one fin" if fins else "ideal gate times 1.2, fringe, of one feature size"
        found[f"cost.{node}.gate"] = Parameter(
            farad, "F", "published" if fins else "derived", f"{_NEUROSIM}: {gate}"
        )
        found[f"cost.{node}.drain"] = Parameter(
            DRAIN_FARAD[node],
            "F",
            "published" if fins else "assumed",
            f"{_NEUROSIM}: cap_draintotal" if fins else "half of the gate's",
        )
    found["cost.digital_scale"] = Parameter(
        1.0,
        "1",
        "assumed",
        "constant-field scaling by the nodes' names (R. H. Dennard et al., IEEE JSSC 9 (1974)), "
        "with the nodes' supplies",
    )
    return found


PARAMETERS = _parameters() | {
    f"cost.{name}": getattr(Coefficients(), name) for name in Coefficients.__dataclass_fields__
}
"""The numbers of this module and where they come from."""
