"""The majority target, simulated bit for bit."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy.typing as npt

from bitwright.native import NativeProgram
from bitwright.targets.base import Simulation
from bitwright.targets.majority.counters import Watch
from bitwright.targets.majority.design import Design
from bitwright.targets.majority.networks import Network, build, set_all


@lru_cache(maxsize=4)
def _networks(design: Design) -> tuple[Network, NativeProgram]:
    network = build(design.program, design.circuits)
    set_all(network, {**design.thresholds, **design.tables})
    return network, NativeProgram(design.program, network.bits)


def simulate(design: Design, batch: npt.NDArray[Any], threads: int | None) -> Simulation:
    """Return the outputs of a batch (images, *input shape), and what was counted on a sample."""
    network, exact = _networks(design)
    if not len(batch):
        return Simulation(network.run(batch, threads=threads))
    watch = Watch(network, exact, batch)
    outputs = network.run(batch, threads=threads, observe=watch)
    return Simulation(outputs, watch.counters)
