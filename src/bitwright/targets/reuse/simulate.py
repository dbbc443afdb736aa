"""The reuse target, simulated: outputs come from the plans' sums, counters from a sample."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.native.shared_network import SharedProgram
from bitwright.targets.base import Counters, Simulation
from bitwright.targets.reuse import execute
from bitwright.targets.reuse.design import Design
from bitwright.targets.reuse.dynamic.counters import LayerCounters

IMAGES = 256
"""Images that a thread of the native engine takes at a time, at most."""


@lru_cache(maxsize=4)
def _native(design: Design) -> SharedProgram:
    """Return the native engine with shared sums in the layers in which they are faster."""
    graphs = {
        name: plan.graph
        for name, plan in design.plans.items()
        if name in design.skipping.layers and plan.chosen is not plan.dense
    }
    rng = np.random.default_rng(0)
    return SharedProgram(design.program, graphs, images=IMAGES, rng=rng)


def simulate(design: Design, batch: npt.NDArray[Any], threads: int | None) -> Simulation:
    """Return the outputs of a batch (images, *input shape), and what skipping leaves of a sample.

    The sample is the batch's first images. The reference executes every plan; the native engine
    those of the layers in which shared sums are faster on this machine.
    """
    if design.config.engine == "reference":
        graphs = {name: (plan.dot, plan.graph) for name, plan in design.plans.items()}
        outputs = execute.run(design.program, graphs, batch, threads=threads)
    else:
        outputs = _native(design).run(batch, threads=threads)
    return Simulation(outputs, _skipped(design, batch[: design.config.sample], threads))


def _skipped(design: Design, sample: npt.NDArray[Any], threads: int | None) -> Counters:
    """Return what a tile-serial machine does, layer by layer, as counters that add up."""
    if not len(sample) or not design.skipping.layers:
        return {}
    counters: Counters = {"sample_images": len(sample)}
    for name, found in design.skipping.run(sample, threads=threads).counters.items():
        for field in fields(LayerCounters):
            number = getattr(found, field.name)
            if isinstance(number, tuple):
                for tile, count in enumerate(number):
                    counters[f"{field.name}:{tile}/{name}"] = count
            else:
                counters[f"{field.name}/{name}"] = number
    return counters
