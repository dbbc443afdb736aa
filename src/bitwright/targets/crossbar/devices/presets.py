"""Cells by technology and node, with the provenance of every number.

Requirements:

- A preset is a start for sweeps, not a claim about one foundry's cell: what the sources leave open
  is marked `assumed`.
- The read port of an 8T-SRAM cell is two transistors of the node's smallest size. Their threshold
  is the one at which EKV's equations have the published ratio of on- to off-current; their
  resistance in series follows from the published on-current.
- A memristor does not scale with the node; its access transistor does.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitwright.errors import UnknownNameError
from bitwright.targets.crossbar.devices import wires
from bitwright.targets.crossbar.devices.cells import Linear, Reram1T1R, Sram8T
from bitwright.targets.crossbar.devices.provenance import Parameter, Provenance

_NEUROSIM = "DNN+NeuroSim V1.4, Technology.cpp (github.com/neurosim/DNN_NeuroSim_V1.4)"
_STANFORD = "Stanford University RRAM Verilog-A model 1.0.0, V0 (doi:10.4231/D37H1DN48)"
_NEURRAM = (
    "W. Wan et al., A compute-in-memory chip based on resistive random-access memory, Nature 608 "
    "(2022), and github.com/weierwan/Neurram_48core"
)


@dataclass(frozen=True)
class Node:
    """Transistors of a node, of the low-power kind.

    Parameters
    ----------
    supply_volt
        Nominal supply.
    on_ampere_per_metre, off_ampere_per_metre
        Per gate width: gate at the supply or at 0, drain at the supply.
    width_metre
        Gate width of the smallest transistor: one fin, or two wire widths.
    roadmap
        Where the source has them from.
    threshold_volt, read_ohm, on_off_ratio
        Derived: of a transistor; of two in series, read at half the supply.
    """

    supply_volt: float
    on_ampere_per_metre: float
    off_ampere_per_metre: float
    width_metre: float
    roadmap: str
    threshold_volt: float
    read_ohm: float
    on_off_ratio: float


NODES = {
    "7nm": Node(0.70, 562.048, 1.47e-4, 107e-9, "IRDS 2017", 0.366, 12.3e3, 1.8e6),
    "10nm": Node(0.75, 599.237, 1.27e-4, 98e-9, "IRDS 2017", 0.363, 13.5e3, 2.2e6),
    "14nm": Node(0.80, 595.045, 1.00e-4, 92e-9, "IRDS 2016", 0.363, 15.5e3, 2.8e6),
    "22nm": Node(0.85, 791.9, 1.00e-4, 44e-9, "PTM 22 nm LP", 0.365, 26.0e3, 3.7e6),
    "45nm": Node(1.00, 500.2, 1.00e-4, 90e-9, "PTM 45 nm LP", 0.331, 24.2e3, 2.3e6),
}
"""Transistors, by the technology node."""

_FINS = ("7nm", "10nm", "14nm")
TECHNOLOGIES = ("ideal", "linear", "sram8t", "reram1t1r")
SLOPE_FACTOR = 1.2
MODULATION_PER_VOLT = 0.1
READ_SHARE = 0.5
"""Read voltage of 8T-SRAM by the supply."""

RERAM_READ_VOLT = 0.2
RERAM_ON_OHM = 25e3
RERAM_ON_OFF_RATIO = 40.0
SINH_VOLT = 0.25
ACCESS_SHARE = 0.2
DRIVER_OHM = 0.0
SINK_OHM = 0.0


def cell_preset(technology: str, node: str = "7nm") -> Linear | Sram8T | Reram1T1R:
    """Return the cell of a technology at a node.

    Parameters
    ----------
    technology
        ``linear``, ``sram8t``, ``reram1t1r``; or ``ideal``, whose cells are linear.
    node
        A key of `NODES`.

    Raises
    ------
    UnknownNameError
        If there is no such technology or node.
    """
    transistor = _node(node)
    if technology == "sram8t":
        return Sram8T(
            on_ohm=transistor.read_ohm,
            on_off_ratio=transistor.on_off_ratio,
            supply_volt=transistor.supply_volt,
            threshold_volt=transistor.threshold_volt,
            slope_factor=SLOPE_FACTOR,
            modulation_per_volt=MODULATION_PER_VOLT,
        )
    if technology == "reram1t1r":
        return Reram1T1R(
            on_ohm=RERAM_ON_OHM,
            on_off_ratio=RERAM_ON_OFF_RATIO,
            sinh_volt=SINH_VOLT,
            access_share=ACCESS_SHARE,
            supply_volt=transistor.supply_volt,
            threshold_volt=transistor.threshold_volt,
            slope_factor=SLOPE_FACTOR,
            modulation_per_volt=MODULATION_PER_VOLT,
        )
    if technology in ("linear", "ideal"):
        return Linear(on_ohm=RERAM_ON_OHM)
    raise UnknownNameError("cell technology", technology, TECHNOLOGIES)


def read_volt(technology: str, node: str = "7nm") -> float:
    """Return the voltage that a technology is read at, in volt; see `cell_preset`."""
    if technology not in TECHNOLOGIES:
        raise UnknownNameError("cell technology", technology, TECHNOLOGIES)
    supply = _node(node).supply_volt
    return READ_SHARE * supply if technology == "sram8t" else RERAM_READ_VOLT


def _node(node: str) -> Node:
    if node not in NODES:
        raise UnknownNameError("technology node", node, NODES)
    return NODES[node]


def _parameters() -> dict[str, Parameter]:
    found = dict(wires.PARAMETERS)
    for node, t in NODES.items():
        source = f"{_NEUROSIM}: {node}, after {t.roadmap}"
        of_width = f"{source}; one fin" if node in _FINS else f"{source}; V1.3's 2 feature sizes"
        listed: list[tuple[str, float, str, Provenance, str]] = [
            ("supply", t.supply_volt, "V", "published", source),
            ("on_current", t.on_ampere_per_metre, "A/m", "published", source),
            ("off_current", t.off_ampere_per_metre, "A/m", "published", source),
            ("gate_width", t.width_metre, "m", "published", of_width),
            (
                "threshold",
                t.threshold_volt,
                "V",
                "derived",
                "EKV's equations, whole supply at the drain, give on- by off-current",
            ),
            (
                "sram8t.on_ohm",
                t.read_ohm,
                "ohm",
                "derived",
                "two transistors of gate_width and on_current in series at half the supply",
            ),
            (
                "sram8t.on_off_ratio",
                t.on_off_ratio,
                "1",
                "derived",
                "current of sram8t.on_ohm at half the supply by off_current times gate_width",
            ),
        ]
        for what, value, unit, provenance, origin in listed:
            found[f"{node}.{what}"] = Parameter(value, unit, provenance, origin)
    return found | {
        "slope_factor": Parameter(
            SLOPE_FACTOR, "1", "assumed", "a subthreshold swing of 71 mV a decade at 300 K"
        ),
        "modulation": Parameter(
            MODULATION_PER_VOLT, "1/V", "assumed", "an Early voltage of 10 V, of short channels"
        ),
        "sram8t.read_share": Parameter(
            READ_SHARE, "1", "assumed", "of the supply; higher saturates the transistors"
        ),
        "reram1t1r.read_volt": Parameter(
            RERAM_READ_VOLT, "V", "published", f"{_NEURRAM}: vread = 1.1 above vref = 0.9"
        ),
        "reram1t1r.on_ohm": Parameter(
            RERAM_ON_OHM, "ohm", "published", f"{_NEURRAM}: g_max = 4e-5 siemens"
        ),
        "reram1t1r.on_off_ratio": Parameter(
            RERAM_ON_OFF_RATIO, "1", "published", f"{_NEURRAM}: g_max = 4e-5, g_min = 1e-6 siemens"
        ),
        "reram1t1r.sinh_volt": Parameter(SINH_VOLT, "V", "published", _STANFORD),
        "reram1t1r.access_share": Parameter(
            ACCESS_SHARE,
            "1",
            "derived",
            "DNN+NeuroSim V1.3, Param.cpp and constant.h: an access transistor of 0.25 times the "
            "memristor's resistance, so 0.25 / 1.25 of the voltage",
        ),
        "reram1t1r.gate": Parameter(1.0, "supply", "assumed", "word lines are not boosted"),
        "linear.on_ohm": Parameter(
            RERAM_ON_OHM, "ohm", "published", f"as 1T-1ReRAM; {_NEURRAM}: g_max"
        ),
        "linear.on_off_ratio": Parameter(
            float("inf"), "1", "assumed", "so that nothing but wires and ends is not ideal"
        ),
        "unselected_share": Parameter(
            0.0, "1", "assumed", "word lines that are off cut their cells off"
        ),
        "driver_ohm": Parameter(DRIVER_OHM, "ohm", "assumed", "an ideal driver; to be swept"),
        "sink_ohm": Parameter(SINK_OHM, "ohm", "assumed", "a virtual ground; to be swept"),
    }


PARAMETERS = _parameters()
"""Every number of presets and wires and where it comes from."""
