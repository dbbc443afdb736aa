"""The redundancy-skipping accelerator for an FPGA: cycles, resources, energy; see `model`."""

from bitwright.targets.reuse.accelerator.energy import Coefficient, Coefficients
from bitwright.targets.reuse.accelerator.loads import LayerLoad, distinct_patterns
from bitwright.targets.reuse.accelerator.model import Accelerator, simulate
from bitwright.targets.reuse.accelerator.parts import PARTS, Part, find_part
from bitwright.targets.reuse.accelerator.performance import Run

__all__ = [
    "PARTS",
    "Accelerator",
    "Coefficient",
    "Coefficients",
    "LayerLoad",
    "Part",
    "Run",
    "distinct_patterns",
    "find_part",
    "simulate",
]
