"""The exact target, simulated by the engine of its config."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy.typing as npt

from bitwright.ir import reference
from bitwright.native import NativeProgram
from bitwright.targets.base import Simulation
from bitwright.targets.exact.design import Design


@lru_cache(maxsize=4)
def _planned(design: Design) -> NativeProgram:
    return NativeProgram(design.program)


def simulate(design: Design, batch: npt.NDArray[Any], threads: int | None) -> Simulation:
    """Return the outputs of a batch (images, *input shape)."""
    if design.config.engine == "reference":
        return Simulation(reference.run(design.program, batch))
    return Simulation(_planned(design).run(batch, threads=threads))
