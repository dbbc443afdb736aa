"""What an accelerator in an FPGA of 28 nm draws: a model with named coefficients and their ranges.

``energy = LUT cycles * lut + flip-flop cycles * flip_flop + words * block_ram + time * (static +
processors)``. Only the look-up tables of elements that work in a cycle count, and all flip-flops,
since their clock runs on.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from bitwright.targets.reuse.accelerator.parts import Part

Level = Literal["value", "low", "high"]
Provenance = Literal["published", "derived", "assumed"]

_U50 = (
    "Vivado report_power of a design of 475,034 LUTs and 665,852 registers in an Alveo U50 (16 nm, "
    "0.85 V) at 180 MHz"
)
_TO_28_NM = "times 28/16 for the capacitance and (1.0/0.85)^2 for the voltage"


@dataclass(frozen=True)
class Coefficient:
    """A number, the range in which it may lie, and where it comes from."""

    value: float
    low: float
    high: float
    unit: str
    provenance: Provenance
    source: str


@dataclass(frozen=True)
class Coefficients:
    """What an event costs.

    Parameters
    ----------
    lut
        A look-up table whose element works, with the nets that it drives: one cycle.
    flip_flop
        A flip-flop with its share of the clock: one cycle.
    block_ram
        36 bits read from, or written to, a block RAM.
    processors
        The processing system of a Zynq. A board needs it; a chip's figure may leave it out.
    static_share
        Times the part's static power, which grows with the temperature.
    """

    lut: Coefficient = Coefficient(
        0.25e-12, 0.12e-12, 0.5e-12, "J", "derived",
        f"{_U50}: logic and signals, 51 fJ a LUT at Vivado's 12.5 % of toggles; {_TO_28_NM}; twice "
        "that for toggles of 25 %; the range is 12.5 % to 50 %",
    )  # fmt: skip
    flip_flop: Coefficient = Coefficient(
        0.05e-12, 0.02e-12, 0.1e-12, "J", "derived",
        f"{_U50}: clocks and registers, 22 fJ a register; {_TO_28_NM}",
    )  # fmt: skip
    block_ram: Coefficient = Coefficient(
        15e-12, 6.5e-12, 35e-12, "J", "derived",
        "Xilinx DS512 (Block Memory Generator v6.1), table 41: 2k x 36, two ports, 21 mW at 300 "
        "MHz in Virtex-5, 35 pJ a word at 65 nm; times 28/65, the range from its square to 1",
    )  # fmt: skip
    processors: Coefficient = Coefficient(
        0.0, 0.0, 1.569, "W", "assumed",
        "left out; Vivado 2021.1 reports 1.569 W for both processors and their memory interface "
        "in an XC7Z045",
    )  # fmt: skip
    static_share: Coefficient = Coefficient(
        1.0, 1.0, 4.0, "ratio", "assumed",
        "leakage at a junction of 28 degrees; it doubles about every 30 degrees up to 85",
    )  # fmt: skip

    @property
    def source(self) -> str:
        """What they are, for a measurement."""
        shown = (
            f"{f.name} {getattr(self, f.name).value:.3g} {getattr(self, f.name).unit}, "
            f"{getattr(self, f.name).provenance}"
            for f in fields(self)
        )
        return "; ".join(shown)


@dataclass(frozen=True)
class Activity:
    """What happens for one image.

    Parameters
    ----------
    lut_cycles
        Look-up tables of elements that work, summed over cycles.
    flip_flop_cycles
        Flip-flops, times cycles.
    words
        36-bit words that block RAMs read or write.
    seconds
        From one image to the next.
    """

    lut_cycles: float
    flip_flop_cycles: float
    words: float
    seconds: float


@dataclass(frozen=True)
class Energy:
    """What an image takes, in joules, by what draws it."""

    logic: float
    clock: float
    block_ram: float
    static: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.logic + self.clock + self.block_ram + self.static


def energy(
    activity: Activity, part: Part, coefficients: Coefficients, level: Level = "value"
) -> Energy:
    """Return the energy of one image.

    Parameters
    ----------
    level
        ``low`` or ``high``: every coefficient at that end of its range.
    """
    names = [field.name for field in fields(Coefficients)]
    value = {name: float(getattr(getattr(coefficients, name), level)) for name in names}
    return Energy(
        logic=activity.lut_cycles * value["lut"],
        clock=activity.flip_flop_cycles * value["flip_flop"],
        block_ram=activity.words * value["block_ram"],
        static=activity.seconds * (part.static_w * value["static_share"] + value["processors"]),
    )
