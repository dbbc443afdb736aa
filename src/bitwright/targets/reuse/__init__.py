"""Redundancy skipping: the same bits from sums that neurons share."""

from bitwright.targets.base import Target
from bitwright.targets.reuse.design import Config, Design
from bitwright.targets.reuse.lower import lower
from bitwright.targets.reuse.measure import measure
from bitwright.targets.reuse.simulate import simulate

TARGET = Target(
    name="reuse",
    summary="sums shared between kernels; no output bit changes",
    config=Config,
    ideal=Config,
    lower=lower,
    simulate=simulate,
    measure=measure,
    ideals={"by the plans": {"engine": "reference"}},
)

__all__ = ["TARGET", "Config", "Design"]
