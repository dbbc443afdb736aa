"""Compute-in-memory crossbars: dot products as currents, with what wires and devices do to them."""

from bitwright.targets.base import Target
from bitwright.targets.crossbar.design import Config, Design
from bitwright.targets.crossbar.lower import lower
from bitwright.targets.crossbar.measure import measure
from bitwright.targets.crossbar.simulate import BATCH, simulate


def _ideal() -> Config:
    return Config(technology="ideal")


TARGET = Target(
    name="crossbar",
    summary="compute-in-memory arrays, every column solved as a circuit, with BinSparX",
    config=Config,
    ideal=_ideal,
    lower=lower,
    simulate=simulate,
    measure=measure,
    batch=BATCH,
)

__all__ = ["TARGET", "Config", "Design"]
