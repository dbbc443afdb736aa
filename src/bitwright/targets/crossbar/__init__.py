"""Compute-in-memory crossbars: dot products as currents, with what wires and devices do to them."""

import math

from bitwright.targets.base import Target
from bitwright.targets.crossbar.design import Config, Design
from bitwright.targets.crossbar.lower import lower
from bitwright.targets.crossbar.measure import measure
from bitwright.targets.crossbar.simulate import BATCH, simulate


def _ideal() -> Config:
    return Config(technology="ideal")


_NO_RESISTANCE = {
    "wires": {"source_ohm": 0.0, "bit_ohm": 0.0, "driver_ohm": 0.0, "sink_ohm": 0.0},
    "device": {"on_off_ratio": math.inf},
    "flips": "both",
}
"""Cells that are off do not conduct, and nothing lies between those that are on and the source."""

TARGET = Target(
    name="crossbar",
    summary="compute-in-memory arrays, every column solved as a circuit, with BinSparX",
    config=Config,
    ideal=_ideal,
    lower=lower,
    simulate=simulate,
    measure=measure,
    batch=BATCH,
    ideals={
        "ideal cells, both flips": {"technology": "ideal", "flips": "both"},
        "ideal cells, random flips": {"technology": "ideal", "flips": "random"},
        "ideal cells, complementary": {"technology": "ideal", "mapping": "xnor"},
        "linear cells without resistance": {"technology": "linear", **_NO_RESISTANCE},
        "8T-SRAM without resistance": {"technology": "sram8t", **_NO_RESISTANCE},
        "1T-1ReRAM without resistance": {"technology": "reram1t1r", **_NO_RESISTANCE},
    },
)

__all__ = ["TARGET", "Config", "Design"]
