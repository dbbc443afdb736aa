"""The majority target, simulated bit for bit."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy.typing as npt

from bitwright.native.sliced_network import CircuitNetwork
from bitwright.targets.base import Simulation
from bitwright.targets.majority.design import Design
from bitwright.targets.majority.lower import exact


@lru_cache(maxsize=4)
def _network(design: Design) -> CircuitNetwork:
    return CircuitNetwork(design.program, design.circuits, exact, design.thresholds)


def simulate(design: Design, batch: npt.NDArray[Any], threads: int | None) -> Simulation:
    """Return the outputs of a batch (images, *input shape)."""
    return Simulation(_network(design).run(batch, threads=threads))
