"""What the exact target costs: counted from the program."""

from __future__ import annotations

from bitwright.records import Measurement
from bitwright.targets.base import Counters, work_measurements
from bitwright.targets.exact.design import Design


def measure(design: Design, counters: Counters) -> tuple[Measurement, ...]:
    """Return the operations of one image and the bits of the weights."""
    return work_measurements(design.program)
