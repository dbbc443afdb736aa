"""Approximate popcounts: circuits with majority gates in place of full adders."""

from bitwright.targets.base import Target
from bitwright.targets.majority.design import Config, Design
from bitwright.targets.majority.lower import lower
from bitwright.targets.majority.measure import measure
from bitwright.targets.majority.simulate import simulate


def _ideal() -> Config:
    return Config(circuit="exact", thresholds="unchanged")


TARGET = Target(
    name="majority",
    summary="popcounts of majority gates, bit for bit, with tuned thresholds",
    config=Config,
    ideal=_ideal,
    lower=lower,
    simulate=simulate,
    measure=measure,
    ideals={"exact circuits, expected errors": {"circuit": "exact"}},
)

__all__ = ["TARGET", "Config", "Design"]
