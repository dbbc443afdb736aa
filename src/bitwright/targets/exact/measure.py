"""What the exact target costs: counted from the program."""

from __future__ import annotations

from bitwright.ir.work import count_work
from bitwright.records import Measurement
from bitwright.targets.base import Counters
from bitwright.targets.exact.design import Design


def measure(design: Design, counters: Counters) -> tuple[Measurement, ...]:
    """Return the operations of one image and the bits of the weights."""
    work = count_work(design.program)
    return (
        Measurement(
            "binary_operations", sum(w.binary_operations for w in work), "op/image", "counted"
        ),
        Measurement(
            "integer_operations", sum(w.integer_operations for w in work), "op/image", "counted"
        ),
        Measurement("weight_bits", sum(w.weight_bits for w in work), "bit", "counted"),
        Measurement("thresholds", sum(w.thresholds for w in work), "threshold", "counted"),
    )
