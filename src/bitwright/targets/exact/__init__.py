"""The plain digital baseline that every other target is compared with."""

from bitwright.targets.base import Target
from bitwright.targets.exact.design import Config, Design
from bitwright.targets.exact.lower import lower
from bitwright.targets.exact.measure import measure
from bitwright.targets.exact.simulate import simulate

TARGET = Target(
    name="exact",
    summary="plain digital logic: every dot product counted exactly",
    config=Config,
    ideal=Config,
    lower=lower,
    simulate=simulate,
    measure=measure,
    ideals={"plain NumPy": {"engine": "reference"}},
)

__all__ = ["TARGET", "Config", "Design"]
